"""Runs on a real Prefect server, failing ones too, leave no planted value: in its database, logs, receipts or files.

What sealed evidence and the command leave is searched by `test_nothing_leaks`; here it is what Prefect keeps. The
database is PostgreSQL and is dumped whole: runs, states, parameters, logs, artifacts, events.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.deployments import declare
from flows.processes import Background
from flows.registration import register
from flows.server import LocalPrefect
from flows.settings import Settings
from tests.support.leaks import count, disguises, files, planted_in, roles
from tests.support.loadgen import SOURCES, Tree, generate
from tests.support.postgres import Postgres
from tests.support.shared import REPO
from tests.support.upset_engine import UPSET
from tests.support.watching import wait_until

OPTIONS = {"cloudtrail_mb": 1, "gateway_mb": 1, "app_mb": 1, "personas": 60, "pii": 0.2, "bad": 0.02}
ENGINE = f"{sys.executable} -m tests.support.upset_engine"
FAST = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PYTHONPATH": str(REPO), "INDELIBLE_LOGS__LEVEL": "debug"}
RUNS: tuple[tuple[str, dict[str, str]], ...] = (
    ("deliver/app", {}),
    (f"deliver/{UPSET}", {}),
    ("replay-quarantine/replay-quarantine", {"source": "app"}),
)
UPSETTING_FILES = 3


@dataclass(frozen=True)
class Left:
    """What the runs left: ended runs, and name of a place -> text."""

    tree: Tree
    ended: Mapping[str, FlowRun]
    dump: str
    files: Mapping[str, str]


@pytest.fixture(scope="module")
def left(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Left:
    base = tmp_path_factory.mktemp("prefect-leaks")
    tree = generate(base / "tree", "leaks", **OPTIONS)
    upsetting = [file for file in tree.files if file.source == UPSET]
    for file in upsetting[UPSETTING_FILES:]:
        (tree.root / file.path).unlink()
    tree = replace(tree, files=tuple(f for f in tree.files if (tree.root / f.path).exists()))
    work = base / "work"
    for name in ("tmp", "state"):
        (work / name).mkdir(parents=True)
    database = postgres.fresh("postgresql")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        patch.setenv("TMPDIR", str(work / "tmp"))
        ended = deliver_on_a_server(work, tree, database)
    dump = [str(postgres.binaries / "pg_dump"), "--inserts", database]
    text = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
    return Left(tree, ended, text, files(work))


def deliver_on_a_server(work: Path, tree: Tree, database: str) -> dict[str, FlowRun]:
    values: dict[str, Any] = {
        "state": str(work / "state"),
        "store": {"uri": (work / "store").as_uri()},
        "landing": {"uris": tree.landing},
    }
    toml = [f'state = "{values["state"]}"', "[store]", f'uri = "{values["store"]["uri"]}"', "[landing.uris]"]
    toml += [f'{source} = "{uri}"' for source, uri in tree.landing.items()]
    (work / "indelible.toml").write_text("\n".join(toml) + "\n")
    settings = Settings.model_validate(values | {"prefect": {"database_url": database}})
    local = LocalPrefect.of(settings)
    server, worker = _fast(local.server), _fast(local.worker)
    server.start()
    try:
        local.wait_for_server()
        with (
            temporary_settings({PREFECT_API_URL: f"{local.url}/api"}),
            get_client(sync_client=True) as client,
        ):
            declared = declare(settings.schedules, settings.recovery, SOURCES, [])
            wanted = [replace(deployment, schedules=()) for deployment in declared]
            register(wanted, SOURCES, settings.recovery, work, ENGINE)
            worker.start()
            return dict(run_each(client))
    finally:
        worker.stop()
        server.stop()


def run_each(client: SyncPrefectClient) -> Iterator[tuple[str, FlowRun]]:
    """One after another, for the last one reads what the first one sealed."""
    for name, parameters in RUNS:
        deployment = client.read_deployment_by_name(name)
        started = client.create_flow_run_from_deployment(deployment.id, parameters=parameters)

        def ended(run: FlowRun = started) -> bool:
            state = client.read_flow_run(run.id).state
            return state is not None and state.is_final()

        wait_until(ended, timeout_s=240)
        yield name, client.read_flow_run(started.id)


def _fast(process: Background) -> Background:
    return Background(process.role, process.directory, process.command, {**process.environment, **FAST})


@pytest.fixture(scope="module")
def wanted(left: Left) -> dict[str, set[str]]:
    """Kind -> planted values in each form that is searched."""
    planted = planted_in(left.tree)
    assert {kind for kind, values in planted.items() if not values} == set()
    return planted


@pytest.mark.timeout(600)
def test_runs_ended_as_planned_and_every_place_was_searched(left: Left) -> None:
    assert {name: run.state_name for name, run in left.ended.items()} == {
        "deliver/app": "Completed",
        f"deliver/{UPSET}": "Failed",
        "replay-quarantine/replay-quarantine": "Completed",
    }
    for table in ("artifact", "log", "flow_run_state", "task_run_state", "events"):
        assert f"INSERT INTO public.{table} " in left.dump
    assert "## Set aside, by rule" in left.dump
    assert "cannot look it up" in left.files["state/prefect/worker.log"]


@pytest.mark.timeout(600)
def test_no_planted_value_is_left(left: Left, wanted: dict[str, set[str]]) -> None:
    places = {"database": left.dump, **left.files}
    found = {
        (kind, name): number
        for kind, values in wanted.items()
        for name, text in places.items()
        if (
            number := count({form for value in values for form in disguises(value)}, text)
            - count(roles(values), text)
        )
    }
    assert found == {}


@pytest.mark.timeout(600)
def test_a_line_of_a_run_says_which_run_it_is_of(left: Left) -> None:
    run = left.ended["deliver/app"]
    lines = [
        json.loads(line) for line in left.files["state/prefect/worker.log"].splitlines() if line[:1] == "{"
    ]
    mine = [line for line in lines if line.get("flow_run_id") == str(run.id)]
    assert {line.get("flow_run_name") for line in mine} >= {run.name}
    (sealed,) = [line for line in mine if line["event"] == "sealed"]
    assert (sealed["source"], sealed["deployment"], sealed["logger"]) == (
        "app",
        str(run.deployment_id),
        "indelible",
    )
    assert sealed["lines"] == sum(sealed[name] for name in ("accepted", "quarantined", "duplicate", "blank"))
    (published,) = [line for line in mine if line["event"] == "published"]
    assert published["checkpoint_size"] > sealed["entry"]
