from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.errors import VerificationError
from tasks.evidence.canonical import canonical_json, parse_canonical
from tasks.evidence.policy import Policy
from tasks.evidence.proof import RecordProof, build, check, deflate, inflate, parse
from tasks.evidence.reasons import MEANINGS
from tasks.evidence.tlog_proof import parse_tlog_proof
from tests.support.entries import filler
from tests.support.logs import MemoryLog
from tests.support.proofs import DIGEST, record_proof


def refused(proof: RecordProof, policy: Policy) -> str:
    with pytest.raises(VerificationError) as error:
        check(proof, policy)
    assert error.value.reason in MEANINGS
    assert error.value.next_step
    return error.value.reason


def with_extra(data: bytes, **changes: Any) -> bytes:
    outer = parse_tlog_proof(data)
    assert outer.extra is not None
    extra = {**parse_canonical(inflate(outer.extra)), **changes}
    kept = {key: value for key, value in extra.items() if value is not ...}
    return replace(outer, extra=deflate(canonical_json(kept))).encode()


@pytest.mark.parametrize("cosigned", [False, True])
@pytest.mark.parametrize(("row", "count"), [(0, 1), (3, 9), (8, 9)])
def test_a_built_proof_gives_its_record_to_who_trusts_the_log(row: int, count: int, cosigned: bool) -> None:
    proof, log = record_proof(row=row, count=count, cosigned=cosigned)
    data = build(proof)
    assert parse(data) == proof
    assert build(parse(data)) == data
    assert check(parse(data), log.policy(cosigned=cosigned)) == proof.record
    assert str(proof.record_id()) == f"{DIGEST[:32]}-{row}"


def test_a_proof_with_the_person_withheld_holds_and_shows_nobody() -> None:
    proof, log = record_proof()
    public = parse(build(proof.withhold()))
    assert check(public, log.policy()) == public.record
    assert public.is_withheld
    assert not proof.is_withheld
    assert set(proof.record) - set(public.record) == {"actor", "path"}
    assert refused(replace(public, record={**public.record, "ok": None}), log.policy()) == "record-changed"
    assert (
        refused(replace(public, record={**public.record, "_p": "00" * 32}), log.policy()) == "record-changed"
    )
    assert refused(replace(proof, personal_salt=bytes(16)), log.policy()) == "record-changed"
    assert refused(replace(proof, personal_salt=None), log.policy()) == "record-changed"


@pytest.mark.parametrize("damage", ["cut", "more", "plain", "bomb"])
def test_an_extra_line_that_does_not_inflate_is_malformed(damage: str) -> None:
    outer = parse_tlog_proof(build(record_proof()[0]))
    extra = outer.extra or b""
    spoiled = {
        "cut": extra[:-2],
        "more": extra + b"x",
        "plain": inflate(extra),
        "bomb": deflate(bytes(33 << 20)),
    }
    with pytest.raises(VerificationError) as error:
        parse(replace(outer, extra=spoiled[damage]).encode())
    assert error.value.reason == "malformed-proof"


def test_an_entry_alone_in_its_log_needs_no_hashes() -> None:
    proof, _ = record_proof()
    log = MemoryLog()
    log.grow([proof.entry])
    alone = replace(proof, index=0, entry_path=(), checkpoint=log.checkpoint())
    assert check(parse(build(alone)), log.policy()) == proof.record


@pytest.mark.parametrize(
    "changes",
    [
        {"record": {"_drop": 0}},
        {"salt": bytes(16)},
        {"row": 2},
        {"row_path": ()},
        {"row_path": (bytes(32),) * 4},
        {"row_path": (bytes(32),) * 60},
    ],
    ids=str,
)
def test_a_changed_record_salt_row_or_path_is_told(changes: dict[str, Any]) -> None:
    proof, log = record_proof()
    assert refused(replace(proof, **changes), log.policy()) == "record-changed"


@pytest.mark.parametrize("value", [{"actor": "psn:other"}, {"error": ""}, {"ok": None}, {"new": None}])
def test_each_change_of_a_column_is_told(value: dict[str, Any]) -> None:
    proof, log = record_proof()
    changed = replace(proof, record={**proof.record, **value})
    assert refused(changed, log.policy()) == "record-changed"


