from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.batch import FINGERPRINT, TIME, TYPE_FAULTS, ReadBatch, ValidatedBatch
from tasks.contracts import Contract
from tasks.contracts.model import Rule
from tasks.errors import ContractError
from tasks.validate import validate
from tests.support.batches import read_batch
from tests.support.contracts import build, document, schema_of, set_property

MARKER = "jane.doe@example.com"


@pytest.fixture(scope="module")
def contract() -> Contract:
    return build(document())


def row(minute: int = 0, **changes: Any) -> dict[str, Any]:
    time = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=minute)
    return {"time": time, "id": "a1", "user": MARKER, "status": 200, **changes}


def judged(
    batch: ReadBatch,
    contract: Contract,
    known: Collection[str] = frozenset(),
    *,
    hold: str | None = None,
) -> ValidatedBatch:
    return validate(
        batch, contract, known_fingerprints=lambda _dates, _marks: known, fingerprints=named, hold=hold
    )


def named(rows: pl.DataFrame, digests: pl.Series) -> pl.Series:
    assert len(rows) == len(digests)
    return "fingerprint of " + digests.bin.encode("hex")


def aside(batch: ValidatedBatch) -> list[tuple[int, str, list[str]]]:
    return list(batch.set_aside.select("_line", "disposition", "rules").iter_rows())


def test_every_line_is_accepted_or_set_aside_in_order(contract: Contract) -> None:
    rows = [row(), row(1, status=99), row(2, id="b2"), row(3, time=None), row(4)]
    batch = judged(
        read_batch(contract, rows, aside=[("blank", ""), ("quarantined", "json.syntax")]), contract
    )
    assert batch.frame["_line"].to_list() == [1, 3, 5]
    assert batch.frame[TIME].to_list() == [rows[index]["time"] for index in (0, 2, 4)]
    assert TYPE_FAULTS not in batch.frame.columns
    assert aside(batch) == [
        (2, "quarantined", ["status.range"]),
        (4, "quarantined", ["time.required"]),
        (6, "blank", []),
        (7, "quarantined", ["json.syntax"]),
    ]
    assert batch.violations == {"json.syntax": 1, "status.range": 1, "time.required": 1}


def test_equal_records_in_one_batch_are_duplicates(contract: Contract) -> None:
    raw = [b"one", b"two", b"one", b"one"]
    batch = judged(read_batch(contract, [row(i) for i in range(4)], raw=raw), contract)
    assert batch.frame["_line"].to_list() == [1, 2]
    assert aside(batch) == [(3, "duplicate", []), (4, "duplicate", [])]
    assert not batch.gate.held


def test_equal_keys_with_other_content_are_two_records(contract: Contract) -> None:
    batch = judged(read_batch(contract, [row(), row()], raw=[b'{"id":"a1"}', b'{"id":"a1" }']), contract)
    assert batch.frame.height == 2


def test_a_record_that_is_sealed_already_is_a_duplicate(contract: Contract) -> None:
    read = read_batch(contract, [row(), row(1)], raw=[b"one", b"two"])
    first = judged(read, contract)
    known = frozenset(first.frame[FINGERPRINT][:1])
    again = judged(read, contract, known)
    assert again.frame["_line"].to_list() == [2]
    assert aside(again) == [(1, "duplicate", [])]


def test_a_record_without_its_key_is_never_a_duplicate(contract: Contract) -> None:
    rows = [row(id=None), row(), row(id=None), row()]
    batch = judged(read_batch(contract, rows, raw=[b"same"] * 4), contract)
    assert batch.frame["_line"].to_list() == [1, 2, 3]
    assert batch.frame[FINGERPRINT].is_null().to_list() == [True, False, True]


def test_a_contract_without_a_key_has_no_fingerprints() -> None:
    content = document()
    set_property(schema_of(content), "recordKey", [])
    contract = build(content)
    batch = judged(read_batch(contract, [row(), row()], raw=[b"same"] * 2), contract)
    assert batch.frame.height == 2
    assert FINGERPRINT not in batch.frame.columns


def test_a_fingerprint_is_made_of_the_digest_and_the_digest_goes_nowhere(contract: Contract) -> None:
    digest = hashlib.sha256(b"one").hexdigest()
    frame = judged(read_batch(contract, [row()], raw=[b"one"]), contract).frame
    assert frame[FINGERPRINT].to_list() == [f"fingerprint of {digest}"]
    assert digest not in str(frame.drop(FINGERPRINT).to_dicts())


def test_records_of_a_destroyed_key_have_no_fingerprint_and_repeat_each_other_all_the_same(
    contract: Contract,
) -> None:
    batch = validate(
        read_batch(contract, [row(), row(1), row(2)], raw=[b"one", b"two", b"one"]),
        contract,
        known_fingerprints=lambda _dates, marks: set(marks),
        fingerprints=lambda rows, _: pl.repeat(None, rows.height, dtype=pl.String, eager=True),
    )
    assert batch.frame["_line"].to_list() == [1, 2]
    assert aside(batch) == [(3, "duplicate", [])]


