"""The whole check of one source over a time: drops, heartbeats and rhythm, one list of findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tasks.batch import Drop
from tasks.catalog.completeness import Minute
from tasks.completeness.findings import (
    DROP_CHANGED,
    DROP_UNSEALED,
    DROP_VANISHED,
    HEARTBEAT_MISSING,
    Explanations,
    Finding,
)
from tasks.completeness.intervals import EPOCH, Interval, drop_time, floor, from_us, key_time
from tasks.completeness.inventory import DigestOf, SealedByKey, find_sealed, looks_other
from tasks.completeness.rhythm import due, event_findings, silence_findings, volume_findings
from tasks.contracts.rhythm import LENGTHS, Rhythm
from tasks.evidence.completeness_entry import InventoryLine


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat and the lines of its inventory."""

    interval: Interval
    lines: Sequence[InventoryLine]


@dataclass(frozen=True, slots=True)
class Observed:
    """What there is of a source.

    Attributes:
        whole: the time to check.
        measured: the part of it for which heartbeats and events are due by now.
        landed: its drops in the landing place now.
        sealed: its sealed drops, and all that share a key with one of its drops.
        beats: the heartbeats of `whole`.
        began: when the source's first heartbeat begins; None without any.
        minutes: the minutes of `measured` with sealed events.
        counts: sealed events by interval, of `measured` and of what it is compared with.
    """

    whole: Interval
    measured: Interval
    landed: Sequence[Drop]
    sealed: SealedByKey
    beats: Sequence[Beat]
    began: datetime | None
    minutes: Sequence[Minute]
    counts: Mapping[int, int]


def check(
    observed: Observed, rhythm: Rhythm, now: datetime, digest_of: DigestOf, explanations: Explanations
) -> list[Finding]:
    """Everything that is wrong, explained or not, in order of time.

    Args:
        observed: what there is.
        rhythm: what is expected.
        now: the store's clock.
        digest_of: reads a drop that is sealed under its key and looks different.
        explanations: the source's gap entries.
    """
    measured = observed.measured
    found = [*_vanished(observed), *_landed(observed, rhythm, now, digest_of)]
    if measured.since < measured.until:
        events = event_findings(observed.minutes, measured, rhythm)
        found += events
        found += volume_findings(observed.counts, measured, rhythm, events)
        found += silence_findings(_times(observed), measured, rhythm, events)
        found += _unmeasured(observed, rhythm)
    unique = {(f.code, f.key, f.interval): f for f in reversed(found)}.values()
    ordered = sorted(unique, key=lambda f: (f.interval, f.code, f.key or ""))
    return [replace(finding, gap=explanations.of(finding)) for finding in ordered]


def _vanished(observed: Observed) -> Iterator[Finding]:
    """Drops that waited when an inventory was taken, and what became of them."""
    landed = {drop.key: drop for drop in observed.landed}
    for beat in observed.beats:
        for line in beat.lines:
            if line["sealed"] is not None:
                continue
            known, now = observed.sealed.get(line["key"], ()), landed.get(line["key"])
            if known and all(looks_other(line, drop.bytes, drop.etag, drop.version_id) for drop in known):
                sentence = "It was sealed with other content than the landing inventory shows."
                yield Finding(DROP_CHANGED, beat.interval, line["key"], sentence)
            elif not known and now is None:
                sentence = "It was in the landing place, was never sealed, and is not there any more."
                yield Finding(DROP_VANISHED, beat.interval, line["key"], sentence)
            elif not known and now and looks_other(line, now.size, now.etag, now.version_id):
                sentence = "It is not sealed, and not what the landing inventory shows any more."
                yield Finding(DROP_CHANGED, beat.interval, line["key"], sentence)


def _landed(observed: Observed, rhythm: Rhythm, now: datetime, digest_of: DigestOf) -> Iterator[Finding]:
    """Drops that are in the landing place, and keys that were sealed with two contents."""
    for drop in observed.landed:
        if find_sealed(drop, observed.sealed, digest_of) is not None:
            continue
        interval = _interval(drop_time(drop), rhythm)
        if drop.key in observed.sealed:
            sentence = "What lies in the landing place is not what was sealed under this key."
            yield Finding(DROP_CHANGED, interval, drop.key, sentence)
        elif from_us(drop.modified_us) + rhythm.latency <= now:
            sentence = f"It landed at {from_us(drop.modified_us):%Y-%m-%d %H:%M} UTC and is not sealed."
            yield Finding(DROP_UNSEALED, interval, drop.key, sentence)
    for key, lines in observed.sealed.items():
        time = key_time(key, lines[0].landed_at)
        if observed.whole.covers(time) and len({line.sha256 for line in lines}) > 1:
            sentence = "It was sealed more than once, with different contents."
            yield Finding(DROP_CHANGED, _interval(time, rhythm), key, sentence)


def _unmeasured(observed: Observed, rhythm: Rhythm) -> Iterator[Finding]:
    covered = (beat.interval.since for beat in observed.beats)
    # Nothing was promised before the first heartbeat.
    since = max(observed.measured.since, observed.began or observed.measured.since)
    whole = Interval(since, max(since, observed.measured.until))
    for stretch in due(whole, rhythm.interval, covered):
        number = (stretch.until - stretch.since) // LENGTHS[rhythm.interval]
        plural = "" if number == 1 else "s"
        sentence = f"{number:,} {rhythm.interval}{plural} without a heartbeat."
        yield Finding(HEARTBEAT_MISSING, stretch, None, sentence)


def _times(observed: Observed) -> Iterable[datetime]:
    """When drops came, whatever became of them."""
    times = {drop_time(drop) for drop in observed.landed}
    times |= {key_time(key, lines[0].landed_at) for key, lines in observed.sealed.items()}
    times |= {
        key_time(line["key"], (beat.interval.since - EPOCH) // timedelta(microseconds=1))
        for beat in observed.beats
        for line in beat.lines
    }
    return (time for time in times if observed.measured.covers(time))


def _interval(time: datetime, rhythm: Rhythm) -> Interval:
    start = floor(time, rhythm.interval)
    return Interval(start, start + LENGTHS[rhythm.interval])
