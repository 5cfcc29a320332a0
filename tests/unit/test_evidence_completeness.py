"""Heartbeat and gap entries and their lists: what is taken, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tasks.errors import VerificationError
from tasks.evidence.canonical import canonical_json
from tasks.evidence.completeness_entry import InventoryLine, encode_lines, parse_lines
from tasks.evidence.entry import encode_entry, parse_entry
from tests.support.heartbeats import beat, gap, line
from tests.support.sealed_tree import SealedTree

SCHEMA = Draft202012Validator(
    json.loads(files("data_contracts").joinpath("delivered", "entry.schema.json").read_text())
)
LINES = [line("a", 1, (2026, 1, 0)), line("b", 2, None)]
BEAT = beat(SealedTree(), "gateway", 5, LINES)
SILENCE = beat(SealedTree(), "gateway", 5)
GAP = gap(SealedTree(), "gateway", 5, 7, ("silence", None, 5, 7), ("drop-vanished", "a", 5, 6))


@pytest.mark.parametrize("entry", [BEAT, SILENCE, GAP], ids=["heartbeat", "silence", "gap"])
def test_entries_come_back_as_they_were_and_satisfy_the_schema(entry: Any) -> None:
    assert parse_entry(encode_entry(entry)) == entry
    assert SCHEMA.is_valid(entry)


def scope(**changes: str) -> dict[str, Any]:
    return {"scope": BEAT["scope"] | changes}


@pytest.mark.parametrize(
    ("entry", "change", "complaint"),
    [
        (BEAT, scope(until="2026-11-01T07:00:00Z"), "not one hour"),
        (BEAT, scope(since="2026-11-01T05:30:00Z", until="2026-11-01T06:30:00Z"), "not one hour"),
        (BEAT, scope(since="2026-02-30T05:00:00Z"), "day is out of range"),
        (BEAT, {"interval": "day"}, "not one day"),
        (BEAT, {"inventory": None}, "not null exactly"),
        (SILENCE, {"inventory": BEAT["inventory"]}, "not null exactly"),
        (BEAT, {"inventory": BEAT["inventory"] | {"path": "lists/x"}}, "path of its digest"),
        (BEAT, {"inventory": BEAT["inventory"] | {"count": 0}}, "a list is empty"),
        (BEAT, {"counts": BEAT["counts"] | {"waiting": 9}}, "contradict each other"),
        (BEAT, {"source": "gateway"}, "unknown keys"),
        (GAP, {"approver": "alice"}, "the one who asked"),
        (GAP, {"codes": []}, "distinct and sorted"),
        (GAP, {"codes": ["silence", "drop-vanished"]}, "distinct and sorted"),
        (GAP, {"scope": {**GAP["scope"], "until": GAP["scope"]["since"]}}, "ends before it begins"),
    ],
    ids=range(14),
)
def test_an_entry_that_contradicts_itself_is_refused(
    entry: dict[str, Any], change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(VerificationError, match=complaint) as caught:
        parse_entry(canonical_json({**entry, **change}))
    assert caught.value.reason == "malformed-entry"


def without_its_end(data: bytes) -> bytes:
    return data[:-1]


def backwards(data: bytes) -> bytes:
    return b"".join(reversed(data.splitlines(keepends=True)))


def doubled(data: bytes) -> bytes:
    return data + data.splitlines(keepends=True)[-1]


def of_another_form(data: bytes) -> bytes:
    return data.replace(b'"landed":true', b'"landed":null')


def of_another_root(data: bytes) -> bytes:
    return data.replace(b'"key":"a"', b'"key":"A"')


@pytest.mark.parametrize("change", [without_its_end, backwards, doubled, of_another_form, of_another_root])
def test_a_list_of_another_form_is_refused(change: Callable[[bytes], bytes]) -> None:
    data, facts = encode_lines(LINES)
    assert parse_lines(data, facts, InventoryLine) == LINES  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"its l|line|as many"):
        parse_lines(change(data), facts, InventoryLine)  # type: ignore[arg-type]
