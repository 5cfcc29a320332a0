"""What the log says of officers: enrolled before they sign, by those who were, and not after they were withdrawn."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from tasks.evidence import paths
from tasks.evidence.entry import Entry
from tasks.evidence.officers import Roll
from tasks.verify import reasons
from tasks.verify.access import Tree

_STEP: Final = "Ask the officers what they signed and when; the records are what was sealed all the same."
_SENTENCES: Final = MappingProxyType(
    {
        reasons.OFFICER_ENROLMENT: "It enrols an officer or a key a second time, or withdraws whom no entry enrols.",
        reasons.OFFICER_NOT_ENROLLED: "It is signed by a key that no entry before it enrols for that officer.",
        reasons.APPROVAL_MISSING: "Officers were enrolled before it, and none of them signed it.",
        reasons.APPROVAL_SIGNATURE: "Its approval is not a signature over what it says.",
    }
)


class Officers:
    """Follows officers, and what they signed, over all logs, the oldest first."""

    def __init__(self, tree: Tree) -> None:
        self._tree, self._roll = tree, Roll()
        self._broken = False

    def lose(self) -> None:
        """An entry could not be read: it may have enrolled or withdrawn somebody."""
        self._broken = True

    def take(self, origin: str | None, year: int, index: int, entry: Entry) -> None:
        """Check one entry under a checkpoint; `origin` is that of its log, None if it is not known."""
        reason = self._roll.take(None if origin is None else origin.rpartition("/")[0], entry)
        if reason is None:
            return
        path, sentence = paths.sequence(year, index), _SENTENCES[reason]
        if reason == reasons.APPROVAL_SIGNATURE or (self._tree.bundle is None and not self._broken):
            self._tree.findings.changed(reason, path, sentence, _STEP)
        elif self._broken:
            self._tree.findings.unmeasured(
                reason, path, f"As far as can be seen without what is lost: {sentence}"
            )
        else:
            self._tree.findings.unmeasured(reason, path, f"As far as this bundle tells: {sentence}")
