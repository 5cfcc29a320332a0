"""What the log says of keys that pseudonymise and encrypt: committed before they are destroyed, and not used after."""

from __future__ import annotations

from tasks.evidence import paths
from tasks.evidence.entry import Entry
from tasks.verify import reasons
from tasks.verify.access import Tree

_STEP = "Ask the log's owner how this could be sealed; the entry's records are what was sealed all the same."


class KeyTableEntries:
    """Follows the commitments and destructions of all logs, the oldest first."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._committed: set[tuple[str, str]] = set()
        self._shredded: set[str] = set()
        self._broken = False

    def lose(self) -> None:
        """An entry could not be read: it may have been a commitment."""
        self._broken = True

    def take(self, year: int, index: int, entry: Entry) -> None:
        """Check one entry under a checkpoint."""
        path = paths.sequence(year, index)
        if entry["type"] == "seal":
            for name in sorted(self._shredded.intersection(entry["keys"])):
                sentence = f"It uses the key {name}, which was destroyed before."
                self._tree.findings.changed(reasons.KEY_SHREDDED, path, sentence, _STEP)
        elif entry["type"] != "key":
            return
        elif entry["action"] == "commit":
            self._committed.add((entry["name"], entry["root"]))
        elif entry["action"] == "shred":
            self._check_committed(entry["name"], entry["root"], path)
            if "/" in entry["name"]:
                self._shredded.add(entry["name"])

    def _check_committed(self, name: str, root: str, path: str) -> None:
        if (name, root) in self._committed:
            return
        sentence = f"It says that a key {name} was destroyed, and no entry before it commits to that key."
        if self._broken:
            sentence = f"{sentence[:-1]}; it may be in an entry that is lost."
            self._tree.findings.unmeasured(reasons.KEY_UNCOMMITTED, path, sentence)
        elif self._tree.bundle is None:
            self._tree.findings.changed(reasons.KEY_UNCOMMITTED, path, sentence, _STEP)
        else:
            self._tree.findings.unmeasured(reasons.KEY_UNCOMMITTED, path, f"{sentence[:-1]} in this bundle.")
