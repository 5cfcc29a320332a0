"""What the catalog knows about completeness: sealed drops by key, heartbeats, gaps, and when events were.

Cost grows with the time that is asked about, not with the lake: of data files, one column of those of the
days in question is read. A drop is taken to land no more than two days before the time in its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tasks.catalog.catalog import Catalog
from tasks.evidence.terms import instant


@dataclass(frozen=True, slots=True)
class SealedDrop:
    """A line of a ledger. `place` is shard, entry and index."""

    place: tuple[int, int, int]
    key: str
    version_id: str | None
    etag: str
    landed_at: int
    bytes: int
    sha256: str
    lines: int
    accepted: int


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute with events: how many, the first and the last, in Unix microseconds."""

    rows: int
    first: int
    last: int


def sealed_drops(
    catalog: Catalog, source: str, keys: Sequence[str], since: datetime, until: datetime
) -> list[SealedDrop]:
    """Sealed drops that have one of the keys; and all that landed in a time, or name one of its days.

    Args:
        catalog: read up to the end of the log.
        source: whose.
        keys: of drops that are asked for whenever they came.
        since: first moment.
        until: end, not included.
    """
    rows = catalog.connection.execute(
        "SELECT shard, entry, index, key, version_id, etag, landed_at, bytes, sha256, lines, accepted"
        " FROM drops WHERE source = $1 AND (key IN (SELECT unnest($2::VARCHAR[]))"
        " OR landed_at >= epoch_us($3::TIMESTAMPTZ) AND landed_at < epoch_us($4::TIMESTAMPTZ)"
        " OR landed_at >= epoch_us($3::TIMESTAMPTZ - INTERVAL 2 DAY) AND regexp_matches(key, $5))"
        " ORDER BY shard, entry, index",
        [
            source,
            list(keys),
            since,
            until,
            "|".join(f"{day:%Y[-/]?%m[-/]?%d}" for day in _days(since, until)),
        ],
    ).fetchall()
    return [SealedDrop((shard, entry, index), *rest) for shard, entry, index, *rest in rows]


def heartbeats(
    catalog: Catalog, source: str, since: datetime, until: datetime
) -> list[tuple[int, int, dict[str, Any]]]:
    """Shard, index and document of the heartbeats that have time in common with a time, in order of time."""
    rows = catalog.connection.execute(
        "SELECT shard, entry, document FROM entries WHERE type = 'heartbeat'"
        " AND (document->>'$.scope.source') = $1 AND (document->>'$.scope.since') < $3"
        " AND (document->>'$.scope.until') > $2 ORDER BY document->>'$.scope.since'",
        [source, instant(since), instant(until)],
    ).fetchall()
    return [(shard, entry, json.loads(document)) for shard, entry, document in rows]


def heartbeat_ends(catalog: Catalog, source: str) -> tuple[str, str] | None:
    """When the source's first heartbeat begins and its last one ends; None without any."""
    row = catalog.connection.execute(
        "SELECT min(document->>'$.scope.since'), max(document->>'$.scope.until') FROM entries"
        " WHERE type = 'heartbeat' AND (document->>'$.scope.source') = ?",
        [source],
    ).fetchall()[0]
    return None if row[0] is None else (row[0], row[1])


def gaps(catalog: Catalog, source: str | None = None) -> list[tuple[int, int, dict[str, Any]]]:
    """Shard, index and document of the gap entries, the oldest first."""
    rows = catalog.connection.execute(
        "SELECT shard, entry, document FROM entries WHERE type = 'gap'"
        " AND ($1 IS NULL OR (document->>'$.scope.source') = $1) ORDER BY shard, entry",
        [source],
    ).fetchall()
    return [(shard, entry, json.loads(document)) for shard, entry, document in rows]


def newest_seal(catalog: Catalog, shard: int, source: str) -> dict[str, Any] | None:
    """The source's newest seal entry in a log, as a heartbeat names it."""
    tail = catalog.tail(shard, source)
    if tail.previous is None:
        return None
    entry, leaf = tail.previous
    return {"entry": entry, "leaf": leaf, "source_seq": tail.source_seq - 1}


def first_event(catalog: Catalog, source: str) -> int | None:
    """When the source's first sealed event was, in Unix microseconds."""
    rows = catalog.connection.execute(
        "SELECT min(min_time) FROM files WHERE role = 'data' AND source = ?", [source]
    ).fetchall()
    found: int | None = rows[0][0]
    return found


def event_minutes(catalog: Catalog, source: str, since: datetime, until: datetime) -> list[Minute]:
    """Each minute with sealed events, in order."""
    rows = _count(catalog, source, _days(since, until), timedelta(minutes=1))
    first, last = (round(moment.timestamp() * 1e6) for moment in (since, until))
    return [Minute(count, start, end) for _, count, start, end in rows if start < last and end >= first]


def event_counts(catalog: Catalog, source: str, days: Iterable[date], length: timedelta) -> dict[int, int]:
    """Events of the days by the beginning, in Unix microseconds, of the stretch of a length that they lie in."""
    step = length // timedelta(microseconds=1)
    return {slot * step: count for slot, count, _, _ in _count(catalog, source, days, length)}


def _days(since: datetime, until: datetime) -> list[date]:
    return [since.date() + timedelta(days=n) for n in range((until.date() - since.date()).days + 1)]


def _count(
    catalog: Catalog, source: str, days: Iterable[date], length: timedelta
) -> list[tuple[int, int, int, int]]:
    """(slot, rows, first, last) of each stretch of a length with events."""
    files = catalog.connection.execute(
        "SELECT path FROM files WHERE role = 'data' AND source = ? AND event_date IN (SELECT unnest(?::DATE[]))",
        [source, sorted(days)],
    ).fetchall()
    if not files:
        return []
    return catalog.connection.execute(
        "SELECT epoch_us(_time) // $2 AS slot, count(*), min(epoch_us(_time)), max(epoch_us(_time))"
        " FROM read_parquet($1, hive_partitioning = false) GROUP BY slot ORDER BY slot",
        [[catalog.locate(path) for (path,) in files], length // timedelta(microseconds=1)],
    ).fetchall()
