"""Deployments as code: one declaration, two ways to register it, both safe to repeat."""

from __future__ import annotations

from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.flows import Flow

from flows import deployments
from flows.backfill import days
from flows.exporting import period
from flows.settings import ScheduleSettings
from tasks.contracts.load import list_sources
from tasks.errors import UsageError

INFRA = Path(__file__).resolve().parents[2] / "infra" / "prefect.yaml"
SOURCES = list(list_sources())
DECLARED = deployments.declare(ScheduleSettings(), SOURCES)


def test_the_file_for_other_servers_is_what_the_code_declares() -> None:
    assert INFRA.read_text() == deployments.as_yaml(DECLARED)


def test_every_declared_flow_can_be_imported_and_every_schedule_has_a_slug() -> None:
    for declared in yaml.safe_load(INFRA.read_text())["deployments"]:
        module, name = declared["entrypoint"].rsplit(".", 1)
        assert isinstance(getattr(import_module(module), name), Flow)
        assert all(line["slug"] for line in declared["schedules"])


def test_a_source_may_have_a_schedule_of_its_own() -> None:
    schedules = ScheduleSettings(deliver={"app": "5 * * * *"})

    crons = {d.name: d.cron for d in deployments.declare(schedules, ["app", "gateway"])}

    assert crons["app"] == "5 * * * *"
    assert crons["gateway"] == schedules.deliver_default


@pytest.mark.usefixtures("prefect_server")
def test_registering_again_leaves_a_paused_schedule_paused_and_offers_the_sources() -> None:
    names = deployments.register(DECLARED, SOURCES)
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("deliver/cloudtrail")
        client.update_deployment_schedule(deployment.id, deployment.schedules[0].id, active=False)

        assert deployments.register(DECLARED, SOURCES) == names

        again = client.read_deployment_by_name("deliver/cloudtrail")
        queue = client.read_work_queue_by_name("backfill", work_pool_name=deployments.POOL)
        scheduled = client.read_work_queue_by_name("scheduled", work_pool_name=deployments.POOL)
    assert again.id == deployment.id
    assert [schedule.active for schedule in again.schedules] == [False]
    schema: dict[str, Any] = again.parameter_openapi_schema or {}
    assert schema["properties"]["source"]["enum"] == SOURCES
    assert (queue.priority or 0) > (scheduled.priority or 0)
    assert queue.concurrency_limit == 1


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
