"""The catalog's tables: what is sealed, as the log tells it, and nothing that the log does not tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows import pipeline
from flows.evidence import verify_store
from flows.wiring import Runtime
from tasks.batch import Drop
from tasks.catalog.catalog import Catalog
from tasks.errors import NotFoundError, VerificationError
from tasks.storage.local import LocalStore
from tests.support import contracts
from tests.support.faults import (
    MOMENT,
    SOURCE,
    FaultyStore,
    land,
    ledger_lines,
    seal_entries,
    small_runtime,
    write_contract,
)

TABLES = ("entries", "batches", "files", "drops", "redactions")


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Three batches of the small source, a drop each: entries 4 to 6, after the genesis,
    the commitments of the keys of the month and the source's retention."""
    base = tmp_path_factory.mktemp("catalog")
    write_contract(base / "contracts")
    store = FaultyStore(LocalStore(base / "store"), clock=MOMENT)
    runtime = small_runtime(store.as_store(), base, base / "landing")
    for number in (1, 2, 3):
        land(base / "landing", number)
        pipeline.deliver(runtime, SOURCE)
    return runtime


def rows(catalog: Catalog) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    return {
        name: catalog.connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for name in TABLES
    }


def a_drop(runtime: Runtime, number: int = 1) -> Drop:
    line = next(x for x in ledger_lines(runtime.store) if x["key"].endswith(f"{number:03d}.ndjson"))
    return Drop(SOURCE, line["key"], line["bytes"], line["etag"], None, line["landed_at"])


def test_a_sealed_drop_is_known_by_key_size_and_etag(delivered: Runtime) -> None:
    drop = a_drop(delivered)
    others = [
        replace(drop, etag="another"),
        replace(drop, size=drop.size + 1),
        replace(drop, key="another"),
        replace(drop, source="another"),
    ]
    with delivered.catalog() as catalog:
        assert catalog.unsealed([others[3], drop, *others[:3]]) == [others[3], *others[:3]]
        assert catalog.unsealed([drop]) == []
        assert catalog.unsealed([]) == []


def test_a_sealed_drop_is_known_by_its_version_whatever_its_etag(delivered: Runtime) -> None:
    drop = replace(a_drop(delivered), etag="another", version_id="v1")
    with delivered.catalog() as catalog:
        assert catalog.unsealed([drop]) == [drop]
        catalog.connection.execute("UPDATE drops SET version_id = 'v1' WHERE key = ?", [drop.key])
        assert catalog.unsealed([drop, replace(drop, version_id="v2")]) == [replace(drop, version_id="v2")]


def test_content_is_known_under_its_key_only(delivered: Runtime) -> None:
    line = ledger_lines(delivered.store)[0]
    pair = (line["key"], line["sha256"])
    with delivered.catalog() as catalog:
        asked = [pair, ("another", line["sha256"]), (line["key"], "0" * 64)]
        assert catalog.known_content(SOURCE, asked) == {pair}
        assert catalog.known_content("another", asked) == frozenset()
        assert catalog.known_content(SOURCE, []) == frozenset()


def test_fingerprints_are_known_on_their_dates_only(delivered: Runtime) -> None:
    entry = seal_entries(delivered.store)[0]
    file = next(f for f in entry["files"] if f["rows"] > 1)
    sealed = pl.read_parquet(delivered.store.read(file["path"]))["_fingerprint"]
    asked = pl.concat([sealed, pl.Series(["unknown"])])
    with delivered.catalog() as catalog:
        date = file["event_date"]
        assert catalog.known_fingerprints(SOURCE, [date], asked) == set(sealed)
        assert catalog.known_fingerprints(SOURCE, ["2026-11-30"], asked) == frozenset()
        assert catalog.known_fingerprints(SOURCE, [], asked) == frozenset()
        assert catalog.known_fingerprints("another", [date], asked) == frozenset()
        assert catalog.known_fingerprints(SOURCE, [date], asked.clear()) == frozenset()


def test_files_from_before_the_contract_had_a_record_key_hold_no_fingerprint(tmp_path: Path) -> None:
    keyless = contracts.document()
    contracts.set_property(contracts.schema_of(keyless), "recordKey", [])
    write_contract(tmp_path / "contracts", keyless)
    store = FaultyStore(LocalStore(tmp_path / "store"), clock=MOMENT)
    land(tmp_path / "landing", 1)
    pipeline.deliver(small_runtime(store.as_store(), tmp_path, tmp_path / "landing"), SOURCE)
    write_contract(tmp_path / "contracts", {**contracts.document(), "version": "1.1.0"})
    land(tmp_path / "landing", 3)  # the same dates
    runtime = small_runtime(store.as_store(), tmp_path, tmp_path / "landing")
    ((receipt,), _) = pipeline.deliver(runtime, SOURCE)
    assert (receipt.accepted, receipt.duplicate) == (4, 0)
    land(tmp_path / "landing", 5)
    ((receipt,), _) = pipeline.deliver(runtime, SOURCE)
    assert (receipt.accepted, receipt.duplicate) == (3, 1)


