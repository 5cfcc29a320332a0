"""A log shard in a store: taking an index, integrating, reading behind a stale pointer, the next year."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.errors import AlreadyExistsError, NotFoundError, StoreRefusedError, VerificationError
from tasks.evidence import paths
from tasks.evidence.canonical import canonical_json
from tasks.evidence.merkle import leaf_hash, root
from tasks.evidence.note import NoteSigner
from tasks.evidence.policy import parse_policy
from tasks.log import reader, writer
from tasks.storage.local import LocalStore
from tests.support.entries import filler
from tests.support.faults import MOMENT, Fault, FaultyStore, ProcessDiedError, die
from tests.support.logs import private_key

YEAR = 2026
LATER = datetime(2040, 1, 1, tzinfo=UTC)


def signer(year: int) -> NoteSigner:
    return NoteSigner(f"audit.example/test/{year}", private_key(f"log {year}"))


def beat(number: int) -> bytes:
    return canonical_json(filler(number))


def opened(store: FaultyStore, year: int = YEAR) -> None:
    writer.open_shard(store.as_store(), year, signer(year), LATER, sealed_at=f"{year}-11-24T10:00:00Z")


def grow(store: FaultyStore, count: int, year: int = YEAR) -> None:
    size = sum(1 for _ in reader.entries(store.as_store(), year, 0))
    for number in range(size, size + count):
        writer.append(store.as_store(), year, number, beat(number), LATER)


def integrate(store: FaultyStore, year: int = YEAR) -> writer.Integrated:
    return writer.integrate(store.as_store(), year, signer(year), LATER)


@pytest.fixture
def log(local_store: LocalStore) -> FaultyStore:
    """An open shard of 2026."""
    store = FaultyStore(local_store, clock=MOMENT)
    opened(store)
    return store


def entries(store: FaultyStore, start: int = 0, year: int = YEAR) -> list[tuple[int, bytes]]:
    return list(reader.entries(store.as_store(), year, start))


def test_an_index_is_taken_once(log: FaultyStore) -> None:
    writer.append(log.as_store(), YEAR, 1, beat(1), LATER)
    with pytest.raises(AlreadyExistsError):
        writer.append(log.as_store(), YEAR, 1, beat(2), LATER)
    assert entries(log, 1) == [(1, beat(1))]


def test_the_root_is_that_of_the_entries_in_their_order(log: FaultyStore) -> None:
    grow(log, 5)
    integrated = integrate(log)
    assert integrated.advanced
    assert integrated.size == 6
    assert integrated.root == root(b"".join(leaf_hash(data) for _, data in entries(log))).hex()


def test_integrating_again_changes_nothing(log: FaultyStore) -> None:
    grow(log, 2)
    first = integrate(log)
    before = {info.path: log.inner.read(info.path) for info in log.inner.list()}
    again = integrate(log)
    assert (again.size, again.root, again.note) == (first.size, first.root, first.note)
    assert not again.advanced
    assert {info.path: log.inner.read(info.path) for info in log.inner.list()} == before


def test_growing_in_steps_gives_the_root_of_growing_at_once(log: FaultyStore, tmp_path: Path) -> None:
    other = FaultyStore(LocalStore(tmp_path / "other"), clock=MOMENT)
    opened(other)
    for count in (1, 4, 252):  # the last one fills the first tile and begins another
        grow(log, count)
        stepwise = integrate(log)
    grow(other, 257)
    assert integrate(other).root == stepwise.root
    assert entries(log, 254) == entries(other, 254)


def test_entries_are_read_across_the_checkpoint_to_the_end_of_the_sequence(log: FaultyStore) -> None:
    grow(log, 3)
    integrate(log)
    grow(log, 2)
    assert reader.integrated(log.as_store(), YEAR) == 4
    assert [index for index, _ in entries(log)] == [0, 1, 2, 3, 4, 5]
    assert [index for index, _ in entries(log, 2)] == [2, 3, 4, 5]
    assert [index for index, _ in entries(log, 5)] == [5]
    assert entries(log, 6) == []


def test_a_gap_ends_the_sequence(log: FaultyStore) -> None:
    writer.append(log.as_store(), YEAR, 2, beat(2), LATER)
    assert [index for index, _ in entries(log)] == [0]
    assert integrate(log).size == 1


def test_the_newest_checkpoint_is_found_behind_a_stale_pointer(log: FaultyStore) -> None:
    stale = integrate(log)
    for _ in range(2):
        grow(log, 1)
        newest = integrate(log)
    log.replace(paths.checkpoint(YEAR), stale.note)
    assert reader.newest_note(log.as_store(), YEAR) == newest.note
    again = integrate(log)
    assert not again.advanced
    assert log.inner.read(paths.checkpoint(YEAR)) == newest.note


def test_the_newest_checkpoint_is_found_without_a_pointer(local_store: LocalStore) -> None:
    log = FaultyStore(local_store, clock=MOMENT)
    opened(log)
    assert reader.newest_note(local_store, YEAR) is None
    pointer = 5  # policy, genesis, tile, bundle, checkpoint, pointer
    log.fault = Fault(pointer, persisted=False, strike=die)
    with pytest.raises(ProcessDiedError):
        integrate(log)
    assert log.writes[-1] == paths.checkpoint(YEAR)
    assert reader.integrated(local_store, YEAR) == 1


def test_nothing_is_signed_over_tiles_that_do_not_give_the_last_root(
    log: FaultyStore, tmp_path: Path
) -> None:
    grow(log, 2)
    integrate(log)
    grow(log, 1)
    changed = FaultyStore(LocalStore(tmp_path / "changed"), clock=MOMENT)
    for info in log.inner.list():
        data = log.inner.read(info.path)
        flipped = bytes([data[0] ^ 1]) + data[1:] if "/tile/0/" in info.path else data
        changed.create(info.path, flipped, retain_until=None)
    with pytest.raises(VerificationError, match="root-mismatch"):
        integrate(changed)
    assert reader.integrated(changed.as_store(), YEAR) == 3


def test_a_log_with_a_second_signer_is_refused(log: FaultyStore) -> None:
    integrate(log)
    other = NoteSigner(signer(YEAR).verifier.name, private_key("another"))
    with pytest.raises(VerificationError):
        writer.integrate(log.as_store(), YEAR, other, LATER)
    with pytest.raises(StoreRefusedError, match="other content"):
        writer.open_shard(log.as_store(), YEAR, other, LATER, sealed_at="2026-11-24T10:00:00Z")


def test_opening_twice_is_opening_once(log: FaultyStore) -> None:
    before = entries(log)
    opened(log)
    assert entries(log) == before
    policy = parse_policy(log.inner.read(paths.policy(YEAR)).decode())
    assert [verifier.name for verifier in policy.logs] == [signer(YEAR).verifier.name]


def test_a_process_that_dies_while_it_opens_a_shard_leaves_no_shard_without_policy(
    local_store: LocalStore,
) -> None:
    for at, persisted in ((0, True), (1, False)):
        store = FaultyStore(local_store, Fault(at, persisted, die), MOMENT)
        with pytest.raises(ProcessDiedError):
            opened(store)
        assert not reader.has_shard(local_store, YEAR)
    opened(FaultyStore(local_store, clock=MOMENT))
    assert reader.has_shard(local_store, YEAR)
    assert local_store.read(paths.policy(YEAR))


def test_the_next_year_begins_with_the_last_checkpoint_of_the_year_before(log: FaultyStore) -> None:
    grow(log, 3)
    last = integrate(log)
    log.clock = datetime(2027, 1, 1, tzinfo=UTC)
    opened(log, 2027)
    genesis = json.loads(entries(log, year=2027)[0][1])
    assert genesis["previous_shard"] == last.note.decode()
    assert genesis["origin"] == "audit.example/test/2027"
    assert reader.shards(log.as_store()) == [2026, 2027]
    assert integrate(log, 2027).size == 1


def test_a_first_year_has_no_year_before_and_no_log_is_no_error(local_store: LocalStore) -> None:
    assert reader.shards(local_store) == []
    assert reader.newest_note(local_store, YEAR) is None
    assert reader.integrated(local_store, YEAR) == 0
    assert list(reader.entries(local_store, YEAR, 0)) == []
    store = FaultyStore(local_store, clock=MOMENT)
    opened(store)
    assert json.loads(entries(store)[0][1])["previous_shard"] is None
    with pytest.raises(NotFoundError):
        reader.tile_source(local_store, YEAR)("tile/0/000")
