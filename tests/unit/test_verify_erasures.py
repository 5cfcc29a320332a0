"""A verifier believes an erasure that has one story: keys of its own, lines of its own, parts in order, to the end."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.evidence import paths
from tasks.leaves import parquet_leaves
from tasks.verify import Verdict, reasons, verify
from tests.support.erasures import DROP, KEY, OTHER_KEY, commit, erase, refuse, shred
from tests.support.sealed_tree import YEAR, Batch, SealedTree, example_batch, signer

OTHER_DROP = "b" * 64
HOLD_OF_NOBODY = refuse(holds=["2026-9"])


def set_aside() -> Batch:
    """Two drops of 45 lines, each of which has five in quarantine."""
    batch = example_batch("gateway", 0, lines=45)
    for drop, sha256 in zip(batch.drops, (DROP, OTHER_DROP), strict=True):
        drop["sha256"] = sha256
    return batch


def tree_of(*entries: dict[str, Any]) -> SealedTree:
    """A log of these entries, the first of which is entry 1, and a batch after them."""
    tree = SealedTree()
    tree.genesis()
    tree.entries += entries
    tree.add(set_aside())
    return tree.seal()


def found(*entries: dict[str, Any]) -> list[tuple[str, Verdict, str]]:
    """What a verifier says of a log of these entries, the first of which is entry 1."""
    tree = tree_of(*entries)
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
    month = {"name": "pseudonym/2026-10"}
    reported = found(commit(**month), shred(**month), erase(KEY))
    assert [code for code, _, _ in reported] == [reasons.ERASURE_KEY]


def test_a_destroyed_key_that_no_erasure_claims_is_not_sealed_yet() -> None:
    reported = found(commit(), shred(), shred(OTHER_KEY), erase(KEY))
    assert reported == [(reasons.SHRED_UNCLAIMED, Verdict.NOT_SEALED_YET, paths.sequence(YEAR, 3))]


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
    unknown = (
        reasons.ERASURE_KEY, reasons.ERASURE_LINES, reasons.ERASURE_PARTS, reasons.ERASURE_UNFINISHED,
    )  # fmt: skip
    assert found == {
        reasons.ERASURE_CLAIMED: Verdict.CHANGED,
        reasons.ERASURE_HOLD: Verdict.NOT_MEASURED,
        reasons.KEY_UNCOMMITTED: Verdict.NOT_MEASURED,
        reasons.SHRED_UNCLAIMED: Verdict.NOT_MEASURED,
        **dict.fromkeys(unknown, Verdict.NOT_MEASURED),
    }


@pytest.mark.parametrize(
    "claims",
    [
        [erase(lines=(46,))],
        [erase(lines=(1, 2, 3, 4, 5, 6))],
        [erase(lines=(1, 2, 3)), erase(request=2, lines=(4, 5, 6))],
        [erase() | {"lines": [{"drop": "d" * 64, "lines": [1]}]}],
    ],
    ids=["beyond the drop", "more than were set aside", "more in two requests", "of no sealed drop"],
)
def test_an_erasure_of_lines_that_nobody_set_aside_is_reported(claims: list[dict[str, Any]]) -> None:
    at = paths.sequence(YEAR, len(claims))
    assert found(*claims) == [(reasons.ERASURE_LINES, Verdict.CHANGED, at)]


def test_all_lines_that_were_set_aside_may_be_erased() -> None:
    assert found(erase(lines=(3, 12, 21, 30, 39))) == []


def test_a_drop_that_is_sealed_twice_has_the_lines_of_both_in_quarantine() -> None:
    tree = tree_of(erase(lines=(1, 2, 3, 4, 5, 6)))
    again = set_aside()
    again.source = "app"
    tree.add(again)
    tree.seal()
    assert verify(tree, tree.policy).findings == ()


def test_lines_are_not_measured_where_their_ledger_is_not_read() -> None:
    tree = tree_of(erase(lines=(3,)))
    entry = tree.entries[-1]
    ledger, gate = entry["ledger"]["path"], entry["gate"]["path"]
    unread = verify(tree, tree.policy, only=gate)
    del tree.objects[ledger]
    for report in (unread, verify(tree, tree.policy)):
        told = {finding.reason: finding.verdict for finding in report.findings}
        assert told[reasons.ERASURE_LINES] == Verdict.NOT_MEASURED


def test_lines_of_a_log_that_was_given_up_wait_until_their_drop_is_sealed_again() -> None:
    before = SealedTree(year=YEAR - 1, key=signer(f"audit.example/test/{YEAR - 1}"))
    before.genesis()
    before.seal()
    tree = SealedTree()
    tree.entries += [
        {
            "action": "recover", "approver": "otto", "format": "indelible/1", "origin": tree.key.verifier.name,
            "previous_shard": before.objects[paths.checkpoint(YEAR - 1)].decode(), "reason": "stolen",
            "requested_by": "ida", "revoked": [before.key.vkey], "sealed_at": "2026-11-24T10:00:00Z",
            "type": "genesis",
        },
        erase(lines=(3,)),
    ]  # fmt: skip
    tree.seal()
    tree.objects |= before.objects

    def told() -> list[Verdict]:
        found = verify(tree, tree.policy).findings
        return [finding.verdict for finding in found if finding.reason == reasons.ERASURE_LINES]

    assert told() == [Verdict.NOT_SEALED_YET]
    tree.add(set_aside())
    tree.seal()
    assert told() == []
