"""What the quorum of witnesses must have seen of a log that grows, and of one that ended with its year."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tasks.evidence import merkle, paths
from tasks.evidence.checkpoint import Checkpoint, parse_checkpoint
from tasks.evidence.note import NoteSigner, make_note
from tasks.evidence.policy import Policy, parse_policy
from tasks.verify import Verdict, reasons, verify
from tasks.verify.witnessed import Freshness
from tests.support.sealed_tree import SealedTree, signer
from tests.support.witnesses import witness_signer

DAY = 86_400
NEW_YEAR = 1_798_761_600  # 2027-01-01T00:00:00Z
LACKING, STALE = reasons.WITNESS_QUORUM_MISSING, reasons.WITNESS_STALE


def log(year: int, entries: int, previous: bytes | None = None) -> SealedTree:
    tree = SealedTree(signer(f"audit.example/test/{year}", year % 100), year=year)
    tree.genesis(None if previous is None else previous.decode())
    tree.entries += [
        {"format": "indelible/1", "number": i, "type": "disposition"} for i in range(entries - 1)
    ]
    return tree.seal()


def cosign(tree: SealedTree, at: int, size: int | None = None) -> None:
    """A cosigned checkpoint of the whole log, or of an earlier one that is stored too."""
    note = tree.objects[paths.checkpoint(tree.year)]
    whole = parse_checkpoint(note.decode().partition("\n\n")[0] + "\n")
    if size is not None:
        entries = [tree.objects[paths.sequence(tree.year, i)] for i in range(size)]
        whole = Checkpoint(whole.origin, size, merkle.root(merkle.leaf_hashes(entries)))
        tree.objects[paths.checkpoint_at(tree.year, size)] = make_note(
            whole.text(), tree.key.sign(whole.text())
        )
    text = whole.text()
    signed = make_note(text, tree.key.sign(text), witness_signer().sign(text, at))
    tree.objects[paths.cosigned_at(tree.year, whole.size)] = signed


def policy(*keys: NoteSigner) -> Policy:
    lines = [f"log {key.vkey}\n" for key in keys]
    return parse_policy("".join(lines) + f"witness w1 {witness_signer().vkey}\nquorum w1\n")


@dataclass
class Turn:
    """The log of 2026 with three entries, and that of 2027 with two."""

    old: SealedTree
    new: SealedTree

    @staticmethod
    def of() -> Turn:
        old = log(2026, 3)
        return Turn(old, log(2027, 2, old.objects[paths.checkpoint(2026)]))

    def found(self, now: int | None) -> list[tuple[str, Verdict, str]]:
        """What is found about witnesses; `now` None: as of a copy."""
        tree = SealedTree(self.new.key, self.old.objects | self.new.objects)
        freshness = None if now is None else Freshness(now, DAY)
        report = verify(tree, policy(self.old.key, self.new.key), freshness=freshness)
        return [(f.reason, f.verdict, f.path.split("/")[1]) for f in report.findings]


def test_a_log_that_ended_needs_its_quorum_once_and_no_fresh_one() -> None:
    turn = Turn.of()
    cosign(turn.old, NEW_YEAR - 3600)
    cosign(turn.new, NEW_YEAR + 90 * DAY)
    assert turn.found(NEW_YEAR + 90 * DAY) == []
    assert turn.found(None) == []


def test_the_last_checkpoint_of_the_year_may_wait_for_a_witness_as_long_as_any_other() -> None:
    turn = Turn.of()
    cosign(turn.old, NEW_YEAR - 3600, size=2)
    cosign(turn.new, NEW_YEAR + 600)
    assert turn.found(NEW_YEAR + 600) == [(LACKING, Verdict.NOT_SEALED_YET, "2026")]
    cosign(turn.new, NEW_YEAR + DAY)
    assert turn.found(NEW_YEAR + DAY) == [(LACKING, Verdict.MISSING, "2026")]
    assert turn.found(None) == [(LACKING, Verdict.MISSING, "2026")]


@pytest.mark.parametrize(
    ("after", "verdict"), [(600, Verdict.NOT_SEALED_YET), (DAY, Verdict.MISSING)], ids=["soon", "late"]
)
def test_a_log_that_was_just_opened_may_wait_for_a_witness_that_saw_the_one_before(
    after: int, verdict: Verdict
) -> None:
    turn = Turn.of()
    cosign(turn.old, NEW_YEAR - 3600)
    assert turn.found(NEW_YEAR + after) == [(LACKING, verdict, "2027")]
    assert turn.found(None) == [(LACKING, Verdict.MISSING, "2027")]


def test_a_first_log_without_a_witness_is_a_failure_at_once() -> None:
    tree = log(2026, 2)
    report = verify(tree, policy(tree.key), freshness=Freshness(NEW_YEAR, DAY))
    assert [(f.reason, f.verdict) for f in report.findings] == [(LACKING, Verdict.MISSING)]


def test_the_log_that_grows_must_have_been_seen_lately_even_when_nothing_is_new() -> None:
    turn = Turn.of()
    cosign(turn.old, NEW_YEAR + DAY)
    cosign(turn.new, NEW_YEAR)
    assert turn.found(NEW_YEAR + DAY) == []
    assert turn.found(NEW_YEAR + DAY + 1) == [(STALE, Verdict.MISSING, "2027")]
