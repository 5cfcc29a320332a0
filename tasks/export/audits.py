"""Audits of the store that were sealed in a bundle's period, beside how many were planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from tasks.evidence.audit_entry import EVERY, StoreAuditEntry
from tasks.evidence.entry import parse_entry
from tasks.export.scope import Scope

_MARK: Final = b'"kind":"store-audit"'


@dataclass(frozen=True, slots=True)
class Audits:
    """What was audited.

    Attributes:
        planned: audits that belong into the period, one a week.
        longest: most days of the period without an audit.
    """

    done: Sequence[StoreAuditEntry]
    planned: int
    longest: int


def audits(scope: Scope) -> Audits:
    """The audits of the period, by the days on which they were sealed."""
    first, end = (f"{day}T00:00:00Z" for day in (scope.since, scope.until + timedelta(days=1)))
    done = [entry for entry in _entries(scope) if first <= entry["sealed_at"] < end]
    # The bundle may be made before its period is over.
    last = min(end, scope.created_at)
    times = [
        datetime.fromisoformat(text) for text in (first, *(e["sealed_at"] for e in done), max(first, last))
    ]
    longest = max((later - earlier).days for earlier, later in pairwise(times))
    return Audits(done, (times[-1] - times[0]) // EVERY, longest)


def audit_reports(scope: Scope) -> list[Mapping[str, Any]]:
    """The reports that belong to the period."""
    return [entry["report"] for entry in audits(scope).done]


def _entries(scope: Scope) -> Iterator[StoreAuditEntry]:
    for _, entries in scope.logs:
        for data in entries:
            entry = parse_entry(data) if _MARK in data else None
            if entry is not None and entry["type"] == "audit" and entry["kind"] == "store-audit":
                yield entry
