"""Runs may come late, twice, in any order or not at all for a day: the same drops and rows end up sealed, once each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows import pipeline
from flows.pipeline import Window
from tasks.evidence.checkpoint import parse_checkpoint
from tasks.log import reader
from tasks.storage.local import LocalStore
from tests.support.faults import (
    MOMENT,
    SOURCE,
    Fault,
    FaultyStore,
    ProcessDiedError,
    check_history,
    die,
    drop_text,
    ledger_lines,
    seal_entries,
    small_runtime,
    write_contract,
)

FIRST = date(2026, 11, 2)
DAYS = 4


def on(first: int, last: int | None = None) -> Window:
    """From day `first` to day `last`, both included."""
    last = first if last is None else last
    return Window(FIRST + timedelta(days=first), FIRST + timedelta(days=last + 1))


@dataclass(frozen=True)
class Land:
    """Drops of these days land."""

    days: tuple[int, ...]


@dataclass(frozen=True)
class Run:
    """A run with a window; `dies_at` is the write at which its process ends, `anew` makes it a new deployment."""

    window: Window = field(default_factory=Window)
    dies_at: int | None = None
    anew: bool = False


ALL = Land(tuple(range(DAYS)))
History = Sequence[Land | Run]
PUNCTUAL: History = [step for day in range(DAYS) for step in (Land((day,)), Run(on(day)))]
SAME_ORDER: dict[str, History] = {
    "late": [ALL, *(Run(on(day)) for day in range(DAYS))],
    "missed-and-made-up-by-one": [ALL, Run()],
    "doubled": [step for step in PUNCTUAL for _ in range(2 if isinstance(step, Run) else 1)],
    "overlapping": [ALL, Run(on(0, 1)), Run(on(0, 2)), Run(on(1, 3))],
    "an-outage-of-two-days": [Land((0,)), Run(on(0)), Land((1,)), Land((2,)), Land((3,)), Run(on(0, 3))],
    "redeployed-in-the-middle": [*PUNCTUAL[:4], Run(anew=True), *PUNCTUAL[4:]],
    "backfilled-after-all-was-sealed": [*PUNCTUAL, *(Run(on(day)) for day in (2, 0))],
}
OTHER_ORDER: dict[str, History] = {
    "backwards": [ALL, *(Run(on(day)) for day in reversed(range(DAYS)))],
    "the-newest-day-first-then-all": [ALL, Run(on(3)), Run()],
    "killed-twice-on-the-way": [ALL, Run(on(1), dies_at=5), Run(on(0), dies_at=3), Run(on(2, 3)), Run()],
}


class Stage:
    """Deployments with the same keys, contract and clock, so that equal histories have equal roots."""

    def __init__(self, base: Path) -> None:
        self.base = base
        write_contract(base / "contracts")

    def play(self, name: str, history: History) -> dict[str, Any]:
        """What is sealed in the end, judged by the drops that landed."""
        landing = self.base / name / "landing"
        store = FaultyStore(LocalStore(self.base / name / "store"), clock=MOMENT)
        contents: dict[str, bytes] = {}
        state = self.base / name / "state"
        for number, step in enumerate(history):
            if isinstance(step, Land):
                contents |= land(landing, step.days)
                continue
            state = self.base / name / f"state-{number}" if step.anew else state
            runtime = small_runtime(store.as_store(), self.base, landing, state=state, **SECTIONS)
            if step.dies_at is None:
                pipeline.deliver(runtime, SOURCE, step.window)
                continue
            store.fault = Fault(len(store.writes) + step.dies_at, persisted=False, strike=die)
            with pytest.raises(ProcessDiedError):
                pipeline.deliver(runtime, SOURCE, step.window)
            store = FaultyStore(store.inner, clock=MOMENT)
        runtime = small_runtime(store.as_store(), self.base, landing, state=state, **SECTIONS)
        check_history(runtime, contents, leftovers=True)
        return sealed(store)


SECTIONS: dict[str, Any] = {"limits": {"clock_difference_s": 10**9, "batch_drops": 1}}


def land(landing: Path, days: tuple[int, ...]) -> dict[str, bytes]:
    """A drop for each day, with times of its own, so that it has one ETag wherever it lands."""
    contents: dict[str, bytes] = {}
    for day in days:
        key = f"{FIRST + timedelta(days=day)}/{day:03d}.ndjson"
        path = landing / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents.setdefault(key, drop_text(day)))
        os.utime(path, (1_795_000_000 + day,) * 2)
    return contents


def sealed(store: FaultyStore) -> dict[str, Any]:
    """Drops and rows as sets, and the root."""
    rows: set[tuple[Any, ...]] = set()
    for entry in seal_entries(store.as_store()):
        for file in entry["files"]:
            frame = pl.read_parquet(store.read(file["path"], None))
            rows.update(frame.select("time", "id", "user", "status").iter_rows())
    note = reader.newest_note(store.as_store(), MOMENT.year)
    assert note is not None
    return {
        "drops": {(line["key"], line["sha256"], line["lines"]) for line in ledger_lines(store.as_store())},
        "rows": rows,
        "root": parse_checkpoint(note.decode().partition("\n\n")[0] + "\n").root,
    }


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Great Expectations is left out: rows are judged all the same, and it takes seconds to import."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.validate.stage.run_gate", lambda frame, contract: (True, {"results": []}))
        yield Stage(tmp_path_factory.mktemp("any-order"))


@pytest.fixture(scope="module")
def punctual(stage: Stage) -> dict[str, Any]:
    """What is sealed when each run comes when it is due."""
    return stage.play("punctual", PUNCTUAL)


@pytest.mark.parametrize("name", SAME_ORDER)
def test_the_same_order_of_drops_ends_in_the_same_root(
    name: str, stage: Stage, punctual: dict[str, Any]
) -> None:
    assert stage.play(name, SAME_ORDER[name]) == punctual


@pytest.mark.parametrize("name", OTHER_ORDER)
def test_any_other_order_ends_with_the_same_drops_and_rows(
    name: str, stage: Stage, punctual: dict[str, Any]
) -> None:
    found = stage.play(name, OTHER_ORDER[name])

    assert {what: found[what] for what in ("drops", "rows")} == {
        what: punctual[what] for what in ("drops", "rows")
    }
