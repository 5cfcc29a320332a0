"""The operator's check of a store: over several processes, and on again after a SIGKILL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import evidence, pipeline
from flows.wiring import Runtime
from tasks.errors import UsageError
from tasks.storage.local import LocalStore
from tests.support.command import indelible
from tests.support.faults import SOURCE, land, remembered_gate, small_runtime, write_contract
from tests.support.shared import REPO

BATCHES = 4
KILLED = """
import os, signal, sys
from flows.cli import main
from tasks.verify.state import Journal

record, kept = Journal.record, []

def dies(journal, leaf, found):
    record(journal, leaf, found)
    kept.append(leaf)
    if len(kept) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

Journal.record = dies
main()
"""


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    base = tmp_path_factory.mktemp("delivered")
    write_contract(base / "contracts")
    runtime = small_runtime(LocalStore(base / "store"), base, base / "landing")
    with remembered_gate():
        for number in range(BATCHES):
            land(base / "landing", number)
            pipeline.deliver(runtime, SOURCE)
        yield runtime


@pytest.fixture
def environment(delivered: Runtime) -> dict[str, str]:
    base = delivered.settings.state.parent
    return {
        "INDELIBLE_STATE": str(base / "state"),
        "INDELIBLE_STORE__URI": (base / "store").as_uri(),
        "INDELIBLE_LOG__ORIGIN": delivered.settings.log.origin,
        "INDELIBLE_CONTRACTS": str(base / "contracts"),
        "INDELIBLE_KEYS__DIRECTORY": str(base / "keys"),
    }


def test_two_processes_say_what_one_says(delivered: Runtime) -> None:
    assert evidence.verify_store(delivered, processes=2) == evidence.verify_store(delivered)


def test_a_killed_check_goes_on_where_it_was(
    delivered: Runtime, environment: dict[str, str], tmp_path: Path
) -> None:
    state = delivered.settings.state / "verify.jsonl"
    line = [sys.executable, "-c", KILLED, "verify"]
    killed = subprocess.run(
        line, cwd=tmp_path, env={"PYTHONPATH": str(REPO), **environment}, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert state.exists()
    checked = indelible("verify", "--resume", "--json", directory=tmp_path, environment=environment)
    report = json.loads(checked.stdout)
    assert (report["ok"], report["resumed"]["entries"], report["counted"]["drops"]) == (True, 2, BATCHES)
    assert not state.exists()


def test_what_was_kept_of_a_check_without_rows_is_no_check_with_rows(delivered: Runtime) -> None:
    with pytest.raises(ZeroDivisionError), evidence.journal_of(delivered, rows=False, resume=False):
        _ = 1 / 0
    with (
        pytest.raises(UsageError, match="belongs to another check"),
        evidence.journal_of(delivered, rows=True, resume=True),
    ):
        pass
    with evidence.journal_of(delivered, rows=True, resume=False) as journal:
        assert evidence.verify_store(delivered, journal=journal).resumed is None


def test_one_object_is_checked_alone(delivered: Runtime) -> None:
    path = next(info.path for info in delivered.store.list("data/"))
    report = evidence.verify_store(delivered, only=path)
    assert (report.ok, report.counted["objects"]) == (True, 1)
