"""Legal holds on a real S3 server: they outlast retention, follow the log, and leave when they are released."""

from __future__ import annotations

import csv
import io
import json
import time
import zipfile
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows import evidence, holding, holds
from flows.cli import hold as command
from flows.holding import Order, Scope
from flows.trust import own_policy
from tasks.errors import NotFoundError, StoreRefusedError, UsageError
from tasks.evidence import paths
from tasks.storage.local import LocalStore
from tasks.storage.s3 import S3Store
from tasks.verify.tree import verify
from tests.support.faults import SOURCE, small_runtime, write_contract
from tests.support.holding import ORDER, Place
from tests.support.s3 import S3

FIRST, SECOND, THIRD = "2026-11-01", "2026-11-02", "2026-11-03"


@pytest.fixture
def place(tmp_path: Path, s3: S3, worm_store: S3Store) -> Place:
    """Two batches: one of two event dates, one of a third."""
    made = Place(tmp_path, s3, worm_store)
    made.land("a", FIRST, "kim", "sam")
    made.land("b", SECOND, "sam")
    made.land("c", THIRD, "kim")
    made.deliver(limits={"batch_drops": 2, "clock_difference_s": 10**9})
    return made


def kinds(held: set[str]) -> set[str]:
    return {path.split("/", 1)[0] for path in held}


def days(held: set[str]) -> set[str]:
    return {path.split("event_date=")[1][:10] for path in held if path.startswith("data/")}


def pseudonym(place: Place, user: str) -> str:
    """The pseudonym of a user who stands first in some drop."""
    runtime = place.runtime()
    with runtime.catalog() as catalog:
        catalog.create_views(runtime.contracts())
        row = catalog.connection.execute(
            f'SELECT "user" FROM {SOURCE} WHERE id = ?', [{"kim": "a0", "sam": "b0"}[user]]
        ).fetchone()
    assert row is not None
    return str(row[0])


def test_a_hold_keeps_what_its_retention_no_longer_keeps_until_it_is_released(
    tmp_path: Path, s3: S3, worm_store: S3Store
) -> None:
    place = Place(tmp_path, s3, worm_store, sections={"retention": {"override_days": 1}})
    place.ends_in = timedelta(seconds=6)
    place.land("a", FIRST, "kim")
    place.deliver()
    held = place.data()[FIRST]
    end = worm_store.head(*held).retain_until
    assert end is not None
    other = worm_store.create("other", b"locked as long", retain_until=end)
    hold, _ = holds.place(place.runtime(), Scope(SOURCE, until=date(2026, 11, 1)), ORDER)
    while worm_store.now() <= end:
        time.sleep(0.3)
    assert place.can_delete("other", other.version_id)
    assert not place.can_delete(*held)
    holds.release(place.runtime(), hold.id, ORDER)
    assert place.can_delete(*held)


def test_what_proves_the_held_records_is_held_with_them(place: Place) -> None:
    hold, receipt = holds.place(place.runtime(), Scope(SOURCE, since=date(2026, 11, 3)), ORDER, "case 1")
    held = place.held()
    assert receipt.unheld == ""
    assert days(held) == {THIRD}
    assert kinds(held) == {"data", "ledger", "gate", "redaction", "contracts", "log", "lists"}
    (entry,) = place.entries("hold")
    assert (entry["approver"], entry["case"], entry["reason"]) == ("Dana Legal", "case 1", "matter 7")
    lines = [json.loads(line) for line in place.store.read(entry["objects"]["path"]).splitlines()]
    own = {entry["objects"]["path"], paths.sequence(hold.shard, hold.index)}
    assert {line["path"] for line in lines} == held - own
    assert entry["objects"]["count"] == len(lines)
    # With nothing but what is held, the batch is still proven: entry, tiles, checkpoint.
    logs = {path for path in held if path.startswith("log/")} - own
    assert {path.split("/")[2] for path in logs} == {"seq", "checkpoints", "tile"}
    place.check()


def test_a_person_is_held_where_the_pseudonym_stands_and_nowhere_else(place: Place) -> None:
    holds.place(place.runtime(), Scope(SOURCE, subject=pseudonym(place, "sam")), ORDER)
    assert days(place.held()) == {FIRST, SECOND}


def test_what_is_sealed_later_falls_under_the_hold(place: Place) -> None:
    holds.place(place.runtime(), Scope(SOURCE, since=date(2026, 11, 3)), ORDER)
    place.land("d", "2026-11-04", "kim")
    place.land("e", "2026-10-30", "kim")
    _, receipt = place.deliver()
    assert receipt.unheld == ""
    assert days(place.held()) == {THIRD, "2026-11-04"}
    seals = [
        info.path
        for info in place.store.list("log/")
        if "/seq/" in info.path and b'"type":"seal"' in place.store.read(info.path)
    ]
    assert [path in place.held() for path in seals] == [False, True, True]
    place.check()


def test_a_release_leaves_what_another_hold_covers(place: Place) -> None:
    first, _ = holds.place(place.runtime(), Scope(SOURCE, until=date(2026, 11, 2)), ORDER)
    second, _ = holds.place(place.runtime(), Scope(SOURCE, since=date(2026, 11, 2)), ORDER)
    assert days(place.held()) == {FIRST, SECOND, THIRD}
    holds.release(place.runtime(), first.id, ORDER)
    assert days(place.held()) == {SECOND, THIRD}
    holds.release(place.runtime(), second.id, ORDER)
    assert place.held() == set()
    with pytest.raises(UsageError, match="was released"):
        holds.release(place.runtime(), second.id, ORDER)
    with pytest.raises(NotFoundError, match="no hold 2026-999"):
        holds.release(place.runtime(), "2026-999", ORDER)
    register, _ = holds.register(place.runtime())
    assert [(line["id"], line["released"]["reason"]) for line in register] == [
        (first.id, "matter 7"),
        (second.id, "matter 7"),
    ]
    place.check()


