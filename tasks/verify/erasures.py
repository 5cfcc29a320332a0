"""What the log says of persons who were to be forgotten: their keys were destroyed, or a hold was in force."""

from __future__ import annotations

from tasks.evidence import paths
from tasks.evidence.entry import Entry
from tasks.verify import reasons
from tasks.verify.access import Tree

_STEP = "Ask the log's owner for the certificate or refusal, and what became of the request."


class Erasures:
    """Follows destructions, holds and erasures of all logs, the oldest first."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._destroyed: set[str] = set()
        self._holds: set[str] = set()
        self._broken = False

    def lose(self) -> None:
        """An entry could not be read: it may have been one that an erasure rests on."""
        self._broken = True

    def take(self, year: int, index: int, entry: Entry) -> None:
        """Check one entry under a checkpoint."""
        if entry["type"] == "key" and entry["action"] == "shred":
            self._destroyed.add(entry["commitment"])
        elif entry["type"] == "hold":
            self._holds.add(f"{year:04d}-{index}")
        elif entry["type"] == "release":
            self._holds.discard(entry["hold"])
        elif entry["type"] == "erasure":
            self._check(entry, paths.sequence(year, index))

    def _check(self, entry: Entry, path: str) -> None:
        if entry["type"] != "erasure" or self._broken:
            return
        if entry["action"] == "erase" and not self._destroyed.issuperset(entry["keys"]):
            sentence = "It says that a person was erased, and no entry before it says that their key is gone."
            self._report(reasons.ERASURE_KEY, path, sentence)
        elif entry["action"] == "refuse" and not self._holds.issuperset(entry["holds"]):
            sentence = "It refuses an erasure for a legal hold, and no such hold is in force."
            self._report(reasons.ERASURE_HOLD, path, sentence)

    def _report(self, reason: str, path: str, sentence: str) -> None:
        if self._tree.bundle is None:
            self._tree.findings.changed(reason, path, sentence, _STEP)
        else:
            self._tree.findings.unmeasured(reason, path, f"{sentence[:-1]} in this bundle.")
