"""Drops that make us fail again and again stop nobody else, and end in quarantine with their bytes and a reason."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows import evidence, pipeline, quarantine
from flows.attempts import DIED, Attempts, digest
from flows.cli import run
from flows.cli.app import app
from flows.poison import MAX_POISON, SuspectDropsError
from flows.receipts import BatchReceipt
from flows.wiring import Runtime
from tasks.batch import Drop
from tasks.catalog.query import run_query
from tasks.errors import StoreUnavailableError
from tasks.ingest.read import read_batch
from tasks.storage.local import LocalStore
from tests.support.faults import SOURCE, ledger_lines, seal_entries, small_runtime, write_contract

CAP = 2
DROPS = 20
BAD = b"the-bad-one"


def runtime_at(base: Path, **sections: Any) -> Runtime:
    return small_runtime(
        LocalStore(base / "store"), base, base / "landing", **{"run": {"attempts": CAP}, **sections}
    )


class Place:
    def __init__(self, base: Path) -> None:
        self.base = base
        write_contract(base / "contracts")
        (base / "landing").mkdir()
        for number in range(DROPS):
            self.land(number)

    def land(self, number: int, more: bytes = b"") -> None:
        line = b'{"time":"2026-11-02T10:00:00Z","id":"a%d","user":"kim","status":200}\n' % number
        (self.base / "landing" / f"{number:03d}.ndjson").write_bytes(line + more)

    def poison(self, *numbers: int) -> None:
        for number in numbers:
            self.land(number, b'{"time":"2026-11-02T10:00:01Z","id":"b%d","user":"%s"}\n' % (number, BAD))

    def deliver(self) -> tuple[list[BatchReceipt], str]:
        """Receipts of a run without suspects, or what the run said of them."""
        try:
            return pipeline.deliver(runtime_at(self.base), SOURCE)[0], ""
        except SuspectDropsError as error:
            return [], str(error)

    def sealed(self) -> set[str]:
        return {line["key"] for line in ledger_lines(LocalStore(self.base / "store"))}

    def failures(self) -> list[tuple[int, str]]:
        found = Attempts(self.base / "state" / "attempts" / SOURCE).failures()
        return sorted((len(failure.drops), failure.kind) for failure in found)

    def rules(self) -> list[tuple[str, int]]:
        runtime = runtime_at(self.base)
        with runtime.catalog() as catalog:
            catalog.create_views(runtime.contracts())
            return [(item["rule"], item["lines"]) for item in quarantine.open_items(catalog, SOURCE)]

    def check(self) -> None:
        report = evidence.verify_store(runtime_at(self.base))
        assert report.ok, report.findings


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    let_gate_pass(monkeypatch)
    return Place(tmp_path)


def let_gate_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Great Expectations, whose import takes seconds and which no poison has to do with."""
    monkeypatch.setattr("tasks.validate.stage.run_gate", lambda frame, contract: (True, {"results": []}))


def reader_that(strike: Any) -> Any:
    """A reader at whom the bad drop strikes."""

    def read(landing: Any, contract: Any, drops: Sequence[Drop], limits: Any) -> Any:
        if any(BAD in landing.read(drop.key) for drop in drops):
            strike()
        return read_batch(landing, contract, drops, limits)

    return read


def fail_with(error: Exception) -> Any:
    def strike() -> None:
        raise error

    return reader_that(strike)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ValueError(f"no {BAD!r}"), "error"), (MemoryError(), "memory")],
    ids=["error", "memory"],
)
def test_neighbours_are_sealed_at_once_and_the_drop_is_held_after_the_cap(
    place: Place, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str
) -> None:
    place.poison(7)
    monkeypatch.setattr(pipeline, "read_batch", fail_with(error))

    _, said = place.deliver()

    assert "1 drop could not be sealed, and all others were" in said
    assert BAD.decode() not in said
    assert place.sealed() == {f"{n:03d}.ndjson" for n in range(DROPS) if n != 7}

    ((held,), _) = place.deliver()

    assert (held.drops, held.lines, held.quarantined) == (1, 1, 1)
    assert dict(place.rules())[f"poison.{kind}"] == 1
    assert place.deliver() == ([], "")
    place.check()


