"""Seal heartbeats: for each interval of a source, what was there; also when nothing was.

Inventories are the memory of what has landed. They lie in the store and not on a runner's disk, so nobody can
make a drop vanish by losing a file of ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from flows import pipeline
from flows.entries import append_made
from flows.inventories import (
    expected,
    landed_digest,
    landed_drops,
    require_appender,
    scope,
    sealed_by_key,
    store_list,
)
from flows.wiring import Runtime
from tasks.batch import Drop
from tasks.catalog.completeness import heartbeat_ends, heartbeats, newest_seal
from tasks.completeness.intervals import Interval, drop_time, floor
from tasks.completeness.inventory import take_inventory
from tasks.contracts.rhythm import LENGTHS, Rhythm
from tasks.evidence.completeness_entry import moment
from tasks.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

# A run after a long outage leaves the rest to the next one.
MAX_INTERVALS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Sealed:
    """A heartbeat as it was sealed."""

    interval: Interval
    place: tuple[int, int]
    counts: Mapping[str, int]


def seal_heartbeats(
    runtime: Runtime, source: str, since: datetime | None = None, progress: pipeline.Progress = lambda _: None
) -> list[Sealed]:
    """Seal a heartbeat for each interval that is due and has none, in order.

    Any number of runners may do this at once: the log takes one heartbeat for each interval.

    Args:
        runtime: the deployment.
        source: whose.
        since: where the source's first heartbeat begins; afterwards each begins where the last one ended.
            Without it, the newest interval that is due is the first.
        progress: told what is done.

    Returns:
        Those that this runner sealed.

    Raises:
        UsageError: the contract expects nothing of the source, or this deployment appends nothing to the log.
    """
    require_appender(runtime)
    rhythm, landing = expected(runtime, source), runtime.landing(source)
    sealed: list[Sealed] = []
    with runtime.catalog() as catalog:
        whole = _due(runtime, catalog, source, rhythm, since)
        intervals = list(islice(whole.split(rhythm.interval), MAX_INTERVALS))
        if not intervals:
            return []
        progress(f"{source}: listing the landing place for {len(intervals):,} heartbeats")
        by_start = defaultdict[datetime, list[Drop]](list)
        for drop in landed_drops(runtime, source, Interval(intervals[0].since, intervals[-1].until)):
            by_start[floor(drop_time(drop), rhythm.interval)].append(drop)
        for interval in intervals:
            drops = by_start[interval.since]
            make = partial(_heartbeat, runtime, catalog, source, interval, drops, landing)
            appended = append_made(runtime, catalog, "heartbeat", make)
            if appended is not None:
                place, body = appended
                sealed.append(Sealed(interval, place, body["counts"]))
        if sealed:
            progress("integrating and publishing")
            pipeline.publish(runtime, catalog)
    return sealed


def _due(runtime: Runtime, catalog: Catalog, source: str, rhythm: Rhythm, since: datetime | None) -> Interval:
    end = floor(runtime.store.now() - rhythm.latency, rhythm.interval)
    ends = heartbeat_ends(catalog, source)
    if ends is not None:
        return Interval(moment(ends[1]), end)
    first = end - LENGTHS[rhythm.interval] if since is None else floor(since, rhythm.interval)
    return Interval(first, end)


def _heartbeat(
    runtime: Runtime,
    catalog: Catalog,
    source: str,
    interval: Interval,
    drops: Sequence[Drop],
    landing: ObjectStore,
    year: int,
) -> dict[str, Any] | None:
    """The body of a heartbeat, as of the end of the log; None when the interval has one."""
    if heartbeats(catalog, source, interval.since, interval.until):
        return None
    sealed = sealed_by_key(catalog, source, [drop.key for drop in drops], interval)
    inventory = take_inventory(drops, sealed, partial(landed_digest, landing))
    return {
        "counts": dict(inventory.counts),
        "interval": expected(runtime, source).interval,
        "inventory": store_list(runtime, inventory.lines) if inventory.lines else None,
        "newest": newest_seal(catalog, year, source),
        "scope": scope(source, interval),
        "software": runtime.software,
    }
