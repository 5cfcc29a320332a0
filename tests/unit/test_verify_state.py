"""A verification that was killed goes on where it stopped, and nothing that was found is forgotten."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import UsageError
from tasks.export.verifier import verifier_archive
from tasks.verify import Report, reasons, verify
from tasks.verify.command import main
from tasks.verify.state import Journal
from tests.support.sealed_tree import SealedTree, example_batch, example_tree, policy_text
from tests.support.shared import REPO

NOON, LATER = "2026-11-24T12:00:00Z", "2026-11-24T13:00:00Z"
SUBJECT = {"store": "file:///store", "rows": True, "verifier": "indelible/1"}
KILLED = """
import os, signal, sys
from tasks.verify import command, objects

calls, check_rows = 0, objects.check_rows

def dies(*arguments):
    global calls
    calls += 1
    if calls > 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return check_rows(*arguments)

objects.check_rows = dies
command.main(sys.argv[1:])
"""


class Interrupted(Exception):
    """Stands for a kill in this process."""


class Watched(SealedTree):
    """Remembers what was read; dies at the object `poison`."""

    poison: str | None = None
    seen: list[str]

    @staticmethod
    def of(tree: SealedTree, poison: str | None = None) -> Watched:
        watched = Watched(tree.key, tree.objects, tree.entries, tree.year)
        watched.poison, watched.seen = poison, []
        return watched

    def read(self, path: str, version_id: str | None = None) -> bytes:
        if path == self.poison:
            raise Interrupted
        self.seen.append(path)
        return super().read(path, version_id)


def ledgers(tree: SealedTree) -> list[str]:
    return [entry["ledger"]["path"] for entry in tree.entries if entry["type"] == "seal"]


def run(tree: Watched, file: Path, at: str = NOON, subject: Mapping[str, Any] = SUBJECT) -> Report:
    journal = Journal(file, subject, at, resume=True)
    try:
        report = verify(tree, tree.policy, journal=journal)
    except Interrupted:
        journal.close()
        raise
    journal.end()
    return report


def interrupted(tree: SealedTree, file: Path) -> None:
    """Check all but the last batch."""
    with pytest.raises(Interrupted):
        run(Watched.of(tree, poison=ledgers(tree)[-1]), file)


def test_what_was_checked_is_not_read_again(tmp_path: Path) -> None:
    tree = example_tree()
    interrupted(tree, tmp_path / "state")
    again = Watched.of(tree)
    report = run(again, tmp_path / "state", LATER)
    assert set(ledgers(tree)) & set(again.seen) == {ledgers(tree)[-1]}
    assert report.resumed == {"entries": len(ledgers(tree)) - 1, "began_at": NOON}
    whole = verify(tree, tree.policy).counted
    assert [report.counted[name] for name in ("drops", "lines", "rows")] == [
        whole[name] for name in ("drops", "lines", "rows")
    ]
    assert not (tmp_path / "state").exists()


def test_what_was_found_stays_found(tmp_path: Path) -> None:
    tree = example_tree()
    first = ledgers(tree)[0]
    whole, tree.objects[first] = tree.objects[first], b"x" * len(tree.objects[first])
    interrupted(tree, tmp_path / "state")
    tree.objects[first] = whole
    report = run(Watched.of(tree), tmp_path / "state")
    assert not report.ok
    assert (reasons.OBJECT_HASH, first) in {(found.reason, found.path) for found in report.findings}


def test_another_entry_is_checked_however_much_it_resembles_the_old_one(tmp_path: Path) -> None:
    tree = example_tree()
    interrupted(tree, tmp_path / "state")
    forged = example_tree()
    forged.entries[1]["sums"] = {**forged.entries[1]["sums"], "bytes": 1}
    forged.seal()
    report = run(Watched.of(forged), tmp_path / "state")
    assert reasons.ENTRY_SUMS in {found.reason for found in report.findings}


def test_logs_are_checked_again_whatever_the_state_says(tmp_path: Path) -> None:
    tree = example_tree()
    interrupted(tree, tmp_path / "state")
    path = next(path for path in tree.objects if "/checkpoints/" in path)
    tree.objects[path] = b"nothing"
    assert not run(Watched.of(tree), tmp_path / "state").ok


@pytest.mark.parametrize("change", [{"store": "file:///other"}, {"rows": False}, {"verifier": "indelible/2"}])
def test_the_state_of_another_check_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    interrupted(example_tree(), tmp_path / "state")
    with pytest.raises(UsageError, match="belongs to another check"):
        Journal(tmp_path / "state", SUBJECT | change, NOON, resume=True)
    Journal(tmp_path / "state", SUBJECT | change, NOON, resume=False).close()


@pytest.mark.parametrize("rest", [b'{"leaf":', b"\xff\xfe\n", b"[1]\n", b'{"leaf":"00"'])
def test_a_line_that_was_cut_off_is_left_out_and_written_again(tmp_path: Path, rest: bytes) -> None:
    tree, file = example_tree(), tmp_path / "state"
    interrupted(tree, file)
    whole = file.read_bytes()
    file.write_bytes(whole + rest)
    interrupted(tree, file)
    assert file.read_bytes() == whole


def test_a_run_killed_on_a_copy_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = example_tree([example_batch("app", number) for number in range(8)], sizes=(9,))
    tree.write(tmp_path / "copy")
    (tmp_path / "policy").write_text(policy_text(tree.key))
    line = [str(tmp_path / "copy"), "--policy", str(tmp_path / "policy"), "--state", str(tmp_path / "state")]
    killed = subprocess.run([sys.executable, "-c", KILLED, *line], cwd=REPO, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert main(line) == 0
    assert "The objects of 2 entries were checked in the run that began 2" in capsys.readouterr().out
    assert not (tmp_path / "state").exists()


def test_the_archive_of_a_bundle_needs_no_installation_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_installed(_: str) -> str:
        raise PackageNotFoundError

    archive = tmp_path / "indelible-verify.pyz"
    archive.write_bytes(verifier_archive())
    tree = example_tree()
    tree.write(tmp_path / "copy")
    (tmp_path / "policy").write_text(policy_text(tree.key))
    line = [str(tmp_path / "copy"), "--policy", str(tmp_path / "policy"), "--state", str(tmp_path / "state")]
    monkeypatch.setattr("tasks.verify.command.version", not_installed)
    monkeypatch.setattr(sys, "argv", [str(archive)])
    assert main(line) == 0


def test_a_bundle_is_checked_in_one_go(tmp_path: Path) -> None:
    tree = example_tree()
    tree.objects["bundle.json"] = (
        b'{"created_at":"","format":"indelible-bundle/1","objects":[],"since":"","sources":[],'
        b'"store_uri":"","until":""}'
    )
    with pytest.raises(UsageError, match="in one go"):
        run(Watched.of(tree), tmp_path / "state")