def test_above_the_threshold_the_whole_batch_is_held(contract: Contract) -> None:
    rows = [row(), row(1, status=99)]
    lines = [("blank", ""), ("quarantined", "json.syntax")]
    batch = judged(read_batch(contract, rows, aside=lines), contract)
    assert batch.gate.held
    assert not batch.gate.success
    assert batch.frame.is_empty()
    assert {TIME, FINGERPRINT} <= set(batch.frame.columns)
    assert aside(batch) == [
        (1, "quarantined", ["batch.held"]),
        (2, "quarantined", ["status.range", "batch.held"]),
        (3, "blank", []),
        (4, "quarantined", ["json.syntax", "batch.held"]),
    ]
    assert batch.violations["batch.held"] == 3


def test_at_the_threshold_the_batch_passes_and_blank_lines_do_not_count(contract: Contract) -> None:
    read = read_batch(contract, [row(), row(1, status=99)], aside=[("blank", "")] * 5)
    batch = judged(read, contract)
    assert not batch.gate.held
    assert batch.frame.height == 1


def test_a_batch_can_be_held_for_a_reason_outside_its_rows(contract: Contract) -> None:
    batch = judged(read_batch(contract, [row(), row(1)]), contract, hold="drop.too_many_dates")
    assert batch.gate.held
    assert aside(batch) == [(line, "quarantined", ["drop.too_many_dates"]) for line in (1, 2)]
    assert batch.violations == {"drop.too_many_dates": 2}


def with_drift(policy: str) -> Contract:
    content = document()
    set_property(schema_of(content), "drift", policy)
    return build(content)


@pytest.mark.parametrize(
    ("policy", "accepted", "held"),
    [("evolve", [1, 2, 3], False), ("quarantine", [1, 3], False), ("freeze", [], True)],
)
def test_unknown_fields_follow_the_drift_policy(policy: str, accepted: list[int], held: bool) -> None:
    contract = with_drift(policy)
    batch = judged(read_batch(contract, [row(), row(1, _extra='{"pid":7}'), row(2)]), contract)
    assert batch.unknown_fields == {"pid": 1}
    assert batch.frame["_line"].to_list() == accepted
    assert batch.gate.held is held
    assert ("unknown_field" in batch.violations) is (policy != "evolve")


def test_the_same_batch_gives_the_same_evidence_without_record_values(contract: Contract) -> None:
    read = read_batch(contract, [row(), row(1, status=99), row(2)])
    first, second = (judged(read, contract).gate for _ in range(2))
    assert first == second
    assert MARKER.encode() not in first.result
    evidence = json.loads(first.result)
    assert evidence["batch"] == {
        "failed_rows": 1,
        "held": False,
        "rows": 3,
        "threshold_pct": 50.0,
        "unparsed_rows": 0,
    }
    assert evidence["contract"]["sha256"] == contract.sha256
    counts = {
        item["expectation_config"]["meta"]["rule"]: item["result"]["unexpected_count"]
        for item in evidence["great_expectations"]["results"]
    }
    assert counts == {"time.required": 0, "id.pattern": 0, "status.range": 1, "user_or_id": 0, "type": 0}


def test_a_batch_without_records_is_not_measured(contract: Contract) -> None:
    batch = judged(read_batch(contract, [], aside=[("blank", "")]), contract)
    assert batch.frame.is_empty()
    assert not batch.gate.held
    assert json.loads(batch.gate.result)["great_expectations"]["not_measured"] == "no parsed records"


def test_advisory_rules_never_fail_the_gate() -> None:
    content = document()
    schema_of(content)["quality"][0].update(severity="warning", implementation="status = 1")
    contract = build(content)
    batch = judged(read_batch(contract, [row()]), contract)
    assert batch.gate.success
    assert batch.violations == {"user_or_id": 1}


def test_a_rule_that_duckdb_cannot_run_stops_the_batch_without_showing_values(contract: Contract) -> None:
    broken = Rule("odd", "user", "error", "maxLength", 'CAST("user" AS INTEGER) > 0', {"max": 99})
    with pytest.raises(ContractError, match="cannot run") as caught:
        judged(read_batch(contract, [row()]), dataclasses.replace(contract, rules=(broken,)))
    assert "odd" in str(caught.value)
    assert MARKER not in str(caught.value)


def test_engines_that_disagree_stop_the_batch(contract: Contract) -> None:
    two_faced = Rule("odd", "user", "error", "maxLength", 'length("user") <= 1', {"max": 99})
    with pytest.raises(ContractError, match=r"disagree on odd \(1 in DuckDB, 0 in Polars\)"):
        judged(read_batch(contract, [row()]), dataclasses.replace(contract, rules=(two_faced,)))


def test_the_gate_writes_nothing_to_disk(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    judged(read_batch(contract, [row()]), contract)
    assert list(tmp_path.iterdir()) == []


def test_set_aside_keeps_the_schema_of_the_reader(contract: Contract) -> None:
    read = read_batch(contract, [row(), row(), row(1, status=99)], raw=[b"x", b"x", b"y"])
    batch = judged(read, contract)
    assert batch.set_aside.schema == read.set_aside.schema
    assert batch.set_aside.filter(pl.col("disposition") == "duplicate").height == 1
