"""The objects of a batch: the same whenever they are made, salts that differ, a ledger that adds up."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from tasks.batch import Drop, Gate, LedgerDrop, RedactedBatch
from tasks.errors import AlreadyExistsError, StoreRefusedError
from tasks.evidence import merkle
from tasks.evidence.rows import SALT_SEED
from tasks.seal import objects
from tasks.seal.objects import BatchObjects, build_objects
from tasks.seal.seal import EntryTooLargeError, OvertakenError, Retention, seal
from tasks.storage.local import LocalStore
from tests.support import contracts
from tests.support.faults import MOMENT, FaultyStore
from tests.support.sealed_store import Position

CONTRACT = contracts.build(contracts.document())
KEY = b"k" * 32
LATER = datetime(2040, 1, 1, tzinfo=UTC)
ASIDE: dict[str, Any] = {
    "_drop": pl.Int32, "_line": pl.Int64, "_offset": pl.Int64,
    "disposition": pl.String, "rules": pl.List(pl.String), "raw": pl.String,
}  # fmt: skip


def batch(days: Sequence[Sequence[int]], *, aside: int = 0, name: str = "drop") -> RedactedBatch:
    """Drop by drop, the day (from 2026-11-01) of each of its accepted rows; `aside` lines are set aside."""
    rows = [(d, line + 1, day) for d, drop in enumerate(days) for line, day in enumerate(drop)]
    start = datetime(2026, 11, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "id": [f"a{d}{line}" for d, line, _ in rows],
            "_drop": pl.Series([d for d, _, _ in rows], dtype=pl.Int32),
            "_line": pl.Series([line for _, line, _ in rows], dtype=pl.Int64),
            "_time": pl.Series(
                [start + timedelta(days=day) for *_, day in rows], dtype=pl.Datetime("us", "UTC")
            ),
        },
        schema_overrides={"id": pl.String},
    )
    others = [(0, 1000 + i, 0, "quarantined", ["json.syntax"], "q_2026-11.AAAA") for i in range(aside)]
    drops = tuple(
        LedgerDrop(
            drop=Drop("small", f"{name}-{d}", 10, "etag", None, 0),
            sha256=f"{d:064x}", raw_sha256=f"{d:064x}", raw_size=10,
            lines=len(drop) + (0 if d else aside), accepted=len(drop), quarantined=0 if d else aside,
            duplicate=0, blank=0,
        )
        for d, drop in enumerate(days)
    )  # fmt: skip
    return RedactedBatch(
        source="small", drops=drops, frame=frame, set_aside=pl.DataFrame(others, schema=ASIDE, orient="row"),
        gate=Gate(True, b"{}"), violations={}, unknown_fields={}, keys=(), report={},
    )  # fmt: skip


def ledger(made: BatchObjects) -> list[dict[str, Any]]:
    return [json.loads(line) for line in made.ledger.data.splitlines()]


def seeds(made: BatchObjects) -> list[bytes]:
    files = [*made.files, *made.quarantine]
    return [pq.read_metadata(io.BytesIO(file.data)).metadata[SALT_SEED] for file in files]


def test_the_same_batch_gives_the_same_objects() -> None:
    one, two = (build_objects(batch([[0, 1], [1]], aside=2), CONTRACT, KEY) for _ in range(2))
    assert one == two
    for planned in (*one.files, *one.quarantine, one.ledger, one.gate, one.contract):
        assert hashlib.sha256(planned.data).hexdigest() == planned.facts["sha256"]
        assert planned.facts["sha256"] in planned.path


def test_every_file_has_a_salt_seed_of_its_own() -> None:
    made = build_objects(batch([[0, 1], [1]], aside=1), CONTRACT, KEY)
    assert len(set(seeds(made))) == 3


@pytest.mark.parametrize(
    "other",
    [
        batch([[0, 1]], name="another"),
        batch([[0, 1], []]),
        replace(batch([[0, 1]]), frame=batch([[0, 1]]).frame.with_columns(pl.col("_line") + 1)),
        batch([[0, 1]], aside=1),
    ],
    ids=["other key", "one drop more", "other lines", "lines set aside"],
)
def test_another_batch_has_other_salt_seeds(other: RedactedBatch) -> None:
    mine = seeds(build_objects(batch([[0, 1]]), CONTRACT, KEY))
    assert not set(mine) & set(seeds(build_objects(other, CONTRACT, KEY)))


def test_another_contract_or_salt_key_has_other_salt_seeds() -> None:
    mine = seeds(build_objects(batch([[0]]), CONTRACT, KEY))
    changed = replace(CONTRACT, sha256="0" * 64)
    assert seeds(build_objects(batch([[0]]), changed, KEY)) != mine
    assert seeds(build_objects(batch([[0]]), CONTRACT, b"x" * 32)) != mine


def test_ledger_ranges_tile_every_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_ROWS_PER_FILE", 4)
    made = build_objects(batch([[0, 1, 0], [1, 1, 1, 1], [], [0, 0, 0, 2]]), CONTRACT, KEY)
    assert [(f.facts["event_date"], f.facts["rows"]) for f in made.files] == [
        ("2026-11-01", 4), ("2026-11-01", 1), ("2026-11-02", 4), ("2026-11-02", 1), ("2026-11-03", 1),
    ]  # fmt: skip
    named = [row for line in ledger(made) for row in line["rows"]]
    covered = sorted((file, row) for file, first, count in named for row in range(first, first + count))
    assert covered == [(n, row) for n, file in enumerate(made.files) for row in range(file.facts["rows"])]
    for line in ledger(made):
        assert sum(count for *_, count in line["rows"]) == line["accepted"]
        for file, first, count in line["rows"]:
            rows = pl.read_parquet(made.files[file].data).slice(first, count)
            assert rows["_drop"].unique().to_list() == [line["index"]]
            assert rows["_line"].is_sorted()


def test_the_ledger_root_is_over_its_lines_and_its_salts_differ() -> None:
    made = build_objects(batch([[0], [0], []]), CONTRACT, KEY)
    lines = made.ledger.data.splitlines()
    leaves = b"".join(hashlib.sha256(b"\x00" + line).digest() for line in lines)
    assert made.ledger.facts["root"] == merkle.root(leaves).hex()
    assert len({line["_s"] for line in ledger(made)}) == 3


def test_a_batch_without_accepted_rows_has_no_data_file() -> None:
    made = build_objects(batch([[]], aside=2), CONTRACT, KEY)
    assert made.files == ()
    assert [file.facts["rows"] for file in made.quarantine] == [2]
    assert made.sums == {
        "accepted": 0, "blank": 0, "bytes": 10, "drops": 1, "duplicate": 0, "lines": 2, "quarantined": 2,
    }  # fmt: skip


def sealed(
    store: FaultyStore, what: RedactedBatch, *positions: tuple[int, int], planned: int = 0
) -> dict[str, Any]:
    """Seal; each look at the log gives the next of `positions` (size, source's entries)."""
    looks = iter(positions)

    def locate() -> Position:
        size, count = next(looks)
        return Position(size, count, (size - 1, "ab" * 32) if count else None)

    done = seal(
        what, CONTRACT, store.as_store(), KEY,
        year=2026, locate=locate, planned_seq=planned, retention=Retention(LATER, LATER),
        sealed_at=MOMENT, software="indelible/test",
    )  # fmt: skip
    return dict(done.entry)


@pytest.fixture
def store(local_store: LocalStore) -> FaultyStore:
    return FaultyStore(local_store)


def test_the_entry_is_written_last_and_chains_to_the_sources_last_one(store: FaultyStore) -> None:
    entry = sealed(store, batch([[0]], aside=1), (8, 2), (8, 2), planned=2)
    assert [path.split("/")[0] for path in store.writes] == [
        "data", "quarantine", "ledger", "gate", "redaction", "contracts", "log",
    ]  # fmt: skip
    assert entry["previous"] == {"entry": 7, "leaf": "ab" * 32}
    assert entry["source_seq"] == 2
    assert json.loads(store.inner.read(store.writes[-1])) == entry


def test_another_source_that_takes_the_index_only_costs_another_look(store: FaultyStore) -> None:
    store.create(f"log/2026/seq/{1:020d}", b"theirs", retain_until=None)
    entry = sealed(store, batch([[0]]), (1, 0), (1, 0), (2, 0))
    assert entry["previous"] is None
    assert store.inner.read(f"log/2026/seq/{1:020d}") == b"theirs"
    assert json.loads(store.inner.read(f"log/2026/seq/{2:020d}")) == entry


@pytest.mark.parametrize("looks", [((1, 1),), ((1, 0), (2, 1))], ids=["before", "while it was stored"])
def test_a_batch_whose_source_has_grown_is_not_committed(
    looks: tuple[tuple[int, int], ...], store: FaultyStore
) -> None:
    with pytest.raises(OvertakenError):
        sealed(store, batch([[0]]), *looks)
    assert not any(path.startswith("log/") for path in store.writes)


def test_a_batch_of_too_many_dates_is_refused_before_anything_is_stored(store: FaultyStore) -> None:
    with pytest.raises(EntryTooLargeError):
        sealed(store, batch([list(range(300))]), (1, 0))
    assert store.writes == []


def test_objects_of_an_earlier_try_are_used_again(store: FaultyStore) -> None:
    first = sealed(store, batch([[0]], aside=1), (1, 0), (1, 0))
    again = sealed(store, batch([[0]], aside=1), (2, 0), (2, 0))
    assert again == first


def test_an_object_with_other_content_under_our_name_stops_the_batch(store: FaultyStore) -> None:
    path = build_objects(batch([[0]]), CONTRACT, KEY).ledger.path
    store.create(path, b"something else", retain_until=None)
    with pytest.raises(StoreRefusedError, match="does not fit its name") as caught:
        sealed(store, batch([[0]]), (1, 0))
    assert not isinstance(caught.value, AlreadyExistsError)
    assert not any(written.startswith("log/") for written in store.writes)