def test_credentials_that_may_not_hold_seal_the_hold_and_an_officer_applies_it(place: Place) -> None:
    """Also what a process that died after its entry leaves behind: a hold in the log, not in the store."""
    hold, receipt = holds.place(place.runtime("writer"), Scope(SOURCE), ORDER)
    assert "403" in receipt.unheld
    assert place.held() == set()
    _, again = place.deliver("writer")
    assert "403" in again.unheld
    register, refused = holds.register(place.runtime("admin"), repair=True)
    assert (register[0]["id"], refused) == (hold.id, "")
    assert days(place.held()) == {FIRST, SECOND, THIRD}


def test_the_next_delivery_applies_and_lifts_what_was_left(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(holding, "set_holds", died)
        with pytest.raises(KeyboardInterrupt):
            holds.place(place.runtime(), Scope(SOURCE), ORDER)
    assert place.held() == set()
    place.deliver()
    assert days(place.held()) == {FIRST, SECOND, THIRD}
    register, _ = holds.register(place.runtime())
    with monkeypatch.context() as dying:
        dying.setattr(holding, "set_holds", died)
        with pytest.raises(KeyboardInterrupt):
            holds.release(place.runtime(), register[0]["id"], ORDER)
    assert days(place.held()) == {FIRST, SECOND, THIRD}
    place.deliver()
    assert place.held() == set()


def died(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_hold_that_somebody_took_off_is_put_back_by_a_repair(place: Place) -> None:
    holds.place(place.runtime(), Scope(SOURCE), ORDER)
    place.store.set_legal_hold(*place.data()[FIRST], held=False)
    place.deliver()
    assert days(place.held()) == {SECOND, THIRD}  # what was done is not asked of the store at each run
    holds.register(place.runtime(), repair=True)
    assert days(place.held()) == {FIRST, SECOND, THIRD}


@pytest.mark.parametrize(
    "order",
    [
        Order("kim", "kim", "x"),
        Order("Kim ", "kim", "x"),
        Order("", "kim", "x"),
        Order("a", "b", "two\nlines"),
    ],
)
def test_one_person_alone_holds_nothing(tmp_path: Path, order: Order) -> None:
    write_contract(tmp_path / "contracts")
    runtime = small_runtime(LocalStore(tmp_path / "store"), tmp_path, tmp_path / "landing")
    with pytest.raises(UsageError):
        holds.place(runtime, Scope(SOURCE), order)


def test_a_directory_holds_nothing_and_says_so(tmp_path: Path) -> None:
    write_contract(tmp_path / "contracts")
    store = LocalStore(tmp_path / "store")
    with pytest.raises(StoreRefusedError, match="not WORM"):
        holds.place(small_runtime(store, tmp_path, tmp_path / "landing"), Scope(SOURCE), ORDER)
    made = store.create("a", b"x", retain_until=None)
    for refused in (
        lambda: store.set_legal_hold("a", made.version_id, held=True),
        lambda: store.extend_retention("a", made.version_id, store.now()),
    ):
        with pytest.raises(StoreRefusedError, match="a directory holds nothing"):
            refused()
    assert not store.legal_hold("a", made.version_id)


def test_the_register_goes_into_the_bundle_and_the_bundle_verifies(place: Place, tmp_path: Path) -> None:
    hold, _ = holds.place(place.runtime(), Scope(SOURCE), Order("Dana Legal", "kim", "=1+1"), "case 1")
    holds.release(place.runtime(), hold.id, ORDER)
    target = tmp_path / "evidence.zip"
    runtime = place.runtime()
    evidence.export(runtime, date(2026, 11, 1), date(2026, 11, 3), target)
    with zipfile.ZipFile(target) as bundle:
        (line,) = csv.DictReader(io.StringIO(bundle.read("registers/holds.csv").decode()))
        assert "case 1" in bundle.read("report.html").decode()
        bundle.extractall(tmp_path / "unpacked")
    assert (line["id"], line["approver"], line["release_reason"]) == (hold.id, "Dana Legal", "matter 7")
    assert line["reason"] == "'=1+1"
    from tasks.verify.readers import ZipReader

    report = verify(ZipReader(target), own_policy(runtime))
    assert report.findings == ()


def test_the_command_lists_places_and_releases(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "runtime_with", lambda **_: place.runtime())
    run = CliRunner()
    who = ["--approver", "Dana Legal", "--requested-by", "kim", "--reason", "matter 7"]
    placed = run.invoke(command.app, ["place", "--source", SOURCE, "--since", "2026-11-03", *who, "--json"])
    hold_id = json.loads(placed.output)["hold"]["id"]
    assert hold_id in run.invoke(command.app, ["list"]).output
    assert run.invoke(command.app, ["release", hold_id, *who]).output == f"hold {hold_id} released\n"
    (line,) = json.loads(run.invoke(command.app, ["list", "--repair", "--json"]).output)
    assert line["released"]["approver"] == "Dana Legal"
    assert place.held() == set()
