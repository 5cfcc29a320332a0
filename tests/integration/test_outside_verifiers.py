"""Programs that others could have written accept our logs and proofs, and notice one flipped byte.

Go (Debian's `golang-go` and `golang-golang-x-mod-dev`) checks whole log directories; Node checks proofs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from tasks.evidence.policy import parse_policy, policy_text
from tasks.evidence.proof import build
from tasks.log import cosign
from tasks.storage.local import LocalStore
from tests.support.logs import MemoryLog
from tests.support.proofs import record_proof
from tests.support.sealed_store import LATER, SealedStore
from tests.support.sealed_store import signer as sealed_by
from tests.support.shared import SHARED
from tests.support.witnesses import make_witness, witness_signer

VERIFIERS = SHARED / "verifiers"
SIZES = (1, 7, 255, 256, 300, 512, 517, 700)
ENTRIES = [b'{"entry":%d}' % index for index in range(SIZES[-1])]
BUNDLE = "tile/entries/001"
TILE = "tile/0/002.p/188"


@pytest.fixture(scope="session")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go verifier as it lies in the shared material: it asks for one cosignature."""
    return go_build(tmp_path_factory.mktemp("go"), (VERIFIERS / "tlog_verify.go").read_text())


@pytest.fixture(scope="session")
def lone_verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for logs without a witness."""
    source = (VERIFIERS / "tlog_verify.go").read_text()
    adapted = source.replace("v.Name(), vs, 2)", "v.Name(), vs, 1)")
    assert adapted != source
    return go_build(tmp_path_factory.mktemp("go-lone"), adapted)


def go_build(directory: Path, source: str) -> Path:
    (directory / "verify.go").write_text(source)
    environment = {
        "GO111MODULE": "off",
        "GOPATH": "/usr/share/gocode",
        "GOCACHE": os.environ.get("GOCACHE") or str(Path.home() / ".cache" / "go-build"),
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
    }
    command = ["go", "build", "-o", "verify", "verify.go"]
    subprocess.run(command, cwd=directory, env=environment, check=True, timeout=280)
    return directory / "verify"


def write_log(directory: Path, *, cosigned: bool = True) -> MemoryLog:
    log = MemoryLog()
    (directory / "checkpoints").mkdir(parents=True)
    for size in SIZES:
        log.grow(ENTRIES[log.size : size])
        (directory / "checkpoints" / f"{size:020d}").write_bytes(log.checkpoint(cosigned=cosigned))
    (directory / "checkpoint").write_bytes(log.checkpoint(cosigned=cosigned))
    log.write(directory)
    return log


def judge(verifier: Path, directory: Path, log: MemoryLog) -> subprocess.CompletedProcess[str]:
    command = [str(verifier), str(directory), log.signer.vkey, log.witness.vkey]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def flip(file: Path, position: int) -> None:
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)


def test_go_accepts_the_log_and_every_older_checkpoint(verifier: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path)
    verdict = judge(verifier, tmp_path, log)
    assert verdict.returncode == 0, verdict.stdout
    assert verdict.stdout.startswith(f"OK size={SIZES[-1]} ")
    assert verdict.stdout.rstrip().endswith(f"old_checkpoints={len(SIZES)}")


def test_go_accepts_a_log_without_witness_when_it_asks_for_none(lone_verifier: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path, cosigned=False)
    verdict = judge(lone_verifier, tmp_path, log)
    assert verdict.returncode == 0, verdict.stdout


def test_go_refuses_a_log_without_the_cosignature_that_it_asks_for(verifier: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path, cosigned=False)
    assert judge(verifier, tmp_path, log).returncode == 1


@pytest.mark.parametrize(
    ("path", "position", "complaint"),
    [
        (TILE, 100, "tiles"),
        (BUNDLE, 100, "hash mismatch"),
        ("checkpoint", 30, "note"),
        (f"checkpoints/{300:020d}", 30, "note"),
    ],
)
def test_go_refuses_one_flipped_byte(
    verifier: Path, tmp_path: Path, path: str, position: int, complaint: str
) -> None:
    log = write_log(tmp_path)
    flip(tmp_path / path, position)
    verdict = judge(verifier, tmp_path, log)
    assert verdict.returncode == 1
    assert complaint in verdict.stdout


def test_go_refuses_a_missing_tile(verifier: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path)
    (tmp_path / TILE).unlink()
    assert judge(verifier, tmp_path, log).returncode == 1


def test_go_accepts_a_copy_of_a_store_that_our_witness_cosigned(
    verifier: Path, local_store: LocalStore, tmp_path: Path
) -> None:
    sealed = SealedStore(local_store).open()
    for day in (1, 2, 3):
        sealed.add("app", date(2026, 11, day))
        sealed.sign()
    key = sealed_by().verifier
    witness = make_witness(tmp_path, lambda: [key])
    policy = parse_policy(policy_text([key.vkey], {"w1": (witness_signer().vkey, "http://127.0.0.1:1")}))
    command = [str(verifier), str(tmp_path / "store" / "log" / "2026"), key.vkey, witness_signer().vkey]
    before = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert before.returncode == 1
    cosign.cosign(local_store, 2026, policy, {"w1": witness.add_checkpoint}, LATER)
    after = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert after.returncode == 0, after.stdout
    assert after.stdout.startswith("OK size=4 ")


def node_judges(directory: Path, proof: bytes, entry: bytes, vkey: str) -> subprocess.CompletedProcess[str]:
    assert shutil.which("node"), "install nodejs: this test needs an independent verifier"
    (directory / "record.tlog-proof").write_bytes(proof)
    (directory / "entry.json").write_bytes(entry)
    command = ["node", str(VERIFIERS / "tlog_proof_verify.mjs"), "record.tlog-proof", "entry.json", vkey]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=60)


def test_node_accepts_a_record_proof_as_the_tlog_proof_that_it_is(tmp_path: Path) -> None:
    proof, log = record_proof()
    verdict = node_judges(tmp_path, build(proof), proof.entry, log.signer.vkey)
    assert verdict.returncode == 0, verdict.stderr
    assert f"index {proof.index}" in verdict.stdout


@pytest.mark.parametrize(("line", "column"), [(2, 6), (3, 20), (-6, 0), (-5, 20), (-3, 80)])
def test_node_refuses_one_changed_byte_of_index_hash_size_root_or_signature(
    tmp_path: Path, line: int, column: int
) -> None:
    proof, log = record_proof()
    lines = build(proof).split(b"\n")
    old = lines[line]
    lines[line] = old[:column] + (b"4" if old[column : column + 1] != b"4" else b"3") + old[column + 1 :]
    verdict = node_judges(tmp_path, b"\n".join(lines), proof.entry, log.signer.vkey)
    assert verdict.returncode != 0


def test_node_refuses_a_changed_entry(tmp_path: Path) -> None:
    proof, log = record_proof()
    entry = proof.entry.replace(b"indelible/0.1.0", b"indelible/0.1.1")
    assert entry != proof.entry
    assert node_judges(tmp_path, build(proof), entry, log.signer.vkey).returncode != 0
