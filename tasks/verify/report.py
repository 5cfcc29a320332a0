"""What a check found, and what it did not look at: findings, verdicts, the report.

"Changed", "missing", "not sealed yet" and "not measured" are four different answers and are never mixed:
the first two mean that the evidence does not hold, the last two say how far the answer reaches.
Put here: values. Do not put here: any check, any printing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MAX_FINDINGS = 1_000


class Verdict(StrEnum):
    """The answer to "is this what was sealed?"."""

    OK = "ok"
    CHANGED = "changed"
    MISSING = "missing"
    NOT_SEALED_YET = "not-sealed-yet"
    NOT_MEASURED = "not-measured"


FAILURES = (Verdict.CHANGED, Verdict.MISSING)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an auditor has to know.

    Attributes:
        reason: stable code, see `data_contracts/delivered/FORMAT.md`, section "Reason codes".
        path: the object that it is about.
        sentence: what is wrong, for people; never a record's value.
        next_step: what to do about it.
        record_id: the record, where the evidence narrows it down to one.
        drop: index of the raw drop in its entry's ledger, where known.
        line: 1-based line of that drop, where known.
    """

    reason: str
    verdict: Verdict
    path: str
    sentence: str
    next_step: str = ""
    record_id: str | None = None
    drop: int | None = None
    line: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "reason": self.reason,
            "verdict": self.verdict.value,
            "path": self.path,
            "sentence": self.sentence,
            "next_step": self.next_step,
            "record_id": self.record_id,
            "drop": self.drop,
            "line": self.line,
        }


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """One log as it was found.

    Attributes:
        size: entries under the newest checkpoint that holds.
        witnessed: `size` and time (`at`) up to which a quorum of the policy's witnesses vouches; None without.
        timestamp: `size` and `time` of the newest time-stamp token, and whether it is `trusted`.
    """

    year: str
    origin: str
    size: int
    root: str
    checkpoints: int
    pending: int
    signed: bool
    witnessed: Mapping[str, Any] | None = None
    timestamp: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Result of one verification.

    Attributes:
        findings: at most `MAX_FINDINGS` a verdict; `totals` has the full numbers.
        totals: verdict -> findings, including those that are not listed.
        counted: what was checked: entries, objects, bytes, rows, drops, lines.
        key_source: `outside` when the caller's policy was used, `copy` when the key came from the copy.
        scope: the time range of an evidence bundle, or None for a whole copy.
        resumed: `entries` that an interrupted run had checked, and when that `began_at`; None without.
    """

    shards: tuple[ShardSummary, ...]
    findings: tuple[Finding, ...]
    totals: Mapping[Verdict, int]
    counted: Mapping[str, int]
    key_source: str
    scope: Mapping[str, Any] | None = None
    resumed: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is changed and nothing is missing. What was not measured is not counted."""
        return not any(self.totals.get(verdict) for verdict in FAILURES)

    @property
    def verdict(self) -> Verdict:
        """The gravest answer among the findings."""
        order = (Verdict.CHANGED, Verdict.MISSING, Verdict.NOT_MEASURED, Verdict.NOT_SEALED_YET)
        return next((verdict for verdict in order if self.totals.get(verdict)), Verdict.OK)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "format": "indelible-report/1",
            "ok": self.ok,
            "verdict": self.verdict.value,
            "key_source": self.key_source,
            "scope": dict(self.scope) if self.scope is not None else None,
            "resumed": dict(self.resumed) if self.resumed is not None else None,
            "shards": [
                {
                    "year": s.year,
                    "origin": s.origin,
                    "size": s.size,
                    "root": s.root,
                    "checkpoints": s.checkpoints,
                    "pending": s.pending,
                    "signed": s.signed,
                    "witnessed": s.witnessed,
                    "timestamp": s.timestamp,
                }
                for s in self.shards
            ],
            "counted": dict(self.counted),
            "totals": {verdict.value: count for verdict, count in self.totals.items()},
            "findings": [finding.as_dict() for finding in self.findings],
        }


@dataclass(slots=True)
class Findings:
    """Collects findings and counts, bounded for each verdict so that none can crowd out another."""

    listed: list[Finding] = field(default_factory=list)
    totals: Counter[Verdict] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        """Record one finding."""
        self.totals[finding.verdict] += 1
        if self.totals[finding.verdict] <= MAX_FINDINGS:
            self.listed.append(finding)

    def include(self, part: Findings) -> None:
        """Take over what was found about a part."""
        before = self.totals.copy()
        for finding in part.listed:
            self.add(finding)
        self.totals = before + part.totals
        self.counted.update(part.counted)

    def changed(
        self,
        reason: str,
        path: str,
        sentence: str,
        next_step: str = "",
        *,
        record_id: str | None = None,
        drop: int | None = None,
        line: int | None = None,
    ) -> None:
        """Record that something is not what was sealed."""
        step = next_step or _COMPARE
        self.add(Finding(reason, Verdict.CHANGED, path, sentence, step, record_id, drop, line))

    def missing(self, reason: str, path: str, sentence: str, next_step: str = "") -> None:
        """Record that something that was sealed is not there."""
        self.add(Finding(reason, Verdict.MISSING, path, sentence, next_step or _FETCH))

    def pending(self, reason: str, path: str, sentence: str, next_step: str = "") -> None:
        """Record that something is there which no checkpoint vouches for yet."""
        self.add(Finding(reason, Verdict.NOT_SEALED_YET, path, sentence, next_step))

    def unmeasured(self, reason: str, path: str, sentence: str, next_step: str = "") -> None:
        """Record that something was not looked at."""
        self.add(Finding(reason, Verdict.NOT_MEASURED, path, sentence, next_step))


_COMPARE = "Keep this copy as it is, fetch the object again by its version id, and compare the two."
_FETCH = "Fetch the object from the store by its version id; if it is not there either, treat it as removed."