def test_the_tail_counts_the_sources_own_entries(delivered: Runtime) -> None:
    with delivered.catalog() as catalog:
        tail = catalog.tail(2026, SOURCE)
        assert (tail.size, tail.source_seq, tail.all_years) == (7, 3, 3)
        assert tail.previous is not None
        assert tail.previous[0] == 6
        nobody = catalog.tail(2026, "another")
        assert (nobody.size, nobody.source_seq, nobody.previous) == (7, 0, None)
        other_year = catalog.tail(2027, SOURCE)
        assert (other_year.size, other_year.source_seq, other_year.previous) == (0, 0, None)
        assert other_year.all_years == 3


def test_a_catalog_from_the_log_alone_equals_one_that_grew(delivered: Runtime) -> None:
    with delivered.catalog() as grown, Catalog(delivered.store, delivered.session()) as anew:
        assert anew.sync() == 7
        assert anew.sync() == 0
        assert rows(anew) == rows(grown)
        assert len(rows(anew)["drops"]) == 3


def test_the_status_adds_up_what_the_ledgers_say(delivered: Runtime) -> None:
    with delivered.catalog() as catalog:
        status = catalog.status()
    lines = ledger_lines(delivered.store)
    (source,) = status["sources"]
    for name in ("lines", "accepted", "quarantined", "duplicate", "blank"):
        assert source[name] == sum(line[name] for line in lines)
    assert (source["source"], source["batches"], source["drops"], source["held"]) == (SOURCE, 3, 3, 0)
    assert (source["first"], source["last"]) == ("2026-11-01", "2026-11-02")
    assert source["last_sealed"] == "2026-11-24T10:00:00Z"
    assert status["shards"] == [{"shard": 2026, "entries": 7, "unintegrated": 0}]


def test_an_entry_tells_when_it_was_sealed(delivered: Runtime) -> None:
    with delivered.catalog() as catalog:
        assert catalog.sealed_at(2026, 1) == "2026-11-24T10:00:00Z"
        with pytest.raises(NotFoundError, match="no entry 9"):
            catalog.sealed_at(2026, 9)


def test_quarantined_lines_come_encrypted_and_in_order(delivered: Runtime) -> None:
    with delivered.catalog() as catalog:
        ((drop, line, raw),) = catalog.quarantined_raw(2026, 4)
        assert (drop, line) == (0, 5)
        assert raw.startswith("q_")
        assert "broken" not in raw
        assert catalog.quarantined_raw(2026, 9) == []


def test_a_changed_ledger_stops_the_catalog_before_its_entry(delivered: Runtime, tmp_path: Path) -> None:
    ledger = seal_entries(delivered.store)[1]["ledger"]["path"]
    copy = FaultyStore(LocalStore(tmp_path / "copy"), clock=MOMENT)
    for info in delivered.store.list():
        data = delivered.store.read(info.path)
        copy.create(info.path, data.replace(b'"lines":6', b'"lines":7') if info.path == ledger else data,
                    retain_until=None)  # fmt: skip
    with Catalog(copy.as_store(), delivered.session()) as catalog:
        with pytest.raises(VerificationError, match="object-hash") as caught:
            catalog.sync()
        assert ledger in str(caught.value)
        assert catalog.size(2026) == 5
        assert [row[1] for row in rows(catalog)["batches"]] == [4]


def test_a_publication_holds_only_what_its_checkpoint_covers(delivered: Runtime, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "catalog.duckdb"
    with delivered.catalog() as catalog:
        data, _ = catalog.publish_to(target, delivered.contracts(), {2026: (6, "note")})
        assert catalog.published() == {2026: 6}
    assert target.read_bytes() == data
    assert [path.name for path in target.parent.iterdir()] == ["catalog.duckdb"]
    with Catalog(delivered.store, delivered.session(), seed=target) as seeded:
        assert {row[1] for name in TABLES for row in rows(seeded)[name]} == set(range(6))
        assert seeded.connection.execute(f"SELECT DISTINCT entry FROM {SOURCE} ORDER BY 1").fetchall() == [
            (4,),
            (5,),
        ]
        assert seeded.sync() == 1
        assert seeded.size(2026) == 7


def test_the_working_copy_is_removed(delivered: Runtime) -> None:
    with delivered.catalog() as catalog:
        place = catalog._directory
        assert place.exists()
    assert not place.exists()


def test_a_catalog_of_another_log_is_not_used(tmp_path: Path) -> None:
    """One state directory, two stores: the second log must not be continued where the first one ends."""
    write_contract(tmp_path / "contracts")
    for name in ("first", "second"):
        store = FaultyStore(LocalStore(tmp_path / name), clock=MOMENT)
        runtime = small_runtime(store.as_store(), tmp_path, tmp_path / "landing")
        land(tmp_path / "landing", 1)
        pipeline.deliver(runtime, SOURCE)
        land(tmp_path / "landing", 2)
        pipeline.deliver(runtime, SOURCE)
        assert sum(entry["sums"]["drops"] for entry in seal_entries(store.as_store())) == 2
        with runtime.catalog() as catalog:
            assert catalog.status()["sources"][0]["drops"] == 2
        assert verify_store(runtime).ok
