"""Replay of quarantined lines: accepted after the fix, once, and followed from entry to entry."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows import evidence, pipeline, quarantine
from flows.receipts import BatchReceipt
from flows.wiring import Runtime
from tasks.catalog.query import run_query
from tasks.storage.local import LocalStore
from tests.support import contracts
from tests.support.faults import MOMENT, SOURCE, FaultyStore, small_runtime, write_contract

GOOD = '{"time":"2026-11-02T10:00:00Z","id":"a%d","user":"kim","status":200}'
CAPITAL = '{"time":"2026-11-02T10:00:00Z","id":"B%d","user":"sam","status":200}'  # breaks `id.pattern`


class Place:
    """A deployment in a directory; every run is a new process as far as settings and contracts go."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.store = FaultyStore(LocalStore(base / "store"), clock=MOMENT)
        self.document = contracts.document()
        write_contract(base / "contracts", self.document)

    def runtime(self, **sections: Any) -> Runtime:
        return small_runtime(self.store.as_store(), self.base, self.base / "landing", **sections)

    def land(self, name: str, data: bytes) -> None:
        path = self.base / "landing" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    def deliver(self, **sections: Any) -> list[BatchReceipt]:
        return pipeline.deliver(self.runtime(**sections), SOURCE)[0]

    def replay(self, entries: list[int] | None = None, **sections: Any) -> tuple[list[BatchReceipt], str]:
        receipts, checkpoint = quarantine.replay(self.runtime(**sections), SOURCE, entries)
        return receipts, checkpoint.root

    def allow_capitals(self) -> None:
        """The fix: the contract's owner finds that capital letters are right."""
        contracts.field_of(self.document, "id")["logicalTypeOptions"]["pattern"] = r"^[A-Za-z]\d*$"
        write_contract(self.base / "contracts", {**self.document, "version": "1.1.0"})

    def open_items(self) -> list[tuple[int, str, int]]:
        runtime = self.runtime()
        with runtime.catalog() as catalog:
            catalog.create_views(runtime.contracts())
            return [(i["entry"], i["rule"], i["lines"]) for i in quarantine.open_items(catalog, SOURCE)]

    def ids(self) -> list[str]:
        runtime = self.runtime()
        _, rows = run_query(runtime.session(), runtime.catalog_path, f"SELECT id FROM {SOURCE} ORDER BY id")
        return [value for (value,) in rows]

    def check(self) -> None:
        report = evidence.verify_store(self.runtime())
        assert report.ok, report.findings
        assert report.findings == ()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def test_lines_are_accepted_after_the_contract_is_corrected(place: Place) -> None:
    place.land("one", text(GOOD % 1, CAPITAL % 1, GOOD % 2))
    place.land("two", text(CAPITAL % 2, GOOD % 3, GOOD % 4, GOOD % 5))
    (first,) = place.deliver()
    assert (first.accepted, first.quarantined) == (5, 2)
    assert place.open_items() == [(4, "id.pattern", 2)]
    place.allow_capitals()
    (again,) = place.replay()[0]
    assert (again.drops, again.lines, again.accepted, again.quarantined) == (2, 2, 2, 0)
    assert place.open_items() == []
    assert place.ids() == ["B1", "B2", "a1", "a2", "a3", "a4", "a5"]
    place.check()


def test_replaying_twice_changes_nothing(place: Place) -> None:
    place.land("one", text(GOOD % 1, CAPITAL % 1, GOOD % 2))
    place.deliver()
    place.allow_capitals()
    _, root = place.replay()
    receipts, same = place.replay()
    assert receipts == []
    assert same == root
    assert place.ids() == ["B1", "a1", "a2"]


def test_a_replay_without_a_correction_seals_nothing(place: Place) -> None:
    place.land("one", text(GOOD % 1, CAPITAL % 1, GOOD % 2))
    place.deliver()
    _, before = place.replay()
    assert place.replay() == ([], before)
    assert place.open_items() == [(4, "id.pattern", 1)]


