"""What heartbeats and gap entries of a bundle's logs say of its period, for the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from tasks.evidence.completeness_entry import GapEntry, HeartbeatEntry
from tasks.evidence.entry import parse_entry
from tasks.export.scope import Scope

_MARKS: Final = (b'"type":"heartbeat"', b'"type":"gap"')


@dataclass(frozen=True, slots=True)
class SourceCoverage:
    """Heartbeats of one source in the period, in order of time.

    Attributes:
        since, until: the time that they are about; empty without any.
        silent: heartbeats that found nothing.
        waiting: drops that had landed and were not sealed when their heartbeat was.
        unmeasured: times of the period that no heartbeat is about.
    """

    source: str
    heartbeats: int
    since: str
    until: str
    silent: int
    waiting: int
    unmeasured: Sequence[tuple[str, str]]


def coverage(scope: Scope) -> list[SourceCoverage]:
    """What was measured, by source: of those that delivered in the period, and those with heartbeats in it."""
    beats: dict[str, list[HeartbeatEntry]] = {source: [] for source in scope.sources}
    for entry in _entries(scope):
        if entry["type"] == "heartbeat":
            beats.setdefault(entry["scope"]["source"], []).append(entry)
    return [_coverage(scope, source, found) for source, found in sorted(beats.items())]


def explained(scope: Scope) -> list[Mapping[str, Any]]:
    """The gap entries of the period."""
    return [entry for entry in _entries(scope) if entry["type"] == "gap"]


def completeness_lists(scope: Scope) -> list[Mapping[str, Any]]:
    """The inventories and findings that belong to the period."""
    lists = [entry["findings"] if entry["type"] == "gap" else entry["inventory"] for entry in _entries(scope)]
    return [facts for facts in lists if facts is not None]


def _entries(scope: Scope) -> Iterator[HeartbeatEntry | GapEntry]:
    first, end = _period(scope)
    for _, entries in scope.logs:
        for data in entries:
            if not any(mark in data for mark in _MARKS):
                continue  # of a long log, most entries need not be parsed
            entry = parse_entry(data)
            if entry["type"] not in ("heartbeat", "gap"):
                continue
            if entry["scope"]["since"] < end and entry["scope"]["until"] > first:
                yield entry


def _period(scope: Scope) -> tuple[str, str]:
    return f"{scope.since}T00:00:00Z", f"{scope.until + timedelta(days=1)}T00:00:00Z"


def _coverage(scope: Scope, source: str, beats: Sequence[HeartbeatEntry]) -> SourceCoverage:
    last, end = _period(scope)
    spans = sorted((beat["scope"]["since"], beat["scope"]["until"]) for beat in beats)
    unmeasured = []
    for since, until in spans:
        if since > last:
            unmeasured.append((last, since))
        last = max(last, until)
    if last < end:
        unmeasured.append((last, end))
    counts = [beat["counts"] for beat in beats]
    return SourceCoverage(
        source=source,
        heartbeats=len(beats),
        since=spans[0][0] if spans else "",
        until=spans[-1][1] if spans else "",
        silent=sum(count["landed"] + count["sealed"] == 0 for count in counts),
        waiting=sum(count["waiting"] for count in counts),
        unmeasured=unmeasured,
    )