@pytest.mark.parametrize("as_json", [False, True], ids=["people", "json"])
def test_the_command_shows_what_was_sealed_and_then_fails(
    place: Place, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    place.poison(7)
    monkeypatch.setattr(pipeline, "read_batch", fail_with(ValueError()))
    monkeypatch.setattr(run, "runtime_with", lambda **_: runtime_at(place.base))

    ended = CliRunner().invoke(app, ["deliver", SOURCE, *(["--json"] if as_json else [])])

    assert isinstance(ended.exception, SuspectDropsError)
    if as_json:
        shown = json.loads(ended.stdout)
        assert sum(batch["drops"] for batch in shown["batches"]) == DROPS - 1
        assert shown["checkpoint"]["size"] > 0
    else:
        assert ended.stdout.count(f"sealed {SOURCE} entry") == len(ended.exception.receipts)
        assert "nothing new" not in ended.stdout
        assert "next:" not in ended.stdout  # the error brings its own


def test_a_run_that_seals_nothing_does_not_call_everything_sealed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.poison(*range(DROPS))
    monkeypatch.setattr(pipeline, "read_batch", fail_with(ImportError()))
    monkeypatch.setattr(run, "runtime_with", lambda **_: runtime_at(place.base))

    shown = CliRunner().invoke(app, ["deliver", SOURCE])

    assert isinstance(shown.exception, SuspectDropsError)
    assert "nothing new" not in shown.stdout


def test_what_was_held_is_accepted_after_the_fix_and_twice_gives_equal_roots(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.poison(7)
    with monkeypatch.context() as broken:
        broken.setattr(pipeline, "read_batch", fail_with(ValueError()))
        for _ in range(CAP):
            place.deliver()

    ((again,), first) = quarantine.replay(runtime_at(place.base), SOURCE)

    assert (again.lines, again.accepted) == (2, 2)
    receipts, second = quarantine.replay(runtime_at(place.base), SOURCE)
    assert (receipts, second.root) == ([], first.root)
    runtime = runtime_at(place.base)
    _, rows = run_query(runtime.session(), runtime.catalog_path, f"SELECT id FROM {SOURCE}")
    assert sorted(value for (value,) in rows) == sorted([f"a{n}" for n in range(DROPS)] + ["b7"])
    assert place.rules() == []
    place.check()


def test_a_drop_that_kills_each_process_is_found_and_held_and_the_others_go_on(place: Place) -> None:
    place.poison(7)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["polars", "tasks.catalog.catalog", "tests.flows.test_poison"])
    deaths = 0
    while not (process := _run(context, place.base)):
        deaths += 1
        assert deaths < 10
        if deaths == 1:
            place.land(DROPS)  # what lands meanwhile is not kept waiting
        if deaths == 2:
            assert f"{DROPS:03d}.ndjson" in place.sealed()
    assert process
    assert place.sealed() == {f"{n:03d}.ndjson" for n in range(DROPS + 1)}
    # Twice in full company, once in a part of it, twice alone.
    assert deaths == CAP + 1 + CAP
    assert dict(place.rules())["poison.died"] == 1
    sums = [entry["sums"] for entry in seal_entries(LocalStore(place.base / "store"))]
    assert sum(s["accepted"] for s in sums) == DROPS
    assert sum(s["quarantined"] for s in sums) == 1
    place.check()


def _run(context: Any, base: Path) -> bool:
    process = context.Process(target=_deliver_or_die, args=(base,))
    process.start()
    process.join(60)
    assert process.exitcode in {0, -signal.SIGKILL}
    return bool(process.exitcode == 0)


def _deliver_or_die(base: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        let_gate_pass(patch)
        patch.setattr(pipeline, "read_batch", reader_that(lambda: os.kill(os.getpid(), signal.SIGKILL)))
        pipeline.deliver(runtime_at(base), SOURCE)


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("away"), OSError(28, "disk full")], ids=["store", "disk"]
)
def test_what_is_no_drops_fault_is_not_blamed_on_one(
    place: Place, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    place.poison(7)
    monkeypatch.setattr(pipeline, "read_batch", fail_with(error))

    with pytest.raises(type(error)):
        pipeline.deliver(runtime_at(place.base), SOURCE)

    assert place.failures() == []


def test_when_everything_fails_nothing_is_held(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.poison(*range(DROPS))
    monkeypatch.setattr(pipeline, "read_batch", fail_with(ImportError("a broken release")))

    for _ in range(CAP + 2):
        assert "could not be sealed" in place.deliver()[1]

    assert place.sealed() == set()
    monkeypatch.setattr(pipeline, "read_batch", read_batch)
    receipts, _ = place.deliver()
    assert sum(receipt.accepted for receipt in receipts) == 2 * DROPS
    assert MAX_POISON < DROPS


def test_an_attempt_under_way_has_not_failed(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    drop = Drop(SOURCE, "key", 1, "etag", None, 0)
    with attempts.begin([drop]) as attempt:
        assert Attempts(tmp_path).failures() == []
        attempt.failed_as = "memory"
    (failure,) = attempts.failures()
    assert (set(failure.drops), failure.kind) == ({digest(drop)}, "memory")
    attempts.forget([failure])
    assert attempts.failures() == []
    with pytest.raises(KeyboardInterrupt), attempts.begin([drop]):
        raise KeyboardInterrupt
    assert attempts.failures() == []
    assert DIED not in "".join(path.read_text() for path in tmp_path.iterdir())
