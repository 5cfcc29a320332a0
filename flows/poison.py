"""Poison: drops at which reading, judging or sealing fails again and again. They stop nobody else.

A batch that fails is divided until each of its drops that can be sealed is sealed. A drop that fails alone, as often
as `[run] attempts` says, is sealed as its stored bytes, encrypted in quarantine, with `poison.<kind>` as the reason;
after a fix it is replayed like any quarantined line. What died counts as well (`flows.attempts`), so no drop can
kill one process after another for ever.

Only what Indelible did not expect is blamed on drops. An error that says who has to act, an unreachable store or a
full disk is nobody's poison. And when more drops than `MAX_POISON` have failed alone, that looks like a defect of
ours: none is given up, and the runs stay red until a person looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from flows.attempts import DIED, Attempts, Failure, digest
from flows.logs import describe
from flows.receipts import BatchReceipt, CheckpointReceipt
from tasks.batch import Drop
from tasks.errors import IndelibleError

MAX_POISON: Final = 8
# Each division of a batch that kills costs the life of a process: few rounds matter more than few log entries.
_PARTS: Final = 8

# Drops, and the rule under which to hold them whole or None -> receipts.
Work = Callable[[Sequence[Drop], str | None], list[BatchReceipt]]


class SuspectDropsError(IndelibleError):
    """Drops could not be sealed, and everything else was. They are tried again, and at last held.

    Attributes:
        receipts: of what was sealed.
        checkpoint: that covers it.
    """

    def __init__(
        self, left: Sequence[str], receipts: list[BatchReceipt], checkpoint: CheckpointReceipt
    ) -> None:
        super().__init__(
            unsealed(left),
            next_step="Deliver again: a drop that fails each time ends up in quarantine, as poison. "
            "infra/docs/runbooks/poison-batch.md says what to look at.",
        )
        self.receipts = receipts
        self.checkpoint = checkpoint


@dataclass(slots=True)
class Outcome:
    """What became of drops: receipts, and what happened at each drop that is left unsealed for now."""

    receipts: list[BatchReceipt] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Take in what became of others."""
        self.receipts += other.receipts
        self.left += other.left


def deliver_suspiciously(attempts: Attempts, drops: Sequence[Drop], cap: int, work: Work) -> Outcome:
    """Do `work` on drops, and divide them where it fails.

    Args:
        attempts: of their source.
        drops: of one batch.
        cap: failures alone before a drop is held.
        work: delivers; safe to repeat.

    Raises:
        Exception: whatever is not blamed on the drops, see `blame`.
    """
    if len(drops) == 1 and (kind := _given_up(attempts, drops[0], cap, died=True)):
        return _hold(attempts, drops[0], kind, work)
    with attempts.begin(drops) as attempt:
        try:
            receipts = work(drops, None)
        except Exception as error:
            attempt.failed_as = blame(error)
            if attempt.failed_as is None:
                raise
            happened = describe(error)
    if attempt.failed_as is None:
        attempts.forget(_alone(attempts.failures(), drops))
        return Outcome(receipts)
    if len(drops) > 1:
        return _divide(attempts, drops, cap, work)
    if kind := _given_up(attempts, drops[0], cap):
        return _hold(attempts, drops[0], kind, work)
    return Outcome(left=[happened])


def by_suspicion(
    attempts: Attempts, drops: Sequence[Drop], cap: int, max_drops: int
) -> Iterator[tuple[list[Drop], int]]:
    """Drops with the size that their batches may have: those that never failed first, so that all others go on.

    A drop that was in `cap` failed attempts is tried in smaller and smaller company.
    """
    failures = attempts.failures()
    groups: dict[int, list[Drop]] = {}
    fresh = []
    for drop in drops:
        sizes = [len(failure.drops) for failure in failures if digest(drop) in failure.drops]
        if not sizes:
            fresh.append(drop)
            continue
        size = max_drops if len(sizes) < cap else min(max_drops, max(1, min(sizes) // _PARTS))
        groups.setdefault(size, []).append(drop)
    yield fresh, max_drops
    yield from ((groups[size], size) for size in sorted(groups, reverse=True))


def blame(error: Exception) -> str | None:
    """What kind of poison an error points to; None where drops are not to blame."""
    if isinstance(error, MemoryError):
        return "memory"
    defect = type(error) is IndelibleError or not isinstance(error, IndelibleError | OSError)
    return "error" if defect else None


def unsealed(left: Sequence[str]) -> str:
    """What a run says that left drops unsealed, after it has published the rest."""
    number = f"{len(left)} drop{'s' if len(left) != 1 else ''}"
    return f"{number} could not be sealed, and all others were: {left[0]}"


def _divide(attempts: Attempts, drops: Sequence[Drop], cap: int, work: Work) -> Outcome:
    step = -(-len(drops) // _PARTS)
    outcome = Outcome()
    for at in range(0, len(drops), step):
        outcome.add(deliver_suspiciously(attempts, drops[at : at + step], cap, work))
        if len(outcome.left) > MAX_POISON:
            break  # everything fails: there is nothing to find among the rest
    return outcome


def _given_up(attempts: Attempts, drop: Drop, cap: int, *, died: bool = False) -> str | None:
    """How a drop failed last, when it failed alone so often that it is given up; with `died`, only if it killed.

    Whom an exception stopped may fare better now, and is tried once more; whoever killed is not.
    """
    failures = attempts.failures()
    alone = _alone(failures, [drop])
    killed = [failure for failure in alone if failure.kind == DIED]
    failing = {failure.drops for failure in failures if len(failure.drops) == 1}
    if len(killed if died else alone) < cap or len(failing) > MAX_POISON:
        return None
    return max(alone, key=lambda failure: failure.at).kind


def _alone(failures: Sequence[Failure], drops: Sequence[Drop]) -> list[Failure]:
    """The failures of each of the drops alone."""
    wanted = {frozenset({digest(drop)}) for drop in drops}
    return [failure for failure in failures if failure.drops in wanted]


def _hold(attempts: Attempts, drop: Drop, kind: str, work: Work) -> Outcome:
    receipts = work([drop], f"poison.{kind}")
    attempts.forget(_alone(attempts.failures(), [drop]))
    return Outcome(receipts)
