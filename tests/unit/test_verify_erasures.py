"""A verifier believes an erasure that has one story: keys of its own, lines of its own, parts in order, to the end."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.evidence import paths
from tasks.leaves import parquet_leaves
from tasks.verify import Verdict, reasons, verify
from tests.support.erasures import KEY, OTHER_DROP, OTHER_KEY, commit, erase, refuse, shred
from tests.support.sealed_tree import YEAR, SealedTree

HOLD_OF_NOBODY = refuse(holds=["2026-9"])


def found(*entries: dict[str, Any]) -> list[tuple[str, Verdict, str]]:
    """What a verifier says of a log of these entries, the first of which is entry 1."""
    tree = SealedTree()
    tree.genesis()
    tree.entries += entries
    tree.seal()
    report = verify(tree, tree.policy)
    assert verify(tree, tree.policy, hasher=parquet_leaves) == report
    return [(finding.reason, finding.verdict, finding.path) for finding in report.findings]


def test_one_request_after_another_holds() -> None:
    parts = [
        erase(KEY, part=1, parts=3, lines=(1, 2)),
        erase(part=2, parts=3, lines=(3,)),
        erase(part=3, parts=3),
    ]
    other = [
        shred(OTHER_KEY, reason="letter 18"),
        erase(OTHER_KEY, request=2, lines=(4,), reason="letter 18"),
    ]
    assert found(commit(), shred(), *parts, *other, erase(request=3)) == []


def test_parts_of_two_requests_may_stand_between_each_other() -> None:
    first, second = (erase(KEY, part=1, parts=2), erase(part=2, parts=2))
    assert found(commit(), shred(), first, erase(request=2, lines=(1,)), second) == []


def test_equal_numbers_of_lines_of_other_drops_are_other_lines() -> None:
    other = erase(request=2) | {"lines": [{"drop": OTHER_DROP, "lines": [1]}]}
    assert found(erase(lines=(1,)), other) == []


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([erase(KEY)], reasons.ERASURE_KEY),
        ([erase(KEY), shred()], reasons.ERASURE_KEY),
        ([shred(reason="letter 16"), erase(KEY)], reasons.ERASURE_KEY_FOREIGN),
        ([shred(approver="otto"), erase(KEY)], reasons.ERASURE_KEY_FOREIGN),
        ([shred(requested_by="uma"), erase(KEY)], reasons.ERASURE_KEY_FOREIGN),
        ([shred(reason="letter 16"), shred(), erase(KEY)], reasons.ERASURE_KEY_FOREIGN),
        ([shred(), erase(KEY), erase(KEY, request=2)], reasons.ERASURE_CLAIMED),
        ([erase(lines=(1, 2)), erase(request=2, lines=(2, 3))], reasons.ERASURE_CLAIMED),
        ([erase(part=1, parts=2, lines=(1,)), erase(part=2, parts=2, lines=(1,))], reasons.ERASURE_CLAIMED),
        ([erase(part=2, parts=2)], reasons.ERASURE_PARTS),
        ([erase(part=1, parts=3), erase(part=3, parts=3)], reasons.ERASURE_PARTS),
        ([erase(), erase()], reasons.ERASURE_PARTS),
        ([erase(part=1, parts=2), erase(part=2, parts=2), erase(part=2, parts=2)], reasons.ERASURE_PARTS),
        ([erase(part=1, parts=2), erase(part=2, parts=3)], reasons.ERASURE_PARTS),
        ([erase(part=1, parts=2), erase(part=2, parts=2, certificate="d" * 64)], reasons.ERASURE_PARTS),
        ([erase(part=1, parts=2), erase(part=2, parts=2, approver="otto")], reasons.ERASURE_PARTS),
        ([erase(part=1, parts=2), erase(part=2, parts=2, requested_by="uma")], reasons.ERASURE_PARTS),
        ([HOLD_OF_NOBODY], reasons.ERASURE_HOLD),
        ([erase(), HOLD_OF_NOBODY], reasons.ERASURE_PARTS),
    ],
    ids=[
        "no key destroyed",
        "destroyed after",
        "another reason",
        "another approver",
        "another requester",
        "destroyed twice",
        "a key twice",
        "a line twice",
        "a line twice in one request",
        "no first part",
        "a part left out",
        "the same twice",
        "a part twice",
        "other parts",
        "another certificate",
        "parts by two approvers",
        "parts by two requesters",
        "no hold",
        "erased and refused",
    ],
)  # fmt: skip
def test_what_contradicts_what_came_before_is_reported_at_its_entry(
    entries: list[dict[str, Any]], reason: str
) -> None:
    reported = found(commit(), *entries)
    assert (reason, Verdict.CHANGED) in [(code, verdict) for code, verdict, _ in reported]
    at = max(index for index, entry in enumerate(entries, 2) if entry["type"] == "erasure")
    assert {path for code, _, path in reported if code == reason} == {paths.sequence(YEAR, at)}


def test_a_month_s_key_is_nobody_s() -> None:
    month = {"name": "pseudonym/2026-11"}
    reported = found(commit(**month), shred(**month), erase(KEY))
    assert [code for code, _, _ in reported] == [reasons.ERASURE_KEY]


def test_an_erasure_whose_parts_are_still_to_come_is_not_sealed_yet() -> None:
    reported = found(commit(), shred(), erase(KEY, part=1, parts=3), erase(part=2, parts=3))
    assert reported == [(reasons.ERASURE_UNFINISHED, Verdict.NOT_SEALED_YET, paths.sequence(YEAR, 4))]


def test_where_an_entry_is_lost_what_it_may_have_said_is_not_measured() -> None:
    tree = SealedTree()
    tree.genesis()
    tree.entries += [
        commit(),
        shred(),
        erase(KEY),
        erase(request=2, lines=(1,)),
        erase(request=3, lines=(1,)),
    ]
    tree.entries += [shred(OTHER_KEY), refuse(request=4), erase(request=5, part=2, parts=3)]
    tree.seal()
    for path in [path for path in tree.objects if path.startswith(f"log/{YEAR}/tile/entries/")]:
        del tree.objects[path]
    for lost in (1, 2):
        del tree.objects[paths.sequence(YEAR, lost)]
    findings = verify(tree, tree.policy).findings
    found = {f.reason: f.verdict for f in findings if f.verdict != Verdict.MISSING}
    unknown = (reasons.ERASURE_KEY, reasons.ERASURE_PARTS, reasons.ERASURE_UNFINISHED)
    assert found == {
        reasons.ERASURE_CLAIMED: Verdict.CHANGED,
        reasons.ERASURE_HOLD: Verdict.NOT_MEASURED,
        reasons.KEY_UNCOMMITTED: Verdict.NOT_MEASURED,
        **dict.fromkeys(unknown, Verdict.NOT_MEASURED),
    }
