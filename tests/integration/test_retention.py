"""Retention on a real S3 server: recorded first, planned before it locks, extended and never shortened."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows import pipeline, retention
from flows.cli import retention as command
from flows.cli import run
from flows.holding import Scope
from tasks.errors import NotFoundError, StoreRefusedError, UsageError
from tasks.storage.s3 import S3Store
from tests.support import contracts
from tests.support.faults import SOURCE
from tests.support.holding import ORDER, Place
from tests.support.s3 import S3

FIRST, SECOND = "2026-11-01", "2026-11-02"
TO = date(2040, 1, 1)
END = datetime(2040, 1, 2, tzinfo=UTC)
LOG_END = END + timedelta(days=366)


@pytest.fixture
def place(tmp_path: Path, s3: S3, worm_store: S3Store) -> Place:
    made = Place(tmp_path, s3, worm_store)
    made.land("a", FIRST, "kim")
    return made


def sla(days: int, **more: Any) -> dict[str, Any]:
    return {"property": "retention", "value": days, "unit": "d", "driver": "regulatory", **more}


def ends(place: Place) -> dict[str, datetime | None]:
    """Path -> end of the lock of its newest version."""
    return {info.path: place.store.head(info.path).retain_until for info in place.store.list()}


def test_the_class_is_sealed_before_the_first_batch_and_at_each_change(place: Place) -> None:
    place.deliver()
    place.land("b", SECOND, "kim")
    place.deliver()
    (first,) = place.entries("retention")
    assert (first["action"], first["retention_class"], first["rule"]) == ("class", "standard", "contract")
    assert (first["data_days"], first["log_days"], first["maximum_days"]) == (366, 366 + 366, None)
    place.document = contracts.document() | {"version": "1.1.0", "slaProperties": [sla(400)]}
    contracts.set_property(place.document, "retentionClass", "longer")
    place.land("c", SECOND, "kim")
    place.deliver()
    place.land("d", SECOND, "kim")
    place.deliver(retention={"minimum_days": {SOURCE: 500}})
    changes = [(e["retention_class"], e["rule"], e["data_days"]) for e in place.entries("retention")]
    assert changes == [
        ("standard", "contract", 366),
        ("longer", "contract:regulatory", 400),
        ("longer", "settings", 500),
    ]
    kinds = [entry["type"] for entry in all_entries(place)]
    assert kinds == ["genesis", "retention", "key", "seal", "seal", "retention", "seal", "retention", "seal"]
    days = [
        (datetime.fromisoformat(e["retain_until"]) - datetime.fromisoformat(e["sealed_at"])).days
        for e in place.entries("seal")
    ]
    assert days == [366, 366, 400, 500]
    place.check()


def all_entries(place: Place) -> list[dict[str, Any]]:
    found = sorted(info.path for info in place.store.list("log/") if "/seq/" in info.path)
    return [json.loads(place.store.read(path)) for path in found]


def test_what_a_later_batch_shares_with_an_earlier_one_stays_as_long_as_the_later(place: Place) -> None:
    place.deliver()
    (contract,) = [info.path for info in place.store.list("contracts/")]
    before = place.store.head(contract).retain_until
    place.land("b", SECOND, "kim")
    place.clock = place.store.now() + timedelta(days=2)
    place.deliver()
    after = place.store.head(contract).retain_until
    assert before is not None
    assert after is not None
    assert after - before >= timedelta(days=2)
    assert all(ends(place)[path] == after for path, _ in [place.data()[SECOND]])


def test_the_plan_shows_lengths_rules_and_bytes_and_writes_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.document = contracts.document() | {
        "slaProperties": [sla(400), sla(500, property="retentionMaximum", driver="privacy")]
    }
    runtime = place.runtime()
    monkeypatch.setattr(run, "runtime_with", lambda **_: runtime)
    plan = json.loads(CliRunner().invoke(command.app, ["plan", SOURCE, "--json"]).output)
    size = (place.base / "landing" / "a").stat().st_size
    assert (plan["worm"], plan["drops"], plan["bytes"], plan["measured"]) == (True, 1, size, False)
    decided = {d["kind"]: (d["days"], d["rule"]) for d in plan["decisions"]}
    assert decided["data"] == decided["ledger"] == (400, "contract:regulatory")
    assert decided["log"] == (766, "log")
    assert decided["catalog"] == (30, "catalog")
    assert 0 < plan["estimate"]["data"] < size
    text = CliRunner().invoke(command.app, ["plan", SOURCE]).output
    assert "COMPLIANCE locks" in text
    assert "within the privacy maximum of 500 days" in text
    assert list(place.store.list()) == []
    place.deliver()
    place.land("b", SECOND, "kim", "sam")
    again = retention.plan(place.runtime(), SOURCE, pipeline.Window())
    assert (again.drops, again.measured) == (1, True)
    assert again.estimate["data"] > 0


def test_settings_beyond_the_privacy_maximum_stop_before_anything_is_locked(place: Place) -> None:
    place.document = contracts.document() | {
        "slaProperties": [sla(400), sla(500, property="retentionMaximum", driver="privacy")]
    }
    with pytest.raises(UsageError, match="privacy maximum allows 500"):
        place.deliver(retention={"minimum_days": {SOURCE: 501}})
    assert not list(place.store.list("data/"))


def test_an_extension_reaches_records_and_what_proves_them_and_nothing_else(place: Place) -> None:
    place.deliver()
    place.land("b", SECOND, "sam")
    place.deliver()
    before = ends(place)
    del before["log/2026/checkpoint"]  # the pointer is a new version at each publication
    scope = Scope(SOURCE, since=date(2026, 11, 2))
    changed, _ = retention.extend(place.runtime(), scope, TO, ORDER)
    (entry,) = [e for e in place.entries("retention") if e["action"] == "extend"]
    listed = [json.loads(line)["path"] for line in place.store.read(entry["objects"]["path"]).splitlines()]
    assert sum(changed.values()) == len(listed) == entry["objects"]["count"]
    assert set(changed) == {"contracts", "data", "gate", "ledger", "log", "redaction"}
    after = ends(place)
    assert {path: after[path] for path in listed} == {
        path: LOG_END if path.startswith("log/") else END for path in listed
    }
    assert {path for path, end in before.items() if after[path] != end} == set(listed)
    assert place.data()[FIRST][0] not in listed
    assert (entry["retain_until"], entry["approver"]) == ("2040-01-02T00:00:00Z", "Dana Legal")
    place.check()


def test_no_lock_is_shortened_by_the_command_or_by_the_store(place: Place) -> None:
    place.deliver()
    retention.extend(place.runtime(), Scope(SOURCE), TO, ORDER)
    before = ends(place)
    with pytest.raises(UsageError, match="never shortened"):
        retention.extend(place.runtime(), Scope(SOURCE), date(2039, 1, 1), ORDER)
    data = place.data()[FIRST]
    assert not place.store.extend_retention(*data, END - timedelta(days=1))
    with pytest.raises(StoreRefusedError, match="AccessDenied"):
        place.store.set_retention(*data, END - timedelta(days=1))
    after = ends(place)
    assert {path: after[path] for path in before if path != "log/2026/checkpoint"} == {
        path: end for path, end in before.items() if path != "log/2026/checkpoint"
    }


def test_an_extension_does_not_go_beyond_the_privacy_maximum(place: Place) -> None:
    place.document = contracts.document() | {
        "slaProperties": [sla(400), sla(500, property="retentionMaximum", driver="privacy")]
    }
    place.deliver()
    with pytest.raises(UsageError, match="500 days at most"):
        retention.extend(place.runtime(), Scope(SOURCE), TO, ORDER)
    with pytest.raises(NotFoundError, match="nothing is sealed in this scope"):
        retention.extend(place.runtime(), Scope(SOURCE, since=date(2027, 1, 1)), TO, ORDER)
    assert [e["action"] for e in place.entries("retention")] == ["class"]
