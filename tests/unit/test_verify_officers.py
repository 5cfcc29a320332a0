"""Whoever signs is enrolled at that place of the logs, by somebody who was, and each approval is over what it says."""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tasks.errors import VerificationError
from tasks.evidence import paths
from tasks.evidence.canonical import canonical_json
from tasks.evidence.entry import parse_entry
from tasks.evidence.keys import in_force
from tasks.evidence.officer_entry import _Y8 as Y8
from tasks.evidence.officer_entry import Approval, is_signed
from tasks.leaves import parquet_leaves
from tasks.verify import Verdict, reasons, verify
from tests.support.erasures import erase, refuse
from tests.support.officer_entries import ORIGIN, approved, enrolment, reidentification, withdrawal
from tests.support.sealed_tree import YEAR, SealedTree

SCHEMA = Draft202012Validator(
    json.loads(files("data_contracts").joinpath("delivered", "entry.schema.json").read_text("utf-8"))
)
FIRST = enrolment("anna")
SECOND = approved(enrolment("otto"), "anna")
BOTH = (FIRST, SECOND)


def found(*entries: dict[str, Any]) -> list[tuple[str, Verdict, str]]:
    """What a verifier says of a log of these entries, the first of which is entry 1."""
    tree = SealedTree()
    tree.genesis()
    tree.entries += entries
    tree.seal()
    report = verify(tree, tree.policy)
    assert verify(tree, tree.policy, hasher=parquet_leaves) == report
    return [(finding.reason, finding.verdict, finding.path) for finding in report.findings]


@pytest.mark.parametrize(
    "document",
    [FIRST, SECOND, withdrawal("anna"), approved(erase(), "anna"), approved(refuse(), "anna")],
    ids=["first", "second", "withdrawn", "erased", "refused"],
)
def test_good_forms_are_taken_by_parser_and_schema(document: dict[str, Any]) -> None:
    assert parse_entry(canonical_json(document)) == document
    assert SCHEMA.is_valid(document)
    assert in_force(["vkey"], [canonical_json(document)]) == ("vkey",)


@pytest.mark.parametrize(
    "document",
    [
        FIRST | {"name": "Anna"},
        FIRST | {"sign_key": "00"},
        FIRST | {"approval": {"key": "a" * 64}},
        FIRST | {"approval": {"key": "a" * 64, "signature": "b"}},
        {key: value for key, value in FIRST.items() if key != "approval"},
        withdrawal("anna", approval=None),
        {key: value for key, value in erase().items() if key != "approval"},
    ],
    ids=["name", "key", "no signature", "signature", "no approval", "approved", "erasure"],
)
def test_other_forms_are_refused_by_parser_and_schema(document: dict[str, Any]) -> None:
    assert not SCHEMA.is_valid(document)
    with pytest.raises(VerificationError, match="malformed-entry"):
        parse_entry(canonical_json(document))


@pytest.mark.parametrize("document", [enrolment("anna"), withdrawal("anna")], ids=["enrol", "withdraw"])
@pytest.mark.parametrize("who", ["anna", "Anna ", "ida"])
def test_nobody_approves_of_themselves(document: dict[str, Any], who: str) -> None:
    with pytest.raises(VerificationError, match=r"entry\.approver is the"):
        parse_entry(canonical_json(document | {"approver": who}))


LOW = [0, 1, 2**255 - 20, Y8, 2**255 - 19 - Y8, 2**255 - 19, 2**255 - 18]


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", LOW, ids=range(len(LOW)))
def test_a_key_for_which_anybody_can_sign_is_no_officers(y: int, sign: int) -> None:
    key = (y | sign << 255).to_bytes(32, "little").hex()
    with pytest.raises(VerificationError, match=r"entry\.sign_key is of low order"):
        parse_entry(canonical_json(FIRST | {"sign_key": key}))
    # One of 8 texts, as a rule, is signed by R = 0, S = 0, which nobody's private key made.
    nobody: Approval = {"key": key, "signature": "01" + "00" * 63}
    texts = (erase(request=number) | {"approver": "anna"} for number in range(200))
    encodes_a_point = not (sign and y in (1, 2**255 - 20, 2**255 - 18))
    assert any(is_signed(ORIGIN, text, nobody) for text in texts) or not encodes_a_point


def test_officers_who_are_enrolled_sign_until_they_are_withdrawn() -> None:
    again = approved(enrolment("otto", keys="otto-2"), "anna")
    entries = [erase(), *BOTH, reidentification("anna", "otto"), withdrawal("otto"), again]
    approvals = [approved(erase(request=2), "anna"), approved(refuse(3, holds=["2026-9"]), "anna")]
    assert [code for code, _, _ in found(*entries, *approvals)] == [reasons.ERASURE_HOLD]


