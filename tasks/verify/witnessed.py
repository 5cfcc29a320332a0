"""What witnesses vouch for: cosigned checkpoints against the log, the quorum, and its freshness.

A cosigned note vouches for every entry under it, so only the newest one with a quorum counts. Others must
still agree with the log: two signed trees that do not fit are proof of two histories.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tasks.errors import VerificationError
from tasks.evidence import paths
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.note import MAX_NOTE_BYTES
from tasks.evidence.policy import Policy
from tasks.verify import reasons
from tasks.verify.access import Tree
from tasks.verify.shard import Shard


@dataclass(frozen=True, slots=True)
class Freshness:
    """How recently witnesses must have seen a log that still grows.

    Attributes:
        now: Unix seconds.
        max_age: seconds.
    """

    now: int
    max_age: int

    def holds(self, at: int) -> bool:
        """Whether a cosignature of that time is recent enough."""
        return at >= self.now - self.max_age


@dataclass(frozen=True, slots=True)
class Witnessed:
    """How far a quorum vouches for a log: its first `size` entries, seen at `at` (Unix seconds)."""

    size: int
    at: int

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"size": self.size, "at": _utc(self.at)}


def check_witnesses(
    tree: Tree,
    shard: Shard,
    policy: Policy | None,
    freshness: Freshness | None,
    *,
    before: Witnessed | None = None,
    grows: bool = True,
) -> Witnessed | None:
    """Check the cosigned checkpoints of a log, and demand the policy's quorum for the newest one.

    Args:
        tree: the tree.
        shard: the log, checked.
        policy: whom to trust.
        freshness: for a live log. Then a checkpoint that is newer than the last cosigned one is no failure
            as long as that one is fresh: a witness may be down. None demands the quorum for the newest.
        before: what the quorum vouches for of the log before; it stands in for a log that was opened since.
        grows: whether this is the newest log. One that has ended is not shown to witnesses again once they have
            cosigned its last checkpoint.
    """
    newest: Witnessed | None = None
    candidates = [paths.cosigned_at(shard.year, size) for size in sorted(shard.listing.cosigned)]
    for path in [*candidates, paths.checkpoint(shard.year)]:
        note = tree.peek(path, MAX_NOTE_BYTES)
        if note is None or policy is None:
            continue
        try:
            checkpoint = policy.open_signed(note)
            at = policy.witnessed_at(note)
        except VerificationError as error:
            # What a log signed beyond the size at which it was given up is reported with its checkpoint.
            if path in candidates and error.reason != reasons.CHECKPOINT_BEYOND_LIMIT:
                tree.findings.changed(
                    error.reason, path, f"The cosigned checkpoint is not to be believed ({error})."
                )
            continue
        if not _fits(tree, shard, path, checkpoint):
            continue
        if at is not None and (newest is None or (checkpoint.size, at) > (newest.size, newest.at)):
            newest = Witnessed(checkpoint.size, at)
    if policy is not None and policy.asks_for_witnesses and shard.checkpoint is not None:
        demand = _Demand(tree, paths.cosigned_at(shard.year, shard.checkpoint.size), freshness, grows)
        demand.judge(shard.checkpoint.size, newest, before)
    return newest


def _fits(tree: Tree, shard: Shard, path: str, checkpoint: Checkpoint) -> bool:
    """Whether a cosigned checkpoint has its name's size and is a beginning of the log."""
    if path not in (paths.checkpoint(shard.year), paths.cosigned_at(shard.year, checkpoint.size)):
        sentence = f"The checkpoint's name and its signed size {checkpoint.size} differ."
        tree.findings.changed(reasons.CHECKPOINT_NAME, path, sentence)
        return False
    if checkpoint == shard.signed.get(checkpoint.size) or shard.begins_with(checkpoint):
        return True
    sentence = "This signed tree is not a beginning of this log: the log was rewritten or cut back."
    tree.findings.changed(reasons.CHECKPOINT_INCONSISTENT, path, sentence)
    return False


@dataclass(frozen=True, slots=True)
class _Demand:
    """The quorum that the policy asks for, of one log's newest checkpoint."""

    tree: Tree
    path: str
    freshness: Freshness | None
    grows: bool

    def judge(self, size: int, newest: Witnessed | None, before: Witnessed | None) -> None:
        """Report what is lacking to a log of `size` entries."""
        missing = self.tree.findings.missing
        is_stale = newest is not None and self.grows and not self._is_fresh(newest)
        if newest is not None and is_stale and self.freshness is not None:
            sentence = f"Witnesses saw this log last at {_utc(newest.at)}, which is too long ago."
            missing(reasons.WITNESS_STALE, self.path, sentence, _RENEW)
        elif newest is None or newest.size < size:
            sentence = (
                "No checkpoint of this log is cosigned by the quorum that the policy asks for."
                if newest is None
                else f"The quorum vouches for the first {newest.size} of {size} entries."
            )
            is_fresh = self._is_fresh(newest or before)
            record = self.tree.findings.pending if is_fresh else missing
            record(reasons.WITNESS_QUORUM_MISSING, self.path, sentence, _ASK)

    def _is_fresh(self, seen: Witnessed | None) -> bool:
        return self.freshness is not None and seen is not None and self.freshness.holds(seen.at)


def _utc(seconds: int) -> str:
    return f"{datetime.fromtimestamp(min(seconds, _LAST), UTC):%Y-%m-%dT%H:%M:%SZ}"


_LAST = 253_402_300_799  # the end of the year 9999
_ASK = "Ask the log's owner for a copy with a cosigned checkpoint, and why its witnesses have not signed."
_RENEW = "See with `indelible status` which witness does not answer; the next delivery asks again."
