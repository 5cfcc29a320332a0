"""The main job's decisions: windows, what is new, batches that must be split, the turn of the year."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows import evidence, pipeline
from flows.pipeline import Window
from flows.receipts import BatchReceipt
from flows.wiring import Runtime
from tasks.catalog.query import run_query
from tasks.errors import StoreRefusedError
from tasks.evidence import paths
from tasks.log import reader
from tasks.storage.local import LocalStore
from tasks.storage.protocol import ObjectInfo
from tests.support.faults import (
    MOMENT,
    SOURCE,
    Fault,
    FaultyStore,
    ProcessDiedError,
    check_history,
    die,
    land,
    ledger_lines,
    seal_entries,
    small_runtime,
    write_contract,
)

NEW_YEAR = datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC)


class Meanwhile(FaultyStore):
    """A store in which something happens just before the first ledger is written."""

    event: Callable[[], object] | None = None

    def create(self, path: str, data: bytes, *, retain_until: datetime | None) -> ObjectInfo:
        if path.startswith(paths.LEDGER_PREFIX) and self.event:
            event, self.event = self.event, None
            event()
        return super().create(path, data, retain_until=retain_until)


class Place:
    """A deployment in a directory, a landing place, and the store's clock."""

    def __init__(self, base: Path) -> None:
        self.base, self.landing = base, base / "landing"
        self.landing.mkdir()
        self.store = FaultyStore(LocalStore(base / "store"), clock=MOMENT)
        write_contract(base / "contracts")

    def runtime(self, **sections: Any) -> Runtime:
        return small_runtime(self.store.as_store(), self.base, self.landing, **sections)

    def deliver(self, window: Window | None = None, **sections: Any) -> list[BatchReceipt]:
        return pipeline.deliver(self.runtime(**sections), SOURCE, window or Window())[0]

    def die_at(self, kind: str) -> None:
        """Deliver until the first write below a path that begins with `kind`, which is not done."""
        seen = len(self.store.writes)
        ahead = FaultyStore(LocalStore(self.base / "rehearsal"), clock=self.store.clock)
        pipeline.deliver(
            small_runtime(ahead.as_store(), self.base, self.landing, state=self.base / "rehearsed"), SOURCE
        )
        at = next(n for n, path in enumerate(ahead.writes) if path.startswith(kind))
        self.store.fault = Fault(seen + at, persisted=False, strike=die)
        with pytest.raises(ProcessDiedError):
            self.deliver()
        assert self.store.writes[-1].startswith(kind)
        self.store.fault, self.store.dead = None, False

    def days(self, name: str, first: int, count: int) -> None:
        """A drop with one record on each of `count` days."""
        start = date(2020, 1, 1) + timedelta(days=first)
        lines = [
            json.dumps({"time": f"{start + timedelta(days=n)}T10:00:00Z", "id": f"a{first + n}"})
            for n in range(count)
        ]
        (self.landing / name).write_text("".join(f"{line}\n" for line in lines))

    def query(self, sql: str, **sections: Any) -> list[tuple[Any, ...]]:
        runtime = self.runtime(**sections)
        return run_query(runtime.session(), runtime.catalog_path, sql)[1]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_window_ends_before_its_last_day(place: Place) -> None:
    land(place.landing, 1)  # 2026-11-02
    assert place.deliver(Window(date(2026, 11, 3))) == []
    assert place.deliver(Window(until=date(2026, 11, 2))) == []
    (receipt,) = place.deliver(Window(date(2026, 11, 2), date(2026, 11, 3)))
    assert receipt.drops == 1


def test_a_drop_that_is_touched_is_not_sealed_again(place: Place) -> None:
    contents = land(place.landing, 1, 2)
    place.deliver()
    os.utime(place.landing / next(iter(contents)))
    assert place.deliver() == []
    check_history(place.runtime(), contents)


def test_a_touched_drop_is_left_out_of_a_batch_of_new_ones(place: Place) -> None:
    contents = land(place.landing, 2)
    place.deliver()
    touched = place.landing / next(iter(contents))
    contents |= land(place.landing, 1, 3)
    os.utime(touched)
    (receipt,) = place.deliver()
    assert receipt.drops == 2
    check_history(place.runtime(), contents)