def test_when_the_last_officer_is_withdrawn_names_count_again() -> None:
    assert found(FIRST, withdrawal("anna"), erase(), enrolment("otto")) == []


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([FIRST, reidentification("anna", "otto")], reasons.OFFICER_NOT_ENROLLED),
        ([*BOTH, withdrawal("otto"), reidentification("anna", "otto")], reasons.OFFICER_NOT_ENROLLED),
        ([reidentification("anna", "otto")], reasons.OFFICER_NOT_ENROLLED),
        ([FIRST, enrolment("otto")], reasons.APPROVAL_MISSING),
        ([FIRST, erase()], reasons.APPROVAL_MISSING),
        ([FIRST, refuse()], reasons.APPROVAL_MISSING),
        ([FIRST, approved(erase(), "otto")], reasons.OFFICER_NOT_ENROLLED),
        ([approved(erase(), "otto")], reasons.OFFICER_NOT_ENROLLED),
        ([*BOTH, withdrawal("otto"), approved(erase(), "otto")], reasons.OFFICER_NOT_ENROLLED),
        ([*BOTH, approved(erase(), "otto") | {"approver": "anna"}], reasons.APPROVAL_SIGNATURE),
        ([FIRST, approved(erase(), "anna") | {"request": "2" * 32}], reasons.APPROVAL_SIGNATURE),
        ([FIRST, approved(erase(), "anna") | {"reason": "letter 18"}], reasons.APPROVAL_SIGNATURE),
        ([FIRST, approved(erase(), "anna", "audit.example/else")], reasons.APPROVAL_SIGNATURE),
        ([FIRST, SECOND | {"sign_key": "b" * 64}], reasons.APPROVAL_SIGNATURE),
        ([FIRST, approved(enrolment("otto", keys="anna"), "anna")], reasons.OFFICER_ENROLMENT),
        ([FIRST, withdrawal("anna"), enrolment("otto", keys="anna")], reasons.OFFICER_ENROLMENT),
        ([*BOTH, approved(enrolment("otto", keys="otto-2"), "anna")], reasons.OFFICER_ENROLMENT),
        ([withdrawal("anna")], reasons.OFFICER_ENROLMENT),
        ([FIRST, withdrawal("anna"), withdrawal("anna")], reasons.OFFICER_ENROLMENT),
    ],
    ids=[
        "one is not enrolled",
        "withdrawn before",
        "nobody is enrolled",
        "enrolled by a name",
        "erased by a name",
        "refused by a name",
        "approved by a stranger",
        "approved before anybody is enrolled",
        "approved after withdrawal",
        "another's approval",
        "of another request",
        "for another reason",
        "of another deployment",
        "of another key",
        "one key for two",
        "a key again",
        "a name twice",
        "withdrawn and never enrolled",
        "withdrawn twice",
    ],
)
def test_what_nobody_who_may_has_signed_is_reported(entries: list[dict[str, Any]], reason: str) -> None:
    reported = [
        (code, verdict, path) for code, verdict, path in found(*entries) if code != reasons.ERASURE_HOLD
    ]
    assert reported == [(reason, Verdict.CHANGED, paths.sequence(YEAR, len(entries)))]


def test_who_was_enrolled_against_the_rules_is_no_officer() -> None:
    unapproved = enrolment("otto")
    codes = [code for code, _, _ in found(FIRST, unapproved, reidentification("anna", "otto"))]
    assert codes == [reasons.APPROVAL_MISSING, reasons.OFFICER_NOT_ENROLLED]


def test_an_enrolment_counts_in_the_logs_of_later_years() -> None:
    tree = SealedTree(year=YEAR - 1)
    tree.genesis()
    tree.entries += [FIRST]
    tree.seal()
    later = SealedTree()
    later.genesis(previous_shard=tree.note(2, _root(tree)).decode())
    later.entries += [erase()]
    later.seal()
    later.objects |= tree.objects
    found = {finding.path: finding.reason for finding in verify(later, later.policy).findings}
    assert found[paths.sequence(YEAR, 1)] == reasons.APPROVAL_MISSING


def _root(tree: SealedTree) -> bytes:
    return base64.b64decode(tree.objects[paths.checkpoint(tree.year)].split(b"\n")[2])


def test_where_an_entry_is_lost_a_missing_approval_is_said_not_to_be_measured() -> None:
    tree = SealedTree()
    tree.genesis()
    tree.entries += [FIRST, withdrawal("nobody"), erase()]
    tree.seal()
    lost = paths.sequence(YEAR, 2)
    tree.objects = {p: data for p, data in tree.objects.items() if p != lost and "/tile/entries/" not in p}
    found = {f.reason: f.verdict for f in verify(tree, tree.policy).findings if f.verdict != Verdict.MISSING}
    assert found == {reasons.APPROVAL_MISSING: Verdict.NOT_MEASURED}
