"""Many proofs in one place: each is judged alone, by name, under the policy that was passed."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.evidence.proof import build
from tasks.verify.proofs import are_proofs, verify_proofs
from tasks.verify.readers import DirectoryReader, ZipReader
from tasks.verify.report import Report, Verdict
from tests.support.auditor import auditor
from tests.support.logs import MemoryLog
from tests.support.proofs import record_proof
from tests.support.sealed_tree import example_tree


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Nine good proofs, one of them with the person withheld."""
    place = tmp_path / "proofs"
    place.mkdir()
    for row in range(9):
        proof, _ = record_proof(row=row)
        (place / f"{row}.proof").write_bytes(build(proof.withhold() if row == 4 else proof))
    return place


@pytest.fixture
def log() -> MemoryLog:
    return record_proof()[1]


def archived(directory: Path) -> Path:
    target = directory.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as archive:
        for file in directory.iterdir():
            archive.write(file, file.name)
    return target


def verified(directory: Path, log: MemoryLog) -> Report:
    return verify_proofs(DirectoryReader(directory), log.policy(), lambda *_: None)


def test_good_proofs_hold_in_a_directory_and_in_an_archive(directory: Path, log: MemoryLog) -> None:
    for reader in (DirectoryReader(directory), ZipReader(archived(directory))):
        report = verify_proofs(reader, log.policy(), lambda *_: None)
        assert report.ok
        assert report.findings == ()
        assert dict(report.counted) == {"records": 9}
        assert [shard.size for shard in report.shards] == [5]


def test_each_bad_proof_is_named_with_its_reason_and_the_others_hold(directory: Path, log: MemoryLog) -> None:
    proof, _ = record_proof()
    bad = {
        "changed": (build(replace(proof, record={**proof.record, "ok": None})), "record-changed"),
        "entry": (build(replace(proof, index=3)), "entry-not-in-log"),
        "noise": (b"noise", "malformed-proof"),
        "unsigned": (build(replace(proof, checkpoint=b"x")), "malformed-note"),
    }
    for name, (data, _) in bad.items():
        (directory / f"{name}.proof").write_bytes(data)
    (directory / "README.txt").write_text("not read")
    report = verified(directory, log)
    assert report.counted["records"] == 9
    told = {f.path: f.reason for f in report.findings if f.verdict is Verdict.CHANGED}
    assert told == {f"{name}.proof": reason for name, (_, reason) in bad.items()}
    assert [f.path for f in report.findings if f.verdict is Verdict.NOT_MEASURED] == ["README.txt"]


def test_a_copy_of_a_store_and_an_empty_place_are_no_proofs(tmp_path: Path, directory: Path) -> None:
    assert are_proofs(DirectoryReader(directory))
    (tmp_path / "empty").mkdir()
    assert not are_proofs(DirectoryReader(tmp_path / "empty"))
    copy = example_tree().write(tmp_path / "copy")
    (copy / "stray.proof").write_bytes(b"x")
    assert not are_proofs(DirectoryReader(copy))


def test_the_auditors_command_counts_them_and_exits_by_what_it_finds(
    directory: Path, log: MemoryLog, tmp_path: Path
) -> None:
    policy = tmp_path / "policy"
    policy.write_text(f"log {log.signer.vkey}\nquorum none\n")
    run = auditor(archived(directory), "--policy", policy)
    assert (run.returncode, run.stderr) == (0, "")
    assert "Proven: 9 records." in run.stdout
    (directory / "0.proof").write_bytes(b"noise")
    run = auditor(directory, "--policy", policy, "--json")
    assert run.returncode == 6
    report = json.loads(run.stdout)
    assert (report["ok"], report["counted"]) == (False, {"records": 8})
    assert auditor(directory).returncode == 2