def test_an_entry_that_was_never_sealed_is_told() -> None:
    proof, log = record_proof()
    assert refused(replace(proof, index=3), log.policy()) == "entry-not-in-log"
    assert refused(replace(proof, index=5), log.policy()) == "entry-not-in-log"
    assert refused(replace(proof, entry_path=proof.entry_path[:-1]), log.policy()) == "entry-not-in-log"
    other = proof.entry.replace(b'"source_seq":3', b'"source_seq":4')
    assert refused(replace(proof, entry=other), log.policy()) == "entry-not-in-log"


def test_the_policy_decides_whose_signature_counts() -> None:
    proof, log = record_proof(cosigned=False)
    assert refused(proof, log.policy(cosigned=True)) == "witness-quorum-missing"
    text = proof.checkpoint.decode()
    resized = text.replace("\n5\n", "\n6\n").encode()
    assert refused(replace(proof, checkpoint=resized), log.policy()) == "checkpoint-signature-bad"
    stranger = text.replace("\u2014 audit.example", "\u2014 other.example").encode()
    assert refused(replace(proof, checkpoint=stranger), log.policy()) == "checkpoint-unknown-key"
    assert refused(replace(proof, checkpoint=b"x"), log.policy()) == "malformed-note"


def test_a_proof_that_points_outside_its_entry_is_malformed() -> None:
    proof, log = record_proof()
    assert refused(replace(proof, file=1), log.policy()) == "malformed-proof"
    assert refused(replace(proof, row=9), log.policy()) == "malformed-proof"
    assert refused(replace(proof, entry=b"{}"), log.policy()) == "malformed-entry"
    other = canonical_json(filler(0))
    assert refused(replace(proof, entry=other), log.policy()) == "malformed-proof"


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "indelible-record/2"},
        {"row": -1},
        {"salt": "00"},
        {"salt": "AB" * 16},
        {"path": ["zz"]},
        {"path": None},
        {"record": []},
        {"record": {"a": {"b": 1}}},
        {"record": {"a": [1]}},
        {"entry": 1},
        {"more": 1},
        {"row": ...},
    ],
    ids=str,
)
def test_an_extra_line_of_another_form_is_malformed(changes: dict[str, Any]) -> None:
    data = build(record_proof()[0])
    with pytest.raises(VerificationError) as error:
        parse(with_extra(data, **changes))
    assert error.value.reason == "malformed-proof"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"tlog-proof@v1", b"tlog-proof@v2"),
        (b"\nindex 2\n", b"\nindex 02\n"),
        (b"\nindex 2\n", b"\n"),
        (b"\nindex 2\n", b"\nindex 2\n\n"),
        (b"\nextra ", b"\nextra  "),
        (b"\nextra ", b"\nother "),
        (b"=\n", b"\n"),
        (b"\n\n", b"\n"),
    ],
)
def test_a_file_of_another_form_is_malformed(old: bytes, new: bytes) -> None:
    data = build(record_proof()[0])
    assert old in data
    with pytest.raises(VerificationError) as error:
        check(parse(data.replace(old, new, 1)), record_proof()[1].policy())
    assert error.value.reason in {"malformed-proof", "malformed-note", "checkpoint-signature-bad"}


def test_a_proof_without_its_checkpoint_is_malformed() -> None:
    head, _, _ = build(record_proof()[0]).partition(b"\n\n")
    with pytest.raises(VerificationError) as error:
        parse(head)
    assert error.value.reason == "malformed-proof"


def test_a_plain_tlog_proof_is_not_a_record_proof() -> None:
    outer = parse_tlog_proof(build(record_proof()[0]))
    with pytest.raises(VerificationError) as error:
        parse(replace(outer, extra=None).encode())
    assert error.value.reason == "malformed-proof"


@pytest.mark.parametrize(
    "changes",
    [
        {"salt": b"short"},
        {"entry": b"\xff"},
        {"entry_path": (b"x",)},
        {"entry_path": (bytes(32),) * 64},
        {"index": -1},
    ],
)
def test_what_could_not_be_read_back_is_not_built(changes: dict[str, Any]) -> None:
    with pytest.raises(VerificationError) as error:
        build(replace(record_proof()[0], **changes))
    assert error.value.reason == "malformed-proof"
