"""The catalog's views and queries: empty at first, one set of names whatever contract sealed a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows import pipeline
from flows.wiring import Runtime
from tasks.catalog.query import run_query
from tasks.errors import NotFoundError, UsageError
from tasks.evidence import paths
from tasks.storage.local import LocalStore
from tests.support import contracts
from tests.support.faults import MOMENT, SOURCE, FaultyStore, land, small_runtime, write_contract


class Lake:
    """A deployment in a directory that one queries."""

    def __init__(self, base: Path) -> None:
        self.base = base
        (base / "landing").mkdir()
        self.store = FaultyStore(LocalStore(base / "store"), clock=MOMENT)
        write_contract(base / "contracts")

    def runtime(self) -> Runtime:
        return small_runtime(self.store.as_store(), self.base, self.base / "landing")

    def deliver(self) -> None:
        pipeline.deliver(self.runtime(), SOURCE)

    def land(self, name: str, *records: dict[str, Any]) -> None:
        text = "".join(f"{json.dumps(record)}\n" for record in records)
        (self.base / "landing" / name).write_text(text)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.table(sql)[1]

    def table(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        runtime = self.runtime()
        return run_query(runtime.session(), runtime.catalog_path, sql)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two drops: seven records, two broken lines, two blank ones, one duplicate."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    land(lake.base / "landing", 1, 2)
    lake.deliver()
    return lake


def record(ident: str, **more: Any) -> dict[str, Any]:
    return {"time": "2026-11-02T10:00:00Z", "id": ident, "user": "kim", "status": 200, **more}


def columns(lake: Lake, view: str) -> dict[str, str]:
    sql = f"SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '{view}'"
    return dict(lake.query(sql))


def test_views_over_nothing_are_empty_and_have_the_columns_of_full_ones(lake: Lake, filled: Lake) -> None:
    lake.deliver()
    for view in ("access_events", "set_aside"):
        assert lake.query(f"SELECT count(*) FROM {view}") == [(0,)]
        assert columns(lake, view) == columns(filled, view)


def test_a_source_with_nothing_but_quarantine_shows_what_is_set_aside(lake: Lake) -> None:
    (lake.base / "landing" / "broken").write_text("no record\n")
    lake.deliver()
    assert lake.query("SELECT count(*) FROM access_events") == [(0,)]
    assert lake.query('SELECT key, line, "offset", disposition FROM set_aside') == [
        ("broken", 1, 0, "quarantined")
    ]


def test_access_events_show_what_the_contract_maps(filled: Lake) -> None:
    names, rows = filled.table("SELECT * FROM access_events ORDER BY resource, time LIMIT 1")
    row = dict(zip(names, rows[0], strict=True))
    assert (row["action"], row["resource"], row["outcome"]) == ("log", "a10", "unknown")
    assert row["source_address"] is None
    assert "kim" not in row["actor"]
    assert (row["source"], str(row["event_date"]), row["shard"], row["entry"]) == (
        SOURCE,
        "2026-11-02",
        2026,
        4,
    )
    assert filled.query("SELECT count(*) FROM access_events") == [(7,)]


def test_a_record_id_names_the_file_and_the_row(filled: Lake) -> None:
    import polars as pl

    for record_id, ident in filled.query(f"SELECT record_id, id FROM {SOURCE}"):
        file, row = paths.parse_record_id(record_id)
        (path,) = [i.path for i in filled.store.inner.list("data/") if f"/{file}" in i.path]
        assert pl.read_parquet(filled.store.inner.read(path))["id"][row] == ident


def test_what_is_set_aside_says_where_and_why(filled: Lake) -> None:
    sql = "SELECT disposition, count(*), list(DISTINCT rules) FROM set_aside GROUP BY ALL ORDER BY 1"
    assert filled.query(sql) == [
        ("blank", 2, [[]]), ("duplicate", 1, [[]]), ("quarantined", 2, [["json.syntax"]]),
    ]  # fmt: skip


def test_a_field_that_the_contract_got_later_is_null_in_older_files(lake: Lake) -> None:
    lake.land("one", record("a1"))
    lake.deliver()
    evolved = {**contracts.document(), "version": "1.1.0"}
    contracts.schema_of(evolved)["properties"] += [
        {"name": "region", "logicalType": "string"},
        {"name": "size", "logicalType": "integer"},
        {"name": "share", "logicalType": "number"},
    ]
    write_contract(lake.base / "contracts", evolved)
    (lake.base / "state" / "catalog.duckdb").unlink()
    lake.deliver()  # nothing new: the fields are in no file yet, and still can be asked for
    assert lake.query(f"SELECT id, region, size, share FROM {SOURCE}") == [("a1", None, None, None)]
    types = columns(lake, SOURCE)
    lake.land("two", record("a2", region="eu", size=7, share=1.5))
    lake.deliver()
    sql = f"SELECT id, region, size, share FROM {SOURCE} ORDER BY id"
    assert lake.query(sql) == [("a1", None, None, None), ("a2", "eu", 7, 1.5)]
    assert columns(lake, SOURCE) == types
    assert (types["size"], types["share"], types["region"]) == ("BIGINT", "DOUBLE", "VARCHAR")


@pytest.mark.parametrize(("kind", "value"), [("number", 1.5), ("string", "busy")])
def test_a_field_that_changed_its_type_can_be_asked_for_in_all_files(
    kind: str, value: object, lake: Lake
) -> None:
    lake.land("one", record("a1"))
    lake.deliver()
    changed = {**contracts.document(), "version": "2.0.0"}
    field = contracts.field_of(changed, "status")
    field["logicalType"] = kind
    del field["logicalTypeOptions"]
    write_contract(lake.base / "contracts", changed)
    lake.land("two", record("a2", status=value))
    lake.deliver()
    before = 200.0 if kind == "number" else "200"
    assert lake.query(f"SELECT status FROM {SOURCE} ORDER BY id") == [(before,), (value,)]
    assert lake.query("SELECT count(*) FROM access_events") == [(2,)]


def test_a_field_that_the_contract_lost_can_still_be_asked_for(lake: Lake) -> None:
    lake.land("one", record("a1"))
    lake.deliver()
    reduced = {**contracts.document(), "version": "2.0.0"}
    properties = contracts.schema_of(reduced)["properties"]
    properties.remove(contracts.field_of(reduced, "status"))
    write_contract(lake.base / "contracts", reduced)
    lake.land("two", record("a2"))
    lake.deliver()
    assert lake.query(f"SELECT id, status FROM {SOURCE} ORDER BY id") == [("a1", 200), ("a2", None)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1",
        "SELECT nothing FROM access_events",
        "SELECT 1; SELECT 2",
        "",
        "DELETE FROM drops",
        "CREATE TABLE t AS SELECT 1",
        "COPY drops TO 'drops.csv'",
        "ATTACH 'other.duckdb'",
        "SET memory_limit = '1GB'",
        "INSTALL httpfs",
    ],
)
def test_what_is_not_one_select_is_refused(sql: str, filled: Lake) -> None:
    before = filled.runtime().catalog_path.read_bytes()
    with pytest.raises(UsageError) as caught:
        filled.query(sql)
    assert caught.value.next_step
    assert filled.runtime().catalog_path.read_bytes() == before


def test_with_and_from_statements_are_answered(filled: Lake) -> None:
    assert filled.table("WITH n AS (SELECT 1 AS one) SELECT * FROM n") == (["one"], [(1,)])
    assert filled.query("FROM drops SELECT count(*)") == [(2,)]


def test_a_sealed_file_that_is_gone_is_named_as_such(lake: Lake) -> None:
    lake.land("one", record("a1"))
    lake.deliver()
    (path,) = [info.path for info in lake.store.inner.list("data/")]
    (lake.base / "store" / path).unlink()
    with pytest.raises(NotFoundError, match="sealed file") as caught:
        lake.query(f"SELECT * FROM {SOURCE}")
    assert "verify" in caught.value.next_step


def test_a_query_before_the_first_delivery_says_what_to_do(lake: Lake) -> None:
    with pytest.raises(NotFoundError) as caught:
        lake.query("SELECT 1")
    assert "deliver" in caught.value.next_step
