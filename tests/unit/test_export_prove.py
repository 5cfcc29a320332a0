"""One record's proof: it proves, it costs one row group, and it is refused where it would not prove."""

from __future__ import annotations

import json
import subprocess
from datetime import date
from pathlib import Path

import pytest

from tasks.errors import NotFoundError, VerificationError
from tasks.evidence import paths, proof
from tasks.evidence.policy import Policy
from tasks.evidence.proof import inflate
from tasks.evidence.tlog_proof import parse_tlog_proof
from tasks.export.prove import ProvenRecord, prove
from tasks.leaves import ROW_GROUP
from tasks.storage.local import LocalStore
from tests.support.sealed_store import SIGNER, SealedStore, verifiers_of
from tests.support.shared import SHARED

DAY = date(2026, 11, 1)
POLICY = Policy((SIGNER.verifier,), {}, {}, "none")
NODE_VERIFIER = SHARED / "verifiers" / "tlog_proof_verify.mjs"


class MeteredStore(LocalStore):
    """Counts what is read of data files."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.ranged, self.whole = 0, 0

    def read(self, path: str, version_id: str | None = None) -> bytes:
        self.whole += path.startswith(paths.DATA_PREFIX)
        return super().read(path, version_id)

    def read_range(self, path: str, start: int, length: int, version_id: str | None = None) -> bytes:
        data = super().read_range(path, start, length, version_id)
        self.ranged += len(data)
        return data


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> SealedStore:
    """A file of two row groups, between two small batches."""
    sealed = SealedStore(MeteredStore(tmp_path_factory.mktemp("large"))).open()
    sealed.add("gateway", DAY)
    sealed.add("cloudtrail", DAY, ROW_GROUP + 10)
    sealed.add("gateway", DAY, 5)
    return sealed.sign()


@pytest.fixture
def small(local_store: LocalStore) -> SealedStore:
    sealed = SealedStore(local_store).open()
    sealed.add("gateway", DAY, 7)
    return sealed.sign()


def record_id(sealed: SealedStore, batch: int, row: int) -> str:
    return str(paths.record_id(sealed.sealed[batch].entry["files"][0]["sha256"], row))


def checked(proven: ProvenRecord) -> proof.RecordProof:
    parsed = proof.parse(proven.data)
    assert proof.check(parsed, POLICY) == proven.record
    assert str(parsed.record_id()) == proven.record_id
    return parsed


@pytest.mark.parametrize("row", [0, ROW_GROUP - 1, ROW_GROUP, ROW_GROUP + 9])
def test_any_row_of_a_file_of_several_row_groups_is_proven(large: SealedStore, row: int) -> None:
    parsed = checked(prove(large.store, record_id(large, 1, row), verifiers_of))
    assert parsed.record["_line"] == row + 1
    assert parsed.record["actor"] == f"psn:{row}"
    assert parsed.index == 2


def test_the_proof_reads_one_row_group_by_ranges(large: SealedStore) -> None:
    store = large.store
    assert isinstance(store, MeteredStore)
    store.ranged = store.whole = 0
    prove(store, record_id(large, 1, ROW_GROUP + 3), verifiers_of)
    assert store.whole == 0
    assert store.ranged < large.sealed[1].entry["files"][0]["bytes"] / 2


def test_a_record_is_proven_under_the_newest_checkpoint(small: SealedStore) -> None:
    before = prove(small.store, record_id(small, 0, 3), verifiers_of)
    small.add("gateway", DAY, 2)
    after = prove(small.sign().store, record_id(small, 0, 3), verifiers_of)
    assert (before.size, after.size) == (2, 3)
    assert checked(before).record == checked(after).record


def test_an_unknown_id_says_where_ids_come_from(small: SealedStore) -> None:
    with pytest.raises(NotFoundError, match="no sealed file") as caught:
        prove(small.store, f"{'0' * 32}-0", verifiers_of)
    assert "indelible query" in caught.value.next_step


def test_a_row_beyond_the_file_is_not_found(small: SealedStore) -> None:
    with pytest.raises(NotFoundError, match="7 rows"):
        prove(small.store, record_id(small, 0, 7), verifiers_of)


@pytest.mark.parametrize("text", ["", "abc", f"{'0' * 32}-01", f"{'A' * 32}-1", f"{'0' * 32}-1 "])
def test_a_malformed_id_is_refused(small: SealedStore, text: str) -> None:
    with pytest.raises(VerificationError, match="malformed-record-id"):
        prove(small.store, text, verifiers_of)


def test_a_record_that_no_checkpoint_covers_yet_is_not_handed_out(small: SealedStore) -> None:
    small.add("gateway", DAY, 4)
    with pytest.raises(NotFoundError, match="no checkpoint covers it yet") as caught:
        prove(small.store, record_id(small, 1, 0), verifiers_of)
    assert "deliver" in caught.value.next_step


def test_a_changed_file_never_gives_a_wrong_proof(small: SealedStore, tmp_path: Path) -> None:
    path = tmp_path / "store" / small.sealed[0].entry["files"][0]["path"]
    path.chmod(0o644)
    original, refused = path.read_bytes(), 0
    for position in range(0, len(original), 37):
        damaged = bytearray(original)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        try:
            proven = prove(small.store, record_id(small, 0, 2), verifiers_of)
        except VerificationError:
            refused += 1
        else:
            assert checked(proven).record["actor"] == "psn:2"
    assert refused > 20


def test_a_log_of_another_key_is_refused(small: SealedStore) -> None:
    from tests.support.logs import MemoryLog

    with pytest.raises(VerificationError, match="checkpoint-unknown-key"):
        prove(small.store, record_id(small, 0, 0), lambda _: (MemoryLog().signer.verifier,))


def test_an_outside_verifier_accepts_the_proof_and_rejects_another_entry(
    small: SealedStore, tmp_path: Path
) -> None:
    proven = prove(small.store, record_id(small, 0, 1), verifiers_of)
    file, entry = tmp_path / "record.proof", tmp_path / "entry"
    file.write_bytes(proven.data)
    extra = parse_tlog_proof(proven.data).extra
    assert extra is not None
    data = json.loads(inflate(extra))["entry"].encode()
    for content, accepted in ((data, True), (data.replace(b'"lines":8', b'"lines":9'), False)):
        entry.write_bytes(content)
        run = subprocess.run(
            ["node", NODE_VERIFIER, file, entry, SIGNER.vkey], capture_output=True, check=False
        )
        assert (run.returncode == 0) is accepted, run.stderr
