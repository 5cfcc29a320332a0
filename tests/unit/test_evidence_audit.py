"""An `audit` entry says what was examined, and cannot say more than its findings do."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tasks.errors import VerificationError
from tasks.evidence.canonical import canonical_json
from tasks.evidence.entry import parse_entry

FINDING = {"code": "delete-version", "identity": "admin", "ok": True, "sentence": "Tried to delete it."}
ENTRY: dict[str, Any] = {
    "enforced": True,
    "findings": [FINDING],
    "format": "indelible/1",
    "kind": "worm-probe",
    "sealed_at": "2026-11-24T10:00:00Z",
    "server": "",
    "software": "indelible/1.0.0",
    "store": "s3://indelible",
    "type": "audit",
}


def test_it_is_as_the_schema_says() -> None:
    document = files("data_contracts").joinpath("delivered/entry.schema.json").read_text(encoding="utf-8")
    schema = Draft202012Validator(json.loads(document))
    assert schema.is_valid(ENTRY)
    assert not schema.is_valid({**ENTRY, "kind": "other"})
    assert not schema.is_valid({**ENTRY, "findings": [{**FINDING, "secret": "x"}]})


def test_it_comes_back() -> None:
    assert parse_entry(canonical_json(ENTRY)) == ENTRY
    failed = {**ENTRY, "enforced": False, "findings": [FINDING, {**FINDING, "ok": False}]}
    assert parse_entry(canonical_json(failed)) == failed


@pytest.mark.parametrize(
    "change",
    [
        {"enforced": False},
        {"findings": [{**FINDING, "ok": False}]},
        {"findings": [{**FINDING, "secret": "x"}]},
        {"findings": [{"code": "clock", "ok": True, "sentence": "No identity."}]},
        {"kind": "other"},
        {"store": ""},
        {"approver": "a"},
        {"action": "class"},
    ],
)
def test_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(VerificationError) as caught:
        parse_entry(canonical_json({**ENTRY, **change}))
    assert caught.value.reason == "malformed-entry"
