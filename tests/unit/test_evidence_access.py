"""Entries about access: nothing of a person in the one, two officers' own signatures in the other."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jsonschema import Draft202012Validator

from tasks.errors import VerificationError
from tasks.evidence.access_entry import coarse, parse_request, signed_bytes
from tasks.evidence.canonical import canonical_json
from tasks.evidence.entry import parse_entry
from tasks.verify.accesses import check_access
from tasks.verify.report import Findings

KEYS = {
    name: Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"0")) for name in ("anna", "otto")
}
REQUEST: dict[str, Any] = {
    "case": "2026-17",
    "expires_at": "2026-11-25T10:00:00Z",
    "format": "indelible-reidentification/1",
    "origin": "audit.example/acme",
    "pseudonyms": ["p_2026-11_" + "0" * 32, "s_" + "a" * 32],
    "purpose": "fraud in the shop",
    "requested_at": "2026-11-24T10:00:00Z",
    "requested_by": "ida",
    "source": "app",
}
EXPORT: dict[str, Any] = {
    "action": "subject-export",
    "format": "indelible/1",
    "purpose": "subject access",
    "records": 4,
    "requested_by": "ida",
    "sealed_at": "2026-11-24T10:00:00Z",
    "type": "access",
}
SCHEMA = Draft202012Validator(
    json.loads(files("data_contracts").joinpath("delivered", "entry.schema.json").read_text("utf-8"))
)


def officer(name: str, request: dict[str, Any], key: str = "") -> dict[str, str]:
    private = KEYS[key or name]
    public = private.public_key().public_bytes_raw().hex()
    return {"key": public, "name": name, "signature": private.sign(signed_bytes(request)).hex()}


def entry(**changes: Any) -> dict[str, Any]:
    """An entry whose request differs as given, and is signed as it is."""
    request = REQUEST | changes
    return {
        "action": "reidentify",
        "format": "indelible/1",
        "officers": [officer("anna", request), officer("otto", request)],
        "request": request,
        "sealed_at": "2026-11-24T12:00:00Z",
        "type": "access",
    }


def test_how_many_records_somebody_has_is_told_by_its_magnitude() -> None:
    assert [coarse(n) for n in (0, 1, 2, 3, 4, 5, 1_000_000)] == [0, 1, 2, 4, 4, 8, 1 << 20]


@pytest.mark.parametrize("document", [EXPORT, entry()], ids=["export", "reidentify"])
def test_good_entries_are_taken_by_parser_and_schema(document: dict[str, Any]) -> None:
    assert parse_entry(canonical_json(document)) == document
    assert SCHEMA.is_valid(document)
    assert parse_request(canonical_json(REQUEST)) == REQUEST


@pytest.mark.parametrize(
    "document",
    [
        EXPORT | {"subject": "0" * 32},
        EXPORT | {"action": "look"},
        EXPORT | {"records": -1},
        entry(pseudonyms=["anna@example.org"]),
        entry(pseudonyms=[]),
        entry(pseudonyms=[f"s_{n:032x}" for n in range(101)]),
        entry() | {"officers": [officer("anna", REQUEST)]},
        entry() | {"officers": []},
    ],
    ids=["a subject", "another action", "fewer than none", "a name", "none", "too many", "one", "nobody"],
)
def test_other_forms_are_refused_by_parser_and_schema(document: dict[str, Any]) -> None:
    assert not SCHEMA.is_valid(document)
    with pytest.raises(VerificationError, match="malformed-entry"):
        parse_entry(canonical_json(document))


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (EXPORT | {"records": 3}, "neither 0 nor a power of two"),
        (entry() | {"request": REQUEST | {"pseudonyms": ["s_" + "b" * 32]}}, "signature is not over this"),
        (entry() | {"request": REQUEST | {"origin": "audit.example/other"}}, "signature is not over this"),
        (entry() | {"officers": [officer("anna", REQUEST)] * 2}, "2 different ones"),
        (entry() | {"officers": [officer("anna", REQUEST), officer("otto", REQUEST, "anna")]}, "2 different"),
        (entry() | {"officers": [officer("anna", REQUEST), officer("Anna ", REQUEST, "otto")]}, "2 different"),
        (entry(requested_by=" Otto"), "the one who asked"),
        (entry() | {"sealed_at": "2026-11-25T10:00:00Z"}, "not within the time"),
        (entry() | {"sealed_at": "2026-11-24T09:59:59Z"}, "not within the time"),
        (entry(pseudonyms=REQUEST["pseudonyms"][::-1]), "sorted and distinct"),
        (entry(expires_at=REQUEST["requested_at"]), "not after"),
    ],
    ids=[
        "an exact number",
        "another pseudonym",
        "another deployment",
        "one twice",
        "one key",
        "one name",
        "asks and signs",
        "expired",
        "not yet",
        "order",
        "no time",
    ],
)  # fmt: skip
def test_what_two_officers_did_not_sign_in_time_is_refused(document: dict[str, Any], why: str) -> None:
    with pytest.raises(VerificationError, match=why):
        parse_entry(canonical_json(document))


@pytest.mark.parametrize(
    ("origin", "found"), [("audit.example/acme/2026", 0), ("audit.example/2026", 1), (None, 0)]
)
def test_a_request_that_was_signed_for_another_log_is_a_finding(origin: str | None, found: int) -> None:
    findings = Findings()
    for document in (EXPORT, entry()):
        check_access(findings, origin, 2026, 7, parse_entry(canonical_json(document)))
    assert [finding.reason for finding in findings.listed] == ["access-foreign"] * found
