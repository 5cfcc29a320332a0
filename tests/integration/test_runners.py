"""Threads, processes or a Dask cluster: a setting, and the same sealed state. A Dask worker that dies loses nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from flows import evidence
from flows.deliver import deliver
from flows.run_settings import RunSettings
from flows.runners import spread
from flows.work import open_runtime
from tests.flows.conftest import place, prefect_server
from tests.support.faults import drop_text, ledger_lines, seal_entries, write_contract
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
DROPS = 6
SUMS = ("lines", "accepted", "duplicate", "quarantined", "blank", "bytes", "drops")

__all__ = ["place", "prefect_server"]
pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture
def landed(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Drops that share a record, each a batch of its own, so that runners race for it."""
    write_contract(place / "contracts")
    landing = place / "landing" / "small"
    landing.mkdir()
    for number in range(DROPS):
        (landing / f"{number:03d}.ndjson").write_bytes(drop_text(number))
    monkeypatch.setenv("INDELIBLE_CONTRACTS", str(place / "contracts"))
    monkeypatch.setenv("INDELIBLE_LANDING__URIS", json.dumps({"small": landing.as_uri()}))
    monkeypatch.setenv("INDELIBLE_LIMITS__BATCH_DROPS", "1")
    return place


def settings(monkeypatch: pytest.MonkeyPatch, **run: Any) -> None:
    for name, value in run.items():
        monkeypatch.setenv(f"INDELIBLE_RUN__{name.upper()}", str(value))


def check_sealed() -> None:
    """Each drop once, with the sums that one runner alone would have sealed; all of it proves itself."""
    runtime = open_runtime()
    keys = Counter(line["key"] for line in ledger_lines(runtime.store))
    assert keys == {f"{n:03d}.ndjson": 1 for n in range(DROPS)}
    sums = [entry["sums"] for entry in seal_entries(runtime.store)]
    texts = [drop_text(n) for n in range(DROPS)]
    assert {name: sum(s[name] for s in sums) for name in SUMS} == {
        "lines": 6 * DROPS,
        "accepted": 3 * DROPS + 1,
        "duplicate": DROPS - 1,
        "quarantined": DROPS,
        "blank": DROPS,
        "bytes": sum(map(len, texts)),
        "drops": DROPS,
    }
    report = evidence.verify_store(runtime)
    assert report.ok, report.findings


@pytest.mark.parametrize(
    ("runner", "workers"),
    [("threads", 1), ("threads", 3), ("processes", 2)],
    ids=["one", "threads", "processes"],
)
def test_the_sealed_state_is_the_same_whatever_runs_the_batches(
    landed: Path, monkeypatch: pytest.MonkeyPatch, runner: str, workers: int
) -> None:
    monkeypatch.setattr("tasks.validate.stage.run_gate", lambda frame, contract: (True, {"results": []}))
    settings(monkeypatch, runner=runner, workers=workers)

    state: Any = deliver(source="small", return_state=True)

    assert (state.name, state.message) == (
        "Completed",
        f"6 batches sealed: {3 * DROPS + 1} of 36 lines accepted.",
    )
    check_sealed()


def test_batches_in_flight_are_bounded() -> None:
    drawn, most = [], 0

    def calls() -> Iterator[dict[str, Any]]:
        for number in range(10):
            drawn.append(number)
            yield {"number": number}

    def done(number: int) -> int:
        return number

    from prefect import flow, task

    @flow
    def run() -> list[int]:
        nonlocal most
        results: list[int] = []
        for result in spread(RunSettings(workers=2, in_flight=3), task(done), calls()):
            most = max(most, len(drawn) - len(results))
            results.append(result)
        return results

    assert run() == list(range(10))
    assert most == 3 + 1  # the one that is drawn waits for room


class Cluster:
    """A scheduler and two worker processes, and what their tasks wrote down."""

    def __init__(self, base: Path) -> None:
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.notes = base / "notes"
        self.notes.mkdir()
        self._base = base
        self._started: list[subprocess.Popen[bytes]] = []
        self._start("scheduler", "--host=127.0.0.1", f"--port={self.port}", "--no-dashboard")
        options = (self.address, "--nthreads=1", "--no-nanny", "--no-dashboard", "--host=127.0.0.1")
        for name in ("a", "b"):
            self._start("worker", *options, f"--name={name}", "--preload=tests.support.slow_batches")

    def wait(self) -> None:
        with Client(self.address, timeout="60s") as client:  # type: ignore[no-untyped-call]
            client.wait_for_workers(2, timeout=60)

    def noted(self, what: str) -> Counter[str]:
        return Counter(p.read_text().strip() for p in self.notes.glob(f"{what}-*"))

    def stop(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()

    def _start(self, what: str, *options: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NOTES": str(self.notes)}
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, *options]
        log = (self._base / f"{what}-{len(self._started)}.log").open("wb")
        self._started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))


@pytest.fixture
def cluster(landed: Path) -> Iterator[Cluster]:
    cluster = Cluster(landed)
    try:
        cluster.wait()
        yield cluster
    finally:
        cluster.stop()


@pytest.mark.timeout(240)
def test_when_a_dask_worker_is_killed_its_batch_moves_and_nothing_finished_runs_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(monkeypatch, runner="dask", workers=2, dask_address=cluster.address)
    (cluster.notes / "doom").write_text("002.ndjson")

    state: Any = deliver(source="small", return_state=True)

    assert state.name == "Completed", state.message
    assert cluster.noted("died") == {"002.ndjson": 1}
    begun = cluster.noted("begun")
    assert begun.pop("002.ndjson") == 2
    assert begun == {f"{n:03d}.ndjson": 1 for n in range(DROPS) if n != 2}
    check_sealed()
