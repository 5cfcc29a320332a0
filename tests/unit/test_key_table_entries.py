"""Entries about keys that protect: their forms, and the proof that a destroyed key is one that was committed to."""

from __future__ import annotations

import hashlib
import hmac
import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tasks.errors import VerificationError
from tasks.evidence import merkle
from tasks.evidence.canonical import canonical_json
from tasks.evidence.entry import parse_entry
from tasks.evidence.key_table_entry import SUBJECT, commitment
from tasks.evidence.keys import in_force, key_entry

LEAVES = sorted(commitment(SUBJECT, bytes([n]) * 32) for n in range(5))
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]
COMMIT: dict[str, Any] = {
    "action": "commit",
    "count": 5,
    "format": "indelible/1",
    "name": SUBJECT,
    "root": merkle.root(HASHES).hex(),
    "sealed_at": "2026-11-24T10:00:00Z",
    "type": "key",
}
SHRED: dict[str, Any] = COMMIT | {
    "action": "shred",
    "approver": "carla",
    "commitment": LEAVES[3].hex(),
    "index": 3,
    "proof": [digest.hex() for digest in merkle.inclusion_proof(HASHES, 3)],
    "reason": "request 17",
    "requested_by": "dennis",
}
SCHEMA = Draft202012Validator(
    json.loads(files("data_contracts").joinpath("delivered", "entry.schema.json").read_text("utf-8"))
)


def test_a_commitment_is_the_hmac_that_the_format_says() -> None:
    expected = hmac.digest(b"k" * 32, b"indelible/1/key-commitment/quarantine/2026-11", hashlib.sha256)
    assert commitment("quarantine/2026-11", b"k" * 32) == expected


@pytest.mark.parametrize("name", [SUBJECT, "pseudonym/2026-11", "quarantine/2031-01"])
@pytest.mark.parametrize("document", [COMMIT, SHRED], ids=["commit", "shred"])
def test_good_forms_are_taken_by_parser_and_schema(document: dict[str, Any], name: str) -> None:
    document = document | {"name": name}
    assert parse_entry(canonical_json(document)) == document
    assert SCHEMA.is_valid(document)


@pytest.mark.parametrize(
    ("document", "change"),
    [
        (COMMIT, {"count": 0}),
        (COMMIT, {"name": "ada@example.org"}),
        (COMMIT, {"name": "pseudonym/2026-13"}),
        (COMMIT, {"root": "00"}),
        (COMMIT, {"approver": "carla"}),
        (SHRED, {"proof": ["xx"]}),
        (SHRED, {"commitment": "ab"}),
        (SHRED, {"index": -1}),
        (SHRED, {"subject": "0" * 32}),
    ],
)
def test_other_forms_are_refused_by_parser_and_schema(
    document: dict[str, Any], change: dict[str, Any]
) -> None:
    assert not SCHEMA.is_valid(document | change)
    with pytest.raises(VerificationError, match="malformed-entry"):
        parse_entry(canonical_json(document | change))


@pytest.mark.parametrize(
    "change",
    [{"commitment": LEAVES[2].hex()}, {"index": 2}, {"proof": []}, {"count": 4}, {"root": "0" * 64}],
    ids=["commitment", "index", "proof", "count", "root"],
)
def test_a_proof_that_leads_elsewhere_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(VerificationError, match="proof does not lead to"):
        parse_entry(canonical_json(SHRED | change))


def test_who_asks_cannot_approve() -> None:
    with pytest.raises(VerificationError, match="the one who asked"):
        parse_entry(canonical_json(SHRED | {"approver": "dennis"}))


def test_they_change_nothing_about_who_signs() -> None:
    entries = [canonical_json(COMMIT), canonical_json(SHRED)]
    assert in_force(["vkey"], entries) == ("vkey",)
    assert [key_entry(data) for data in entries] == [None, None]