def test_a_drop_that_grows_is_sealed_again_and_its_old_records_are_duplicates(place: Place) -> None:
    contents = land(place.landing, 1)
    path = place.landing / next(iter(contents))
    place.deliver()
    with path.open("ab") as file:
        file.write(b'{"time":"2026-11-02T11:00:00Z","id":"n1"}\n')
    (receipt,) = place.deliver()
    assert (receipt.accepted, receipt.duplicate, receipt.quarantined) == (1, 4, 1)
    assert len(ledger_lines(place.store.as_store())) == 2


def test_batches_are_bounded_by_drops(place: Place) -> None:
    contents = land(place.landing, 1, 2, 3)
    receipts = place.deliver(limits={"batch_drops": 2, "clock_difference_s": 10**9})
    assert [receipt.drops for receipt in receipts] == [2, 1]
    check_history(place.runtime(), contents)


def test_drops_that_span_too_many_dates_together_are_sealed_apart(place: Place) -> None:
    place.days("one", 0, 90)
    place.days("two", 90, 90)
    receipts = place.deliver()
    assert [(r.drops, r.files, r.held) for r in receipts] == [(1, 90, False), (1, 90, False)]
    assert evidence.verify_store(place.runtime()).findings == ()


def test_one_drop_that_spans_too_many_dates_is_held(place: Place) -> None:
    place.days("long", 0, 200)
    land(place.landing, 1)
    receipts = place.deliver()
    assert [(r.drops, r.accepted, r.quarantined, r.held) for r in receipts] == [
        (1, 4, 1, False), (1, 0, 200, True),
    ]  # fmt: skip
    assert receipts[1].rules["drop.too_many_dates"] == 200
    assert place.deliver() == []
    assert evidence.verify_store(place.runtime()).findings == ()


def test_nothing_is_sealed_when_the_clocks_differ(place: Place) -> None:
    land(place.landing, 1)
    place.store.clock = datetime.now(UTC) + timedelta(seconds=90)
    with pytest.raises(StoreRefusedError, match="differ by"):
        place.deliver(limits={"clock_difference_s": 60})
    assert place.store.writes == []


def test_what_is_sealed_but_in_no_checkpoint_is_not_in_the_catalog(place: Place) -> None:
    land(place.landing, 1)
    place.deliver()
    land(place.landing, 2)
    runtime = place.runtime()
    with runtime.catalog() as catalog:
        (drops,) = pipeline.find_new(runtime, SOURCE, Window(), catalog)
        pipeline.deliver_batch(runtime, SOURCE, drops, catalog)
        catalog.sync()
        assert catalog.status()["shards"] == [{"shard": 2026, "entries": 6, "unintegrated": 1}]
    assert place.query(f"SELECT count(*) FROM {SOURCE}") == [(4,)]
    place.deliver()
    assert place.query(f"SELECT count(*) FROM {SOURCE}") == [(7,)]


def test_a_deployment_with_nothing_new_sees_what_another_one_published(place: Place) -> None:
    land(place.landing, 1)
    mine, theirs = (place.base / name for name in ("mine", "theirs"))
    place.deliver(state=mine)
    land(place.landing, 2)
    place.deliver(state=theirs)
    assert place.query(f"SELECT count(*) FROM {SOURCE}", state=mine) == [(4,)]
    assert place.deliver(state=mine) == []
    assert place.query(f"SELECT count(*) FROM {SOURCE}", state=mine) == [(7,)]


def test_the_next_years_log_closes_the_one_before_and_seals_nothing_again(place: Place) -> None:
    contents = land(place.landing, 1)
    place.deliver()
    place.store.clock = NEW_YEAR
    contents |= land(place.landing, 2)
    (receipt,) = place.deliver()
    assert (receipt.shard, receipt.entry, receipt.drops) == (2027, 1, 1)
    check_history(place.runtime(), contents)
    old, new = seal_entries(place.store.as_store())
    assert [entry["source_seq"] for entry in (old, new)] == [0, 0]
    assert new["previous"] is None
    assert place.query("SELECT DISTINCT shard FROM small ORDER BY 1") == [(2026,), (2027,)]


