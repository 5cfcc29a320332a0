"""What was discarded from quarantine: lines of a batch that is sealed before, and not more than it set aside."""

from __future__ import annotations

from collections import Counter

from tasks.evidence import merkle, paths
from tasks.evidence.disposition_entry import DiscardEntry
from tasks.evidence.entry import Entry
from tasks.evidence.seal_entry import SealEntry
from tasks.verify import reasons
from tasks.verify.access import Tree

_STEP = "Ask the log's owner which batch was meant, and what became of its lines."


class Dispositions:
    """Follows seal entries and discards of all logs, the oldest first."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._sealed: dict[tuple[int, int], tuple[str, bytes, int]] = {}
        self._discarded: Counter[tuple[int, int]] = Counter()
        self._broken = False

    def lose(self) -> None:
        """An entry could not be read: it may have been the batch that a later one is about."""
        self._broken = True

    def seal(self, year: int, index: int, entry: SealEntry, data: bytes) -> None:
        """Note what a seal entry set aside."""
        if entry["sums"]["quarantined"]:
            facts = entry["source"], merkle.leaf_hash(data), entry["sums"]["quarantined"]
            self._sealed[year, index] = facts

    def take(self, year: int, index: int, entry: Entry) -> None:
        """Check one entry under a checkpoint."""
        if entry["type"] == "disposition" and entry.get("action") == "discard":
            self._check(entry, paths.sequence(year, index))  # type: ignore[arg-type]  # the form of this action

    def _check(self, entry: DiscardEntry, path: str) -> None:
        batch = entry["batch"]
        place = batch["shard"], batch["entry"]
        source, leaf, quarantined = self._sealed.get(place, ("", b"", 0))
        if (batch["source"], bytes.fromhex(batch["leaf"])) != (source, leaf):
            sentence = "It discards lines of a batch that no entry before it seals with quarantined lines."
            if self._broken or self._tree.bundle is not None:
                self._tree.findings.unmeasured(
                    reasons.DISCARD, path, f"{sentence[:-1]}, as far as can be seen."
                )
                return
            self._tree.findings.changed(reasons.DISCARD, path, sentence, _STEP)
            return
        self._discarded[place] += entry["lines"]
        if self._discarded[place] > quarantined:
            sentence = f"More lines of the batch are discarded than its {quarantined} quarantined ones."
            self._tree.findings.changed(reasons.DISCARD, path, sentence, _STEP)
