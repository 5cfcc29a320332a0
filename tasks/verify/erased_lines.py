"""Lines that erasures claim were set aside: each stands in a drop that is sealed, and in quarantine there.

The ledgers are read again for it once all claims are known, and only until each claimed drop is accounted for: so what
is kept grows with erasures and batches, never with drops. Which lines of a drop were set aside is not compared, only
how many; a drop that was sealed more than once, under several contracts, may have set other lines aside each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tasks.evidence import paths
from tasks.evidence.entry import Entry
from tasks.evidence.seal_entry import SealEntry
from tasks.verify import reasons
from tasks.verify.access import Tree
from tasks.verify.bundle import MAX_OBJECT_BYTES
from tasks.verify.ledger import quarantined

_STEP: Final = "Ask the log's owner for the certificate, and which lines of which drop were meant."
_DELIVER: Final = "Deliver the drop again, which seals its lines without what could decrypt these."


@dataclass(slots=True)
class _Claim:
    """Lines of one drop that are erased, the newest entry that says so, and how many the ledgers set aside."""

    path: str
    again: bool
    lines: set[int] = field(default_factory=set)
    quarantined: int = 0
    length: int = 0

    def holds(self) -> bool:
        """Whether as many lines were set aside, in a drop that has lines of these numbers."""
        return len(self.lines) <= self.quarantined and max(self.lines) <= self.length


class ErasedLines:
    """Follows erasures and seal entries of all logs, the oldest first."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._claims: dict[str, _Claim] = {}
        self._ledgers: list[Mapping[str, Any]] = []
        self._given_up = False
        self._whole = tree.bundle is None

    def lose(self) -> None:
        """An entry could not be read: it may have been the one that seals a drop."""
        self._whole = False

    def seal(self, entry: SealEntry) -> None:
        """Note where the drops of a seal entry stand, where lines were set aside."""
        if entry["sums"]["quarantined"]:
            self._ledgers.append(entry["ledger"])

    def take(self, year: int, index: int, entry: Entry) -> None:
        """Note what one entry under a checkpoint claims."""
        if entry["type"] == "genesis":
            self._given_up |= "revoked" in entry
        elif entry["type"] == "erasure" and entry["action"] == "erase":
            for erased in entry["lines"]:
                path = paths.sequence(year, index)
                claim = self._claims.setdefault(erased["drop"], _Claim(path, self._given_up))
                claim.path, claim.again = path, self._given_up
                claim.lines.update(erased["lines"])

    def close(self, *, ledgers: bool) -> None:
        """All logs were read: compare the claims with the ledgers, which are read only if `ledgers`."""
        left = {drop: claim for drop, claim in self._claims.items() if claim.lines}
        for facts in self._ledgers if ledgers else ():
            if not left:
                break
            self._count(facts, left)
            left = {drop: claim for drop, claim in left.items() if not claim.holds()}
        for drop, claim in left.items():
            self._report(drop, claim, whole=ledgers and self._whole)

    def _count(self, facts: Mapping[str, Any], left: Mapping[str, _Claim]) -> None:
        """Take one ledger in. One that is not as it was sealed has its own finding, and tells nothing here."""
        limit = min(facts["bytes"], MAX_OBJECT_BYTES)
        data = self._tree.peek(facts["path"], limit, facts["version_id"] or None)
        if data is None or hashlib.sha256(data).hexdigest() != facts["sha256"]:
            self._whole = False
            return
        for drop, aside, length in quarantined(data):
            if drop in left:
                left[drop].quarantined += aside
                left[drop].length = max(left[drop].length, length)

    def _report(self, drop: str, claim: _Claim, *, whole: bool) -> None:
        findings, named = self._tree.findings, f"drop {drop[:16]}"
        if claim.length:
            sentence = f"It claims other lines of {named} than its {claim.quarantined} quarantined ones."
        else:
            sentence = f"It claims lines of {named}, and no entry seals that drop with quarantined lines."
        if not whole:
            sentence = f"{sentence[:-1]}, as far as ledgers were read."
            findings.unmeasured(reasons.ERASURE_LINES, claim.path, sentence)
        elif claim.again:
            sentence = f"{sentence[:-1]}; a log was given up before this entry."
            findings.pending(reasons.ERASURE_LINES, claim.path, sentence, _DELIVER)
        else:
            findings.changed(reasons.ERASURE_LINES, claim.path, sentence, _STEP)
