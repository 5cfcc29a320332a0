"""Whatever is killed, each run ends complete or given up with an alert, and what is sealed is one complete history.

One story on one real server with PostgreSQL and real workers, for starting them is what costs. The names of the
sources say what happens to their runs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Pending, Scheduled

from flows import evidence, wiring
from flows.deployments import declare
from flows.processes import Background
from flows.registration import register
from flows.server import LocalPrefect
from flows.settings import Settings
from tests.support import contracts, counts
from tests.support.faults import drop_text, seal_entries
from tests.support.postgres import Postgres

ROOT = Path(__file__).resolve().parents[2]
ENGINE = f"{sys.executable} -m tests.support.doomed_engine"
PAUSED = ("flow", "worker", "both", "term")
SOURCES = (*PAUSED, "pending", "poison")
DROPS = 3
WAIT_S = 400
# So that the story takes seconds; what is shown does not depend on them.
FAST = {
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT1S",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
    "PYTHONPATH": str(ROOT),
}


class Scene:
    """A deployment of the small contract for each source, a server, and workers."""

    def __init__(self, place: Path, database_url: str) -> None:
        self.place = place
        for name in ("doom", "reached", "go", "done"):
            (place / name).mkdir()
        self.contents: dict[str, dict[str, bytes]] = {source: {} for source in SOURCES}
        for source in SOURCES:
            document = contracts.document() | {"id": source}
            contracts.schema_of(document)["name"] = source
            path = place / "contracts" / source / "contract.odcs.yaml"
            path.parent.mkdir(parents=True)
            path.write_text(yaml.safe_dump(document, sort_keys=False))
            self.land(source, *range(DROPS))
        values: dict[str, Any] = {
            "state": str(place / "state"),
            "contracts": str(place / "contracts"),
            "store": {"uri": (place / "store").as_uri()},
            "landing": {"uris": {source: (place / "landing" / source).as_uri() for source in SOURCES}},
            "limits": {"batch_drops": 1},
            "recovery": {"silent_s": 30, "pending_s": 600, "max_recoveries": 2, "pause_s": 1},
            "prefect": {"database_url": database_url},
        }
        self.settings = Settings.model_validate(values)
        lines = [f'state = "{values["state"]}"', f'contracts = "{values["contracts"]}"']
        for section in ("store", "limits"):
            lines += [f"[{section}]", *(f"{k} = {v!r}" for k, v in values[section].items())]
        lines += ["[landing.uris]", *(f"{k} = {v!r}" for k, v in values["landing"]["uris"].items())]
        (place / "indelible.toml").write_text("\n".join(lines) + "\n")
        self.local = LocalPrefect.of(self.settings)
        self.server = self._background("server", self.local.server)
        self.survivor = self._background("worker", self.local.worker)
        self.victims = {name: self._victim(name) for name in ("v", "t")}

    def land(self, source: str, *numbers: int) -> None:
        directory = self.place / "landing" / source / "2026-11-02"
        directory.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            data = drop_text(number)
            (directory / f"{number:03d}.ndjson").write_bytes(data)
            self.contents[source][f"2026-11-02/{number:03d}.ndjson"] = data

    def register(self, **changed: int) -> None:
        recovery = self.settings.recovery.model_copy(update=changed)
        declared = declare(self.settings.schedules, recovery, SOURCES, [])
        wanted = [replace(d, schedules=()) for d in declared]
        register(wanted, SOURCES, recovery, self.place, ENGINE)

    def start(self, client: SyncPrefectClient, source: str, **options: Any) -> UUID:
        deployment = client.read_deployment_by_name(f"deliver/{source}")
        return client.create_flow_run_from_deployment(deployment.id, **options).id

    def done(self, source: str) -> list[str]:
        return (self.place / "done" / source).read_text().splitlines()

    def stop(self) -> None:
        for process in (*self.victims.values(), self.survivor, self.server):
            process.stop()

    def _victim(self, queue: str) -> Background:
        worker = self.local.worker
        command = [*worker.command, "--work-queue", f"victim-{queue}", f"--name=victim-{queue}"]
        command.remove("--name=this-machine")
        return self._background(f"victim-{queue}", worker, command)

    def _background(self, role: str, like: Background, command: Any = None) -> Background:
        return Background(role, like.directory, command or like.command, {**like.environment, **FAST})


@pytest.fixture
def scene(postgres: Postgres, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path, postgres.fresh("postgresql"))
    try:
        yield scene
    finally:
        scene.stop()


@pytest.mark.timeout(900)
def test_whatever_is_killed_the_runs_end_and_what_is_sealed_is_one_complete_history(scene: Scene) -> None:
    scene.server.start()
    scene.local.wait_for_server()
    with (
        temporary_settings({PREFECT_API_URL: f"{scene.local.url}/api"}),
        get_client(sync_client=True) as client,
    ):
        scene.register(pending_s=10)
        pending = start_pending(scene, client)
        scene.register()  # from here on, starting a process may take its time
        for source in PAUSED:
            (scene.place / "doom" / source).write_text("pause")
        (scene.place / "doom" / "poison").write_text("die")

        runs = {"pending": pending, **kill_them_all(scene, client)}

        ended = {source: wait_for_end(client, run) for source, run in runs.items()}
        names = {source: run.state_name for source, run in ended.items()}
        assert names == dict.fromkeys(SOURCES, "Completed") | {"poison": "GivenUp"}
        # What a killed worker leaves alive goes on until it has something to print.
        assert {source for source, run in ended.items() if run.run_count > 1} >= {"flow", "both", "term"}
        assert ended["poison"].run_count == 1 + scene.settings.recovery.max_recoveries
        wait(lambda: client.request("POST", "/events/filter", json=given_up(runs["poison"])).json()["events"])
        assert "crashed 3 times; given up" in str(ended["poison"].state)

        late = be_away_for_a_while(scene, client)

        for run in late:
            ended_as = wait_for_end(client, run)
            assert ended_as.state_name == "Completed", ended_as.state
    check_history(scene)


def kill_them_all(scene: Scene, client: SyncPrefectClient) -> dict[str, UUID]:
    """Start a run of each source, and kill what its name says."""
    v, t = scene.victims["v"], scene.victims["t"]
    v.start()
    t.start()
    runs = {source: scene.start(client, source, work_queue_name="victim-v") for source in ("worker", "both")}
    runs["term"] = scene.start(client, "term", work_queue_name="victim-t")
    wait(lambda: all((scene.place / "reached" / source).exists() for source in runs))

    os.kill(pid_of(v), signal.SIGKILL)
    os.kill(reached(scene, "both"), signal.SIGKILL)
    os.kill(pid_of(t), signal.SIGTERM)
    (scene.place / "go" / "worker").touch()

    scene.survivor.start()
    for source in ("flow", "poison"):
        runs[source] = scene.start(client, source)
    wait((scene.place / "reached" / "flow").exists)
    os.kill(reached(scene, "flow"), signal.SIGKILL)
    return runs


def start_pending(scene: Scene, client: SyncPrefectClient) -> UUID:
    """A run whose worker took it and died before it started a process."""
    far = datetime.now(UTC) + timedelta(hours=1)
    run = scene.start(client, "pending", state=Scheduled(scheduled_time=far))
    client.set_flow_run_state(run, Pending())
    wait(lambda: client.read_flow_run(run).state_name == "Crashed")
    return run


def be_away_for_a_while(scene: Scene, client: SyncPrefectClient) -> list[UUID]:
    """The server stops while slots pass and drops land; then late, doubled and out-of-order runs, and a redeploy."""
    (scene.place / "doom" / "poison").unlink()
    now = datetime.now(UTC)
    late = [
        scene.start(client, "flow", state=Scheduled(scheduled_time=now + timedelta(seconds=n)))
        for n in (1, 2)
    ]
    scene.server.stop()
    scene.land("flow", DROPS, DROPS + 1)
    wait(lambda: datetime.now(UTC) > now + timedelta(seconds=2))
    scene.server.start()
    scene.local.wait_for_server()
    scene.register()
    old = {"since": "2026-11-02", "until": "2026-11-03"}
    return [*late, scene.start(client, "flow", parameters=old), scene.start(client, "poison")]


def check_history(scene: Scene) -> None:
    """Each drop is sealed once and counted as it was; no batch was done again; everything proves itself."""
    runtime = wiring.build(scene.settings)
    sealed = list(sealed_drops(runtime))
    assert Counter((source, line["key"]) for source, line in sealed) == {
        (source, key): 1 for source in SOURCES for key in scene.contents[source]
    }
    for source, line in sealed:
        assert line["lines"] == counts.lines(scene.contents[source][line["key"]])
    for source in SOURCES:
        done = scene.done(source)
        assert sorted(text for text in done if text.startswith("sealed")) == [
            f"sealed {key}" for key in sorted(scene.contents[source])
        ]
        # A run that was thought dead and lives may begin beside the one that takes its place. Afterwards, none does.
        first = next(iter(scene.contents[source]))
        assert f"begun {first}" not in done[done.index(f"sealed {first}") :]
    report = evidence.verify_store(runtime)
    assert report.ok, report.findings
    check_sums(runtime, scene)


def check_sums(runtime: wiring.Runtime, scene: Scene) -> None:
    """Of each source, the sums of its entries are those of the drops that landed."""
    for source in SOURCES:
        texts = [text for data in scene.contents[source].values() for text in data.splitlines()]
        records = [text for text in texts if text.startswith(b"{")]
        sums: Counter[str] = Counter()
        for entry in seal_entries(runtime.store):
            sums.update(entry["sums"] if entry["source"] == source else {})
        assert sums["lines"] == len(texts)
        assert sums["accepted"] == len(set(records))
        assert sums["duplicate"] == len(records) - len(set(records))
        assert sums["quarantined"] == sum(text.startswith(b"broken") for text in texts)


def sealed_drops(runtime: wiring.Runtime) -> Iterator[tuple[str, dict[str, Any]]]:
    """Source and ledger line of every sealed drop."""
    for entry in seal_entries(runtime.store):
        for line in runtime.store.read(entry["ledger"]["path"], None).splitlines():
            yield entry["source"], json.loads(line)


def given_up(run: UUID) -> dict[str, Any]:
    """The filter of the event that alerts wait for."""
    return {
        "filter": {
            "event": {"name": ["prefect.flow-run.GivenUp"]},
            "resource": {"id": [f"prefect.flow-run.{run}"]},
        }
    }


def pid_of(process: Background) -> int:
    assert process.pid is not None
    return process.pid


def reached(scene: Scene, source: str) -> int:
    """The process that waits in the middle of its delivery."""
    return int((scene.place / "reached" / source).read_text())


def wait(for_what: Callable[[], Any]) -> None:
    end = time.monotonic() + WAIT_S
    while not for_what():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.2)


def wait_for_end(client: SyncPrefectClient, run: UUID) -> FlowRun:
    """The run when it has ended for good: crashed is not an end."""

    def has_ended() -> bool:
        state = client.read_flow_run(run).state
        return state is not None and state.is_final() and not state.is_crashed()

    wait(has_ended)
    return client.read_flow_run(run)
