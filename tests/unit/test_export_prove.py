"""One record's proof: it proves, it costs one row group, and it is refused where it would not prove."""

from __future__ import annotations

import json
import subprocess
from datetime import date
from pathlib import Path

import pytest

from tasks.errors import NotFoundError, VerificationError
from tasks.evidence import paths, proof
from tasks.evidence.canonical import canonical_json
from tasks.evidence.policy import Policy
from tasks.evidence.proof import inflate
from tasks.evidence.tlog_proof import parse_tlog_proof
from tasks.export.prove import ProvenRecord, prove, prove_all
from tasks.leaves import ROW_GROUP
from tasks.storage.local import LocalStore
from tests.support.sealed_store import SIGNER, YEAR, SealedStore, verifiers_of
from tests.support.shared import SHARED

DAY = date(2026, 11, 1)
POLICY = Policy((SIGNER.verifier,), {}, {}, "none")
NODE_VERIFIER = SHARED / "verifiers" / "tlog_proof_verify.mjs"


class MeteredStore(LocalStore):
    """Counts what is read of data files."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.ranged, self.whole, self.requests, self.entries = 0, 0, 0, 0

    def read(self, path: str, version_id: str | None = None) -> bytes:
        self.whole += path.startswith(paths.DATA_PREFIX)
        self.entries += "/tile/entries/" in path
        return super().read(path, version_id)

    def read_range(self, path: str, start: int, length: int, version_id: str | None = None) -> bytes:
        data = super().read_range(path, start, length, version_id)
        self.ranged += len(data)
        self.requests += 1
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


def metered(sealed: SealedStore) -> MeteredStore:
    store = sealed.store
    assert isinstance(store, MeteredStore)
    store.ranged = store.whole = store.requests = store.entries = 0
    return store


def test_the_proof_reads_one_row_group_in_a_few_requests(large: SealedStore) -> None:
    store = metered(large)
    prove(store, record_id(large, 1, ROW_GROUP + 3), verifiers_of)
    assert store.whole == 0
    assert store.requests <= 3
    assert store.ranged < large.sealed[1].entry["files"][0]["bytes"] / 2


def test_a_hint_saves_reading_the_log_and_a_wrong_one_costs_nothing_but_time(large: SealedStore) -> None:
    wanted = record_id(large, 2, 4)
    store, file = metered(large), wanted[:32]
    hinted = prove(store, wanted, verifiers_of, hints={file: (YEAR, 3)})
    assert store.entries == 0
    for wrong in (
        {file: (YEAR, 1)},
        {file: (YEAR, 0)},
        {file: (YEAR, 99)},
        {file: (1999, 3)},
        {"0" * 32: (YEAR, 3)},
    ):
        assert prove(store, wanted, verifiers_of, hints=wrong) == hinted


def test_many_records_are_proven_in_the_order_of_their_ids_and_each_row_group_is_read_once(
    large: SealedStore,
) -> None:
    rows = [70_000 % (ROW_GROUP + 10), 5, 1_023, 1_024, 2_047, 40_000, ROW_GROUP, ROW_GROUP + 9, 5]
    ids = [record_id(large, 1, row) for row in rows] + [record_id(large, 0, 1), record_id(large, 2, 0)]
    store = metered(large)
    proven = list(prove_all(store, ids, verifiers_of))
    assert [item.record_id for item in proven] == [
        str(r) for r in sorted({paths.parse_record_id(i) for i in ids})
    ]
    assert all(checked(item).record["_line"] == item.row + 1 for item in proven)
    assert store.requests <= 3 * 3
    assert store.ranged <= 1.2 * sum(batch.entry["files"][0]["bytes"] for batch in large.sealed)


def test_one_record_that_is_not_there_means_that_none_is_proven(large: SealedStore) -> None:
    good = record_id(large, 1, 3)
    for bad in (f"{'0' * 32}-0", record_id(large, 2, 5)):
        with pytest.raises(NotFoundError):
            prove_all(large.store, [good, bad], verifiers_of)


def test_the_proof_of_a_record_is_small(large: SealedStore) -> None:
    proven = prove(large.store, record_id(large, 1, ROW_GROUP + 3), verifiers_of)
    assert len(proven.data) - len(canonical_json(proven.record)) < 4_096


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
