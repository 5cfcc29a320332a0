"""Key entries, recoveries and limited keys: their forms, and who signs after which entry."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tasks.errors import VerificationError
from tasks.evidence.canonical import canonical_json
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.entry import parse_entry
from tasks.evidence.keys import in_force, key_entry, recovery_entry
from tasks.evidence.note import NoteSigner, make_note, signature_count
from tasks.evidence.policy import parse_policy, policy_text
from tests.support.entries import filler
from tests.support.logs import private_key

OLD, NEW = (NoteSigner("log.example", private_key(name)) for name in ("old", "new"))
KEY: dict[str, Any] = {
    "action": "announce",
    "approver": "carla",
    "format": "indelible/1",
    "key": NEW.vkey,
    "reason": "yearly rotation",
    "requested_by": "dennis",
    "sealed_at": "2026-11-24T10:00:00Z",
    "type": "key",
}
RECOVERY: dict[str, Any] = {
    **{name: KEY[name] for name in ("approver", "format", "reason", "requested_by", "sealed_at")},
    "action": "recover",
    "origin": "log.example/2027",
    "previous_shard": "a note",
    "revoked": [OLD.vkey],
    "type": "genesis",
}
SCHEMA = Draft202012Validator(
    json.loads(files("data_contracts").joinpath("delivered", "entry.schema.json").read_text("utf-8"))
)


def entry(action: str, signer: NoteSigner) -> bytes:
    return canonical_json({**KEY, "action": action, "key": signer.vkey})


def note(size: int, *signers: NoteSigner) -> bytes:
    text = Checkpoint("log.example", size, bytes(32)).text()
    return make_note(text, *(signer.sign(text) for signer in signers))


@pytest.mark.parametrize("action", ["announce", "retire", "revoke"])
def test_key_entries_come_back_and_satisfy_the_schema(action: str) -> None:
    document = {**KEY, "action": action}
    assert parse_entry(canonical_json(document)) == document
    assert SCHEMA.is_valid(document)


def test_a_recovery_comes_back_and_satisfies_the_schema() -> None:
    assert recovery_entry(canonical_json(RECOVERY)) == RECOVERY
    assert SCHEMA.is_valid(RECOVERY)


@pytest.mark.parametrize(
    "change",
    [
        {"action": "forget"},
        {"action": None},
        {"key": "log.example"},
        {"key": NEW.vkey + "="},
        {"reason": ""},
        {"extra": 1},
        {"approver": 1},
        {"type": "genesis"},
    ],
)
def test_other_forms_are_refused_by_parser_and_schema(change: dict[str, Any]) -> None:
    document = KEY | change
    with pytest.raises(VerificationError, match="malformed-entry"):
        parse_entry(canonical_json(document))
    assert not SCHEMA.is_valid(document)


def test_who_asks_cannot_approve() -> None:
    for document in (KEY, RECOVERY):
        with pytest.raises(VerificationError, match="the one who asked"):
            parse_entry(canonical_json({**document, "approver": "dennis"}))


def test_keys_are_in_force_from_their_announcement_to_their_withdrawal() -> None:
    other = canonical_json(filler(0, store='a "type":"key" in a text'))
    steps = [entry("announce", NEW), other, entry("retire", OLD)]
    assert in_force([OLD.vkey], steps[:1]) == (OLD.vkey, NEW.vkey)
    assert in_force([OLD.vkey], steps) == (NEW.vkey,)
    assert in_force([OLD.vkey, NEW.vkey], [entry("revoke", NEW)]) == (OLD.vkey,)
    assert key_entry(other) is None


def test_signatures_under_a_name_are_counted_whether_their_key_is_known_or_not() -> None:
    stranger = NoteSigner("witness.example", private_key("stranger"))
    assert signature_count(note(5, OLD, NEW, stranger), "log.example") == 2


def test_either_key_of_a_rotation_is_enough() -> None:
    policy = parse_policy(policy_text([OLD.vkey, NEW.vkey]))
    assert policy.signed_by(note(5, OLD)) == (OLD.verifier,)
    assert policy.signed_by(note(5, NEW)) == (NEW.verifier,)
    assert policy.signed_by(note(5, NEW, OLD)) == (OLD.verifier, NEW.verifier)


def test_a_limited_key_is_believed_up_to_its_size_and_no_further() -> None:
    text = policy_text([OLD.vkey, NEW.vkey], limits={OLD.vkey: 5})
    assert text == f"log-up-to 5 {OLD.vkey}\nlog {NEW.vkey}\nquorum none\n"
    policy = parse_policy(text)
    assert policy.open_checkpoint(note(5, OLD)).size == 5
    with pytest.raises(VerificationError, match="checkpoint-beyond-limit"):
        policy.open_checkpoint(note(6, OLD))
    assert policy.signed_by(note(6, OLD, NEW)) == (NEW.verifier,)


@pytest.mark.parametrize("size", ["-1", "05", "x", "1e3", "9" * 16])
def test_a_limit_is_a_decimal_size(size: str) -> None:
    with pytest.raises(VerificationError, match="malformed-policy"):
        parse_policy(f"log-up-to {size} {OLD.vkey}\nquorum none\n")


def test_a_key_is_listed_with_a_limit_or_without_one() -> None:
    with pytest.raises(VerificationError, match="listed twice"):
        parse_policy(f"log {OLD.vkey}\nlog-up-to 5 {OLD.vkey}\nquorum none\n")
