"""Events and drops against the rhythm that a contract expects: missing days, gaps, silence, low volume.

One cause gives one finding: a missing day is no event gap besides, and where a gap is found nothing is said
about drops or volume.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from tasks.catalog.completeness import Minute
from tasks.completeness.findings import DAY_MISSING, EVENT_GAP, SILENCE, VOLUME_LOW, Finding
from tasks.completeness.intervals import EPOCH, Interval, floor, from_us
from tasks.contracts.rhythm import LENGTHS, IntervalKind, Rhythm

_LEAST_SAMPLES: Final = 2
_WEEKS: Final = tuple(timedelta(weeks=n) for n in range(1, 5))
_DAYS: Final = tuple(timedelta(days=n) for n in range(1, 8))


def stretches(
    points: Iterable[tuple[datetime, datetime]], whole: Interval, longest: timedelta
) -> Iterator[Interval]:
    """Stretches of `whole` without any point that are longer than allowed.

    Args:
        points: first and last moment of what there is, in order.
        whole: what is looked at; it begins and ends a stretch.
        longest: the longest stretch that is allowed.
    """
    last = whole.since
    for start, end in points:
        if start - last > longest:
            yield Interval(last, start)
        last = max(last, end)
    if whole.until - last > longest:
        yield Interval(last, whole.until)


def event_findings(minutes: Sequence[Minute], whole: Interval, rhythm: Rhythm) -> list[Finding]:
    """Times without events that the contract does not allow."""
    if rhythm.max_event_gap is None:
        return []
    points = [(from_us(minute.first), from_us(minute.last)) for minute in minutes]
    found = []
    for gap in stretches(points, whole, rhythm.max_event_gap):
        days = len(list(gap.split("day")))
        length = f"{(gap.until - gap.since).total_seconds() / 3600:,.1f} h"
        if days:
            days_text = "a whole day" if days == 1 else f"{days} whole days"
            found.append(Finding(DAY_MISSING, gap, None, f"No event for {length}, and so of {days_text}."))
        else:
            sentence = (
                f"No event for {length}; {_minutes(rhythm.max_event_gap)} is the most that is expected."
            )
            found.append(Finding(EVENT_GAP, gap, None, sentence))
    return found


def silence_findings(
    times: Iterable[datetime], whole: Interval, rhythm: Rhythm, known: Sequence[Finding]
) -> list[Finding]:
    """Times without drops that the contract does not allow, where nothing known explains them."""
    points = [(time, time) for time in sorted(times)]
    sentence = f"No drop in this time; one in {_minutes(rhythm.frequency)} is expected."
    found = (Finding(SILENCE, gap, None, sentence) for gap in stretches(points, whole, rhythm.frequency))
    return [finding for finding in found if not _meets(finding, known)]


def volume_findings(
    counts: Mapping[int, int], whole: Interval, rhythm: Rhythm, known: Sequence[Finding]
) -> list[Finding]:
    """Intervals with far fewer records than usual. Without events there is a gap, which is another finding.

    Usual is the median of the same hour (or day) of the four weeks before, where two of them have records, or
    else of the seven days before.
    """
    if rhythm.min_volume_pct is None:
        return []
    found = []
    for interval in whole.split(rhythm.interval):
        rows, expected = _rows(counts, interval.since), usual(counts, interval.since)
        if rows and expected is not None and 100 * rows < rhythm.min_volume_pct * expected:
            sentence = f"{rows:,} records, {100 * rows / expected:.0f}% of the usual {expected:,.0f}."
            finding = Finding(VOLUME_LOW, interval, None, sentence)
            found += [] if _meets(finding, known) else [finding]
    return found


def usual(counts: Mapping[int, int], since: datetime) -> float | None:
    """Median of what comparable intervals hold; None where too few are known."""
    for offsets in (_WEEKS, _DAYS):
        samples = [rows for offset in offsets if (rows := _rows(counts, since - offset))]
        if len(samples) >= _LEAST_SAMPLES:
            return median(samples)
    return None


def compared_days(whole: Interval) -> set[datetime]:
    """Beginnings of the days whose records are needed to judge the volume of a time."""
    start, days = floor(whole.since, "day"), set[datetime]()
    while start < whole.until:
        days |= {start, *(start - offset for offset in (*_WEEKS, *_DAYS))}
        start += LENGTHS["day"]
    return days


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Intervals in order, those that follow each other without a break as one."""
    found: list[Interval] = []
    for interval in sorted(intervals):
        if found and found[-1].until == interval.since:
            found[-1] = Interval(found[-1].since, interval.until)
        else:
            found.append(interval)
    return found


def due(whole: Interval, kind: IntervalKind, covered: Iterable[datetime]) -> list[Interval]:
    """Stretches of whole intervals that no heartbeat covers; `covered` are the beginnings of those it does."""
    known = set(covered)
    return merged(interval for interval in whole.split(kind) if interval.since not in known)


def _rows(counts: Mapping[int, int], since: datetime) -> int:
    return counts.get((since - EPOCH) // timedelta(microseconds=1), 0)


def _meets(finding: Finding, known: Sequence[Finding]) -> bool:
    return any(finding.interval.meets(other.interval) for other in known)


def _minutes(length: timedelta) -> str:
    minutes = length.total_seconds() / 60
    return f"{minutes / 60:,.0f} h" if minutes % 60 == 0 else f"{minutes:,.0f} min"