def test_what_was_sealed_last_in_a_year_is_proven_though_its_process_died(place: Place) -> None:
    contents = land(place.landing, 1)
    place.die_at(paths.log_prefix(2026) + "tile")
    assert reader.newest_note(place.store.as_store(), 2026) is None
    place.store.clock = NEW_YEAR
    contents |= land(place.landing, 2)
    (receipt,) = place.deliver()
    assert receipt.drops == 1
    genesis = json.loads(place.store.inner.read(paths.sequence(2027, 0)))
    newest = reader.newest_note(place.store.as_store(), 2026)
    assert newest is not None
    assert genesis["previous_shard"] == newest.decode()
    assert newest.split(b"\n")[1] == b"5"
    check_history(place.runtime(), contents)


def test_what_a_slow_runner_seals_in_the_old_year_is_still_integrated(place: Place) -> None:
    contents = land(place.landing, 1)
    place.deliver()
    contents |= land(place.landing, 2)
    slow = place.runtime()
    with slow.catalog() as catalog:
        (drops,) = pipeline.find_new(slow, SOURCE, Window(), catalog)
        place.store.clock = NEW_YEAR
        place.deliver(Window(until=date(2026, 1, 1)))  # opens the new year, and has no drop of its own
        place.store.clock = MOMENT
        pipeline.deliver_batch(slow, SOURCE, drops, catalog)
    place.store.clock = NEW_YEAR
    assert place.deliver() == []
    assert reader.integrated(place.store.as_store(), 2026) == 6
    check_history(place.runtime(), contents)


def test_a_drop_that_the_new_year_sealed_meanwhile_is_not_sealed_in_the_old_one(place: Place) -> None:
    contents = land(place.landing, 1, 2)
    slow = Meanwhile(place.store.inner, clock=MOMENT)

    def turn_of_the_year() -> None:
        place.store.clock = slow.clock = NEW_YEAR  # the server's clock is everybody's
        assert [receipt.shard for receipt in place.deliver()] == [2027]

    slow.event = turn_of_the_year
    runtime = small_runtime(slow.as_store(), place.base, place.landing, state=place.base / "slow")
    assert pipeline.deliver(runtime, SOURCE)[0] == []
    check_history(place.runtime(), contents, leftovers=True)


def test_a_drop_that_the_old_year_sealed_meanwhile_is_not_sealed_in_the_new_one(place: Place) -> None:
    contents = land(place.landing, 1)
    place.deliver()
    contents |= land(place.landing, 2)
    late = Meanwhile(place.store.inner, clock=NEW_YEAR)
    late.event = lambda: place.deliver(state=place.base / "slow")  # its clock is still that of the old year
    runtime = small_runtime(late.as_store(), place.base, place.landing, state=place.base / "late")
    assert pipeline.deliver(runtime, SOURCE)[0] == []
    place.store.clock = NEW_YEAR
    assert [entry["source_seq"] for entry in seal_entries(place.store.as_store())] == [0, 1]
    check_history(place.runtime(), contents, leftovers=True)


def test_a_batch_that_is_not_sealed_when_the_year_ends_goes_into_the_new_years_log(place: Place) -> None:
    contents = land(place.landing, 1)
    store = Meanwhile(place.store.inner, clock=MOMENT)
    store.event = lambda: setattr(store, "clock", NEW_YEAR)
    runtime = small_runtime(store.as_store(), place.base, place.landing)
    ((receipt,), _) = pipeline.deliver(runtime, SOURCE)
    assert (receipt.shard, receipt.entry) == (2027, 1)
    place.store.clock = NEW_YEAR
    assert [entry["sealed_at"] for entry in seal_entries(place.store.as_store())] == ["2027-01-01T00:00:01Z"]
    check_history(place.runtime(), contents, leftovers=True)
