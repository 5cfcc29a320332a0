"""Results of the checks of an audit, as lines of its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tasks.evidence.audit_entry import FAILING, CheckLine, FindingLine, State, Verdict

MAX_PATHS: Final = 50
MAX_TEXT: Final = 1_000
# Name -> what it asks. In this order checks are made and shown.
CHECKS: Final[Mapping[str, str]] = {
    "log": "Is the log signed, whole, and the same that it was?",
    "witnesses": "Have others seen the log lately?",
    "objects": "Are stored files what was sealed?",
    "records": "Do records hash to what was signed?",
    "versions": "Does nothing lie on top of a sealed name?",
    "locks": "Is everything locked for as long as it must be?",
    "holds": "Is what is under legal hold really held?",
    "completeness": "Did everything come that was expected?",
    "contracts": "Are the contracts in use those that were sealed?",
    "certificates": "Does no certificate end soon?",
    "drill": "Can a sealed day be restored?",
    "probe": "Does the store refuse what it must refuse?",
    "canaries": "Does redaction find made-up personal data?",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One finding; `path` is the object, source or part that it is about."""

    code: str
    verdict: Verdict
    sentence: str
    next_step: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What came out of one check.

    Attributes:
        check: one of `CHECKS`.
        sentence: what was looked at, or why nothing was.
        measured: whether anything was looked at.
        next_step: what to do so that it is measured.
        counts: bytes, entries, objects and rows that were read back.
    """

    check: str
    sentence: str
    found: Sequence[Found] = ()
    measured: bool = True
    next_step: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """`fails` where anything is changed or missing."""
        if any(finding.verdict in FAILING for finding in self.found):
            return "fails"
        return "holds" if self.measured else "not-measured"

    def lines(self) -> list[CheckLine | FindingLine]:
        """For the report: the check, and one line a code and verdict."""
        first: CheckLine = {
            "name": self.check,
            "next_step": _line(self.next_step),
            "sentence": _line(self.sentence),
            "state": self.state,
            "type": "check",
        }
        return [first, *self._findings()]

    def _findings(self) -> list[FindingLine]:
        groups: dict[tuple[str, Verdict], list[Found]] = {}
        for finding in self.found:
            groups.setdefault((finding.code, finding.verdict), []).append(finding)
        return [
            {
                "check": self.check,
                "code": code,
                "count": len(group),
                "next_step": _line(group[0].next_step) or "Look at it.",
                "paths": sorted({_line(finding.path) for finding in group if finding.path})[:MAX_PATHS],
                "sentence": _line(group[0].sentence),
                "type": "finding",
                "verdict": verdict,
            }
            for (code, verdict), group in sorted(groups.items())
        ]


def count(number: int, noun: str) -> str:
    """`1 source`, `2,000 sources`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _line(text: str) -> str:
    """Text as one line of bounded length, fit for an entry."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_TEXT]
