"""Entries about persons who were to be forgotten: their forms, and what must come before them."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tasks.errors import VerificationError
from tasks.evidence.canonical import canonical_json
from tasks.evidence.entry import parse_entry

COMMON: dict[str, Any] = {
    "approval": None,
    "approver": "carla",
    "certificate": "c" * 64,
    "format": "indelible/1",
    "reason": "letter 17",
    "request": "0123456789abcdef" * 2,
    "requested_by": "dennis",
    "sealed_at": "2026-11-24T10:00:00Z",
    "type": "erasure",
}
LINES = [{"drop": "a" * 64, "lines": [1, 7]}, {"drop": "b" * 64, "lines": [3]}]
ERASED = COMMON | {"action": "erase", "keys": ["d" * 64, "e" * 64], "lines": LINES, "part": 1, "parts": 1}
REFUSED = COMMON | {"action": "refuse", "basis": "GDPR 17(3)(e)", "holds": ["2026-3"]}
SCHEMA = Draft202012Validator(
    json.loads(files("data_contracts").joinpath("delivered", "entry.schema.json").read_text("utf-8"))
)


@pytest.mark.parametrize(
    "document",
    [ERASED, ERASED | {"keys": [], "lines": []}, REFUSED, REFUSED | {"basis": "GDPR 17(3)(b)"}],
    ids=["erased", "nothing found", "refused", "other basis"],
)
def test_good_forms_are_taken_by_parser_and_schema(document: dict[str, Any]) -> None:
    assert parse_entry(canonical_json(document)) == document
    assert SCHEMA.is_valid(document)


@pytest.mark.parametrize(
    ("document", "change"),
    [
        (ERASED, {"action": "forget"}),
        (ERASED, {"subject": "ada@example.org"}),
        (ERASED, {"request": "17"}),
        (ERASED, {"part": 0}),
        (ERASED, {"keys": ["d"]}),
        (ERASED, {"lines": [{"drop": "a" * 64, "lines": []}]}),
        (ERASED, {"lines": [{"drop": "a" * 64, "lines": [0]}]}),
        (REFUSED, {"basis": "because"}),
        (REFUSED, {"holds": []}),
        (REFUSED, {"holds": ["17"]}),
    ],
)
def test_other_forms_are_refused_by_parser_and_schema(
    document: dict[str, Any], change: dict[str, Any]
) -> None:
    assert not SCHEMA.is_valid(document | change)
    with pytest.raises(VerificationError, match="malformed-entry"):
        parse_entry(canonical_json(document | change))


@pytest.mark.parametrize(
    ("document", "change", "why"),
    [
        (ERASED, {"approver": "dennis"}, "the one who asked"),
        (ERASED, {"approver": " Dennis"}, "the one who asked"),
        (ERASED, {"keys": ["e" * 64, "d" * 64]}, "keys are not distinct"),
        (ERASED, {"lines": LINES[::-1]}, "lines are not distinct"),
        (ERASED, {"lines": [{"drop": "a" * 64, "lines": [7, 1]}]}, "of a drop are not distinct"),
        (ERASED, {"part": 2, "keys": []}, "none of entry.parts"),
        (ERASED, {"part": 2, "parts": 2}, "keys stand in the first part"),
        (REFUSED, {"holds": ["2026-4", "2026-3"]}, "holds are not distinct"),
    ],
)
def test_what_contradicts_itself_is_refused(
    document: dict[str, Any], change: dict[str, Any], why: str
) -> None:
    with pytest.raises(VerificationError, match=why):
        parse_entry(canonical_json(document | change))
