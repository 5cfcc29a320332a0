"""Deployments and automations as code: one declaration, safe to register again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import PrefectHTTPStatusError
from prefect.flows import Flow

from flows import deployments
from flows.backfill import days
from flows.deployments import Deployment, Schedule
from flows.exporting import period
from flows.registration import register
from flows.settings import RecoverySettings, ScheduleSettings
from tasks.contracts.load import list_sources
from tasks.errors import UsageError

INFRA = Path(__file__).resolve().parents[2] / "infra" / "prefect.yaml"
SOURCES = list(list_sources())
RECOVERY = RecoverySettings()
DECLARED = deployments.declare(ScheduleSettings(), RECOVERY, SOURCES, SOURCES)
DAYS = {"since": "2026-11-01", "until": "2026-11-03"}


@pytest.fixture(scope="module")
def client(prefect_server: None) -> Iterator[SyncPrefectClient]:
    """Of a server where all is registered."""
    register(DECLARED, SOURCES, RECOVERY)
    with get_client(sync_client=True) as client:
        yield client


def named(name: str) -> Deployment:
    return next(d for d in DECLARED if d.name == name)


def test_the_file_for_other_servers_is_what_the_code_declares() -> None:
    assert INFRA.read_text() == deployments.as_yaml(DECLARED)


def test_every_declared_flow_can_be_imported_and_every_schedule_has_a_slug_of_its_own() -> None:
    for declared in yaml.safe_load(INFRA.read_text())["deployments"]:
        module, name = declared["entrypoint"].rsplit(".", 1)
        assert isinstance(getattr(import_module(module), name), Flow)
    slugs = [schedule.slug for d in DECLARED for schedule in d.schedules]
    assert len(slugs) == len(set(slugs))
    assert all(slugs)


def test_a_source_may_have_a_schedule_of_its_own_and_all_look_back_as_far_as_is_set() -> None:
    schedules = ScheduleSettings(deliver={"app": "5 * * * *"}, look_back_days=35)

    app, gateway = deployments.declare(schedules, RECOVERY, ["app", "gateway"], [])[:2]

    assert [schedule.cron for schedule in app.schedules] == ["5 * * * *"]
    assert [schedule.cron for schedule in gateway.schedules] == [schedules.deliver_default]
    assert gateway.parameters == {"source": "gateway", "look_back_days": 35}
    assert gateway.tags == ("indelible", "gateway")


def test_registering_again_changes_nothing_and_reactivates_nothing(client: SyncPrefectClient) -> None:
    names = register(DECLARED, SOURCES, RECOVERY)
    deployment = client.read_deployment_by_name("deliver/cloudtrail")
    client.update_deployment_schedule(deployment.id, deployment.schedules[0].id, active=False)
    automation = client.read_automations_by_name("indelible: recover crashed runs")[0]
    client.pause_automation(automation.id)
    before = client.read_automations()

    assert register(DECLARED, SOURCES, RECOVERY) == names

    again = client.read_deployment_by_name("deliver/cloudtrail")
    assert again.id == deployment.id
    assert [schedule.active for schedule in again.schedules] == [False]
    assert again.schedules[0].updated == deployment.schedules[0].updated or not again.schedules[0].active
    after = client.read_automations()
    assert [(a.id, a.enabled) for a in after] == [(a.id, a.enabled) for a in before]
    assert [a.name for a in after if not a.enabled] == ["indelible: recover crashed runs"]
    assert len(after) == 3
    queues = [
        client.read_work_queue_by_name(name, work_pool_name=deployments.POOL)
        for name in ("recovery", "scheduled", "backfill")
    ]
    assert [queue.priority for queue in queues] == [1, 2, 3]
    assert queues[2].concurrency_limit == 1


def test_a_changed_schedule_is_changed_a_new_one_added_a_gone_one_removed_and_a_foreign_one_left(
    client: SyncPrefectClient,
) -> None:
    def put(*schedules: Schedule) -> dict[str | None, tuple[str, bool, dict[str, Any]]]:
        verify = replace(named("verify"), schedules=schedules)
        register([verify, named("recover")], SOURCES, RECOVERY)
        found = client.read_deployment_by_name("verify/verify").schedules
        return {s.slug: (s.schedule.cron, s.active, s.parameters) for s in found}  # type: ignore[union-attr]

    put(Schedule("sample", "0 1 * * 0"), Schedule("old", "0 2 * * *"))
    verify = client.read_deployment_by_name("verify/verify")
    mine = DeploymentScheduleCreate(schedule=CronSchedule(cron="0 9 * * *", timezone="UTC"))
    client.create_deployment_schedules(verify.id, [mine])
    sample = next(s for s in verify.schedules if s.slug == "sample")
    client.update_deployment_schedule(verify.id, sample.id, active=False)

    found = put(Schedule("sample", "0 4 * * 0", {"rows": False}), Schedule("whole", "0 5 1 * *"))

    assert found == {
        "sample": ("0 4 * * 0", False, {"rows": False}),
        "whole": ("0 5 1 * *", True, {}),
        None: ("0 9 * * *", True, {}),
    }


def test_other_limits_of_recovery_reach_the_automations(client: SyncPrefectClient) -> None:
    recovery = RecoverySettings(silent_s=45, pause_s=7)
    register(deployments.declare(ScheduleSettings(), recovery, SOURCES, []), SOURCES, recovery)

    (silent,) = client.read_automations_by_name("indelible: silent runs have crashed")
    assert silent.trigger.within.total_seconds() == 45  # type: ignore[union-attr]
    recover = client.read_deployment_by_name("recover/recover")
    assert recover.parameters == {"max_recoveries": 3, "pause_seconds": 7}


def test_forms_offer_choices_and_pickers_and_explain_each_field(client: SyncPrefectClient) -> None:
    for declared in DECLARED:
        module, name = declared.entrypoint.rsplit(".", 1)
        flow = getattr(import_module(module), name)
        schema: dict[str, Any] = (
            client.read_deployment_by_name(f"{flow.name}/{declared.name}").parameter_openapi_schema or {}
        )
        for field, facts in schema["properties"].items():
            assert facts["description"], (declared.name, field)
            assert "anyOf" not in facts, (declared.name, field)
            if field == "source":
                assert facts["enum"] == SOURCES
            if field in ("since", "until"):
                assert facts["format"] == "date"
    backfill: dict[str, Any] = (
        client.read_deployment_by_name("backfill/backfill").parameter_openapi_schema or {}
    )
    assert backfill["required"] == ["source", "since", "until", "reason"]


@pytest.mark.parametrize(
    ("deployment", "given"),
    [
        pytest.param("backfill/backfill", {"source": "app", **DAYS}, id="backfill-without-reason"),
        pytest.param("backfill/backfill", {"source": "app", **DAYS, "reason": "x"}, id="reason-too-short"),
        pytest.param(
            "backfill/backfill", {"source": "nobody", **DAYS, "reason": "late drops"}, id="unknown-source"
        ),
        pytest.param(
            "backfill/backfill",
            {"source": "app", "since": "1.11.2026", "until": "2026-11-03", "reason": "late drops"},
            id="no-date",
        ),
        pytest.param("deliver/app", {"look_back_days": -1}, id="negative-look-back"),
        pytest.param("deliver/app", {"since": "2026-13-01"}, id="no-such-month"),
        pytest.param("export-evidence/export-evidence", {"framework": "iso-9000"}, id="unknown-framework"),
        pytest.param(
            "replay-quarantine/replay-quarantine", {"source": "app", "entries": ["7a"]}, id="no-entry"
        ),
        pytest.param("recover/recover", {"flow_run_id": "all"}, id="no-run-id"),
    ],
)
def test_the_server_refuses_wrong_parameters_before_a_process_is_started(
    deployment: str, given: dict[str, Any], client: SyncPrefectClient
) -> None:
    found = client.read_deployment_by_name(deployment)

    with pytest.raises(PrefectHTTPStatusError) as refused:
        client.create_flow_run_from_deployment(found.id, parameters=given)

    assert refused.value.response.status_code == 409


def test_the_server_takes_what_the_form_sends_for_fields_left_empty(client: SyncPrefectClient) -> None:
    found = client.read_deployment_by_name("deliver/app")

    run = client.create_flow_run_from_deployment(found.id, parameters={"since": None, "until": None})

    assert run.parameters == {"source": "app", "look_back_days": 0, "since": None, "until": None}
    assert sorted(run.tags) == ["app", "indelible"]


def test_an_export_takes_the_month_before_unless_both_days_are_given() -> None:
    assert period(None, None, date(2026, 3, 1)) == (date(2026, 2, 1), date(2026, 2, 28))
    assert period(date(2026, 1, 5), date(2026, 1, 5), date(2026, 3, 1))[0] == date(2026, 1, 5)
    for since, until in ((date(2026, 1, 5), None), (date(2026, 1, 5), date(2026, 1, 4))):
        with pytest.raises(UsageError):
            period(since, until, date(2026, 3, 1))


def test_a_backfill_refuses_days_in_the_wrong_order_and_too_many() -> None:
    assert list(days(date(2026, 2, 28), date(2026, 3, 1))) == [date(2026, 2, 28), date(2026, 3, 1)]
    for since in (date(2026, 3, 2), date(1990, 1, 1)):
        with pytest.raises(UsageError):
            days(since, date(2026, 3, 1))
