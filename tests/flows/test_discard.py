"""Discarding from quarantine: by two people, sealed, never silently, and nothing leaves the proof."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from flows import discards, evidence, pipeline, quarantine
from flows.holding import Order
from flows.wiring import Runtime
from tasks.errors import UsageError, VerificationError
from tasks.evidence.entry import encode_entry, parse_entry
from tasks.metrics.facts import _OPEN
from tasks.storage.local import LocalStore
from tests.support.command import indelible
from tests.support.faults import SOURCE, small_runtime, write_contract

ORDER = Order(approver="bob", requested_by="alice", reason="test data of the sender")
SCHEMA = Draft202012Validator(
    json.loads(files("data_contracts").joinpath("delivered", "entry.schema.json").read_text("utf-8"))
)
DISCARD: dict[str, Any] = {
    "action": "discard",
    "approver": "bob",
    "batch": {"entry": 2, "leaf": "0" * 64, "shard": 2026, "source": "gateway"},
    "format": "indelible/1",
    "lines": 3,
    "reason": "test data",
    "requested_by": "alice",
    "sealed_at": "2026-11-24T10:00:00Z",
    "type": "disposition",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tasks.validate.stage.run_gate", lambda frame, contract: (True, {"results": []}))
    write_contract(tmp_path / "contracts")
    (tmp_path / "landing").mkdir()
    for name, broken in (("one", 2), ("two", 1)):
        good = [f'{{"time":"2026-11-02T10:00:00Z","id":"{name[0]}{n}","user":"kim"}}' for n in range(9)]
        lines = [*good, *(f"broken {n}" for n in range(broken))]
        (tmp_path / "landing" / name).write_text("".join(f"{line}\n" for line in lines))
        pipeline.deliver(runtime(tmp_path), SOURCE)
    return tmp_path


def runtime(base: Path) -> Runtime:
    return small_runtime(LocalStore(base / "store"), base, base / "landing")


def listed(base: Path) -> list[dict[str, Any]]:
    here = runtime(base)
    with here.catalog() as catalog:
        catalog.create_views(here.contracts())
        return quarantine.open_items(catalog, SOURCE)


def test_what_is_discarded_leaves_the_list_is_shown_as_discarded_and_stays_in_the_proof(place: Path) -> None:
    first, second = listed(place)
    assert (first["lines"], first["day_quarantined"], first["day_accepted"]) == (2, 3, 18)

    (year, index), body = discards.discard(runtime(place), first["entry"], None, ORDER)

    assert (body["lines"], body["batch"]["entry"], body["batch"]["source"]) == (2, first["entry"], SOURCE)
    assert [item["entry"] for item in listed(place)] == [second["entry"]]
    here = runtime(place)
    with here.catalog() as catalog:
        catalog.create_views(here.contracts())
        (gone,) = discards.list_discards(catalog, SOURCE)
        assert {line["state"] for line in quarantine.show(catalog, first["entry"])} == {"discarded"}
        assert catalog.connection.execute(_OPEN).fetchall()[0][1] == 1
    assert (gone["lines"], gone["requested_by"], gone["approver"]) == (2, "alice", "bob")
    assert gone["reason"] == ORDER.reason
    report = evidence.verify_store(runtime(place))
    assert (report.ok, report.findings) == (True, ())
    assert parse_entry(here.store.read(f"log/{year}/seq/{index:020d}"))["type"] == "disposition"


def test_nothing_is_discarded_twice_and_a_replay_leaves_it(place: Path) -> None:
    first, _ = listed(place)
    discards.discard(runtime(place), first["entry"], first["shard"], ORDER)

    with pytest.raises(UsageError, match="no open quarantined lines"):
        discards.discard(runtime(place), first["entry"], None, ORDER)

    document = place / "contracts" / SOURCE / "contract.odcs.yaml"
    document.write_text(document.read_text().replace("version: 1.0.0", "version: 1.1.0"))
    _, checkpoint = quarantine.replay(runtime(place), SOURCE)
    assert [item["lines"] for item in listed(place)] == [1]
    assert quarantine.replay(runtime(place), SOURCE)[1].root == checkpoint.root


def test_nobody_approves_their_own_request(place: Path) -> None:
    with pytest.raises(UsageError, match="cannot approve"):
        discards.discard(runtime(place), 2, None, Order("alice", "alice", "because"))
    assert len(listed(place)) == 2


def test_the_command_says_who_discarded_what(place: Path) -> None:
    entry = str(listed(place)[0]["entry"])
    environment = {
        "INDELIBLE_STATE": str(place / "state"),
        "INDELIBLE_CONTRACTS": str(place / "contracts"),
        "INDELIBLE_KEYS__DIRECTORY": str(place / "keys"),
        "INDELIBLE_STORE__URI": (place / "store").as_uri(),
        "INDELIBLE_LOG__ORIGIN": "audit.example/faults",
        "INDELIBLE_LIMITS__CLOCK_DIFFERENCE_S": "1000000000",
    }

    def command(*arguments: str) -> str:
        done = indelible("quarantine", *arguments, directory=place, environment=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    said = command("discard", entry, "--approver=bob", "--requested-by=alice", "--reason=test data")
    assert f"discarded: 2 quarantined lines of entry {entry}" in said
    assert "discarded, and not listed: 2 lines" in command("list")
    assert json.loads(command("list", "--discarded", "--json"))[0]["approver"] == "bob"


def test_the_entry_comes_back_as_it_was_and_satisfies_the_schema() -> None:
    assert parse_entry(encode_entry(DISCARD)) == DISCARD  # type: ignore[arg-type]
    assert SCHEMA.is_valid(DISCARD)


@pytest.mark.parametrize(
    "change",
    [
        {"lines": 0},
        {"approver": "alice"},
        {"reason": ""},
        {"more": 1},
        {"batch": {**DISCARD["batch"], "leaf": "0"}},
        {"batch": None},
    ],
    ids=["nothing", "one-person", "no-reason", "more", "leaf", "no-batch"],
)
def test_an_entry_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(VerificationError):
        encode_entry({**DISCARD, **change})  # type: ignore[arg-type]
    if change != {"approver": "alice"}:  # a schema cannot compare two fields
        assert not SCHEMA.is_valid({**DISCARD, **change})