def test_a_landed_drop_cannot_pass_for_a_replay(place: Place) -> None:
    place.land("one", text(GOOD % 1, CAPITAL % 1, GOOD % 2))
    place.deliver()
    (place.base / "landing" / "replay").mkdir()
    place.land("replay/2026-4-0", text(GOOD % 3))
    place.deliver()
    assert place.open_items() == [(4, "id.pattern", 1)]


def test_a_line_that_still_fails_stays_open_in_its_new_entry(place: Place) -> None:
    place.land("one", text(GOOD % 1, "{broken", CAPITAL % 1, GOOD % 2, GOOD % 3))
    place.deliver()
    place.allow_capitals()
    (again,) = place.replay()[0]
    assert (again.accepted, again.quarantined, again.held) == (1, 1, False)
    assert place.open_items() == [(5, "json.syntax", 1)]
    place.check()


def test_a_held_batch_is_accepted_as_a_whole_and_counted_once(place: Place) -> None:
    place.land("one", text(GOOD % 1, CAPITAL % 1, CAPITAL % 2, CAPITAL % 3))
    (held,) = place.deliver()
    assert (held.held, held.accepted, held.quarantined) == (True, 0, 4)
    place.allow_capitals()
    (again,) = place.replay()[0]
    assert (again.held, again.accepted) == (False, 4)
    assert place.deliver() == []
    assert place.ids() == ["B1", "B2", "B3", "a1"]
    place.check()


def test_a_gzip_drop_that_was_held_whole_is_read_when_the_limit_allows_it(place: Place) -> None:
    lines = [GOOD % n for n in range(1200)]
    place.land("big.gz", gzip.compress(text(*lines)))
    (held,) = place.deliver(limits={"drop_bytes": 1 << 16, "clock_difference_s": 10**9})
    assert (held.lines, held.quarantined) == (1, 1)
    (again,) = place.replay()[0]
    assert (again.drops, again.lines, again.accepted) == (1, 1200, 1200)
    assert place.open_items() == []
    place.check()


def test_records_that_stand_on_several_lines_of_a_document_are_replayed(place: Place) -> None:
    contracts.set_property(contracts.schema_of(place.document), "formats", ["cloudtrail"])
    write_contract(place.base / "contracts", place.document)
    records = [
        {
            "id": ident,
            "time": "2026-11-02T10:00:00Z",
            "user": "kim",
            "status": 200,
            "more": [{"a": 1}, {"b": 2}],
        }
        for ident in ("a1", "B1", "a2", "B2", "a3")
    ]
    # Each item of `more` is a JSON object on a line of its own: lines alone would not show the record.
    items = ",\n".join(json.dumps(r, indent=1).replace('{\n   "a": 1\n  }', '{"a": 1}') for r in records)
    place.land("trail.json", f'{{"Records": [\n{items}\n]}}'.encode())
    (first,) = place.deliver()
    assert (first.lines, first.accepted, first.quarantined) == (5, 3, 2)
    place.allow_capitals()
    (again,) = place.replay()[0]
    assert (again.lines, again.accepted) == (2, 2)
    assert place.ids() == ["B1", "B2", "a1", "a2", "a3"]
    place.check()


def test_a_deployment_that_lost_its_catalog_replays(place: Place) -> None:
    place.land("one", text(GOOD % 1, CAPITAL % 1, GOOD % 2))
    place.deliver()
    place.allow_capitals()
    (again,) = place.replay(state=place.base / "another")[0]
    assert again.accepted == 1


def test_named_entries_are_those_of_this_year(place: Place) -> None:
    place.land("one", text(GOOD % 1, CAPITAL % 1, GOOD % 2))
    place.deliver()
    place.allow_capitals()
    assert place.replay([5])[0] == []
    place.store.clock = datetime(2027, 1, 2, tzinfo=UTC)
    assert place.replay([4])[0] == []
    (again,) = place.replay()[0]
    assert (again.shard, again.entry, again.accepted) == (2027, 1, 1)
    place.check()
