"""What the catalog's tables say, as samples: sums by source, open quarantine, audits, retention, holds, keys.

Each is one SQL statement over small tables (a row a drop at most); no Parquet file is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tasks.metrics import families as f
from tasks.metrics.families import Sample

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

OUTCOMES = ("accepted", "quarantined", "duplicate", "blank")
IS_REPLAY = "(key LIKE 'replay/%' AND etag = sha256)"
"""Drops that a replay of quarantine made; their lines came in before."""

_DROPS = f"""
SELECT source, {IS_REPLAY}, count(*), sum(bytes), max(landed_at) / 1e6,
       {", ".join(f"sum({outcome})" for outcome in OUTCOMES)}
FROM drops GROUP BY ALL ORDER BY ALL"""
_FILES = "SELECT source, role, sum(bytes), max(max_time) / 1e6 FROM files GROUP BY ALL ORDER BY ALL"
_BATCHES = "SELECT source, count(*), count(*) FILTER (held) FROM batches GROUP BY source ORDER BY source"
_OPEN = f"""
WITH replayed AS (
    SELECT DISTINCT source, regexp_extract(key, '^replay/([0-9]+-[0-9]+-[0-9]+)', 1) AS target
    FROM drops WHERE {IS_REPLAY})
SELECT b.source, coalesce(sum(d.quarantined), 0), epoch(min(b.sealed_at::TIMESTAMPTZ) FILTER (d.quarantined > 0))
FROM batches b LEFT JOIN (
    SELECT * FROM drops x WHERE quarantined > 0 AND NOT EXISTS (
        SELECT 1 FROM replayed r
        WHERE r.source = x.source AND r.target = x.shard || '-' || x.entry || '-' || x.index)
      AND NOT EXISTS (
        SELECT 1 FROM entries e WHERE e.type = 'disposition' AND (e.document->>'$.action') = 'discard'
        AND (e.document->>'$.batch.shard')::INTEGER = x.shard AND (e.document->>'$.batch.entry')::BIGINT = x.entry)) d
    USING (shard, entry)
GROUP BY b.source ORDER BY b.source"""
_AUDITS = """
SELECT kind, source, arg_max(ok, place), epoch(arg_max(sealed_at::TIMESTAMPTZ, place)),
       count(*) FILTER (ok), count(*) FILTER (NOT ok)
FROM (SELECT document->>'$.kind' AS kind, coalesce(document->>'$.scope.source', '') AS source, sealed_at,
             (shard, entry) AS place,
             coalesce(document->>'$.enforced', document->>'$.holds', document->>'$.ok')::BOOLEAN AS ok
      FROM entries WHERE type = 'audit')
GROUP BY ALL ORDER BY ALL"""
# An extension covers the batches of its scope that were sealed before it (FORMAT.md, 5.4); what covers a part
# of a batch only does not count, so the result is never later than the truth.
_RETENTION = """
WITH extensions AS (
    SELECT shard, entry, document->>'$.scope.source' AS source, (document->>'$.scope.since')::DATE AS since,
           (document->>'$.scope.until')::DATE AS until,
           (document->>'$.retain_until')::TIMESTAMPTZ AS retain_until
    FROM entries
    WHERE type = 'retention' AND (document->>'$.action') = 'extend'
      AND (document->>'$.scope.subject') IS NULL),
days AS (SELECT shard, entry, min(event_date) AS first, max(event_date) AS last FROM files
         WHERE role = 'data' GROUP BY shard, entry),
ends AS (
    SELECT b.source, b.shard, b.entry, greatest(b.retain_until::TIMESTAMPTZ, max(x.retain_until)) AS until
    FROM batches b LEFT JOIN days d USING (shard, entry) LEFT JOIN extensions x
      ON x.source = b.source AND (x.shard, x.entry) > (b.shard, b.entry)
     AND (x.since IS NULL OR d.first >= x.since) AND (x.until IS NULL OR d.last <= x.until)
    GROUP BY b.source, b.shard, b.entry, b.retain_until)
SELECT source, epoch(min(until) FILTER (epoch(until) > $1)), count(*) FILTER (epoch(until) <= $1)
FROM ends GROUP BY source ORDER BY source"""
_HOLDS = """
SELECT b.source, count(DISTINCT h.shard || '-' || h.entry) FROM (SELECT DISTINCT source FROM batches) b LEFT JOIN (
    SELECT shard, entry, document->>'$.scope.source' AS source FROM entries h WHERE type = 'hold'
    AND NOT EXISTS (SELECT 1 FROM entries r WHERE r.type = 'release'
                    AND (r.document->>'$.hold') = printf('%04d-%d', h.shard, h.entry))) h
    ON h.source = b.source
GROUP BY b.source ORDER BY b.source"""
_HEARTBEATS = """
SELECT document->>'$.scope.source', epoch(max((document->>'$.scope.until')::TIMESTAMPTZ))
FROM entries WHERE type = 'heartbeat' GROUP BY 1 ORDER BY 1"""
_KEYS = """
SELECT shard, epoch(max(sealed_at::TIMESTAMPTZ)) FROM entries
WHERE type = 'genesis' OR (type = 'key' AND (document->>'$.action') = 'announce')
GROUP BY shard ORDER BY shard"""


def facts(catalog: Catalog, now: float) -> Iterator[Sample]:
    """Everything that the tables tell.

    Args:
        catalog: read up to the end of the log.
        now: Unix seconds; decides which locks have ended.
    """
    yield from _came_in(catalog)
    for source, lines, oldest in _ask(catalog, _OPEN):
        yield Sample(f.OPEN_LINES, lines, (source,))
        yield from _known(f.OLDEST_OPEN, oldest, source)
    for kind, source, ok, at, passed, failed in _ask(catalog, _AUDITS):
        yield Sample(f.AUDIT_OK, bool(ok), (kind, source))
        yield Sample(f.AUDIT_TIME, at, (kind, source))
        yield Sample(f.AUDITS, passed, (kind, source, "ok"))
        yield Sample(f.AUDITS, failed, (kind, source, "failed"))
    for source, end, ended in _ask(catalog, _RETENTION, now):
        yield from _known(f.RETENTION_END, end, source)
        yield Sample(f.UNLOCKED_BATCHES, ended, (source,))
    for source, holds in _ask(catalog, _HOLDS):
        yield Sample(f.OPEN_HOLDS, holds, (source,))
    for source, end in _ask(catalog, _HEARTBEATS):
        yield Sample(f.HEARTBEAT, end, (source,))
    for shard, since in _ask(catalog, _KEYS):
        yield Sample(f.SIGNING_KEY, since, (str(shard),))


def _came_in(catalog: Catalog) -> Iterator[Sample]:
    for source, replay, drops, size, landed, *counts in _ask(catalog, _DROPS):
        for outcome, count in zip(OUTCOMES, counts, strict=True):
            yield Sample(f.REPLAYED if replay else f.RECORDS, count, (source, outcome))
        if not replay:
            yield Sample(f.DROPS, drops, (source,))
            yield Sample(f.DROP_BYTES, size, (source,))
            yield Sample(f.LAST_DROP, landed, (source,))
    for source, role, size, newest in _ask(catalog, _FILES):
        yield Sample(f.SEALED_BYTES, size, (source, role))
        if role == "data":
            yield from _known(f.LAST_EVENT, newest, source)
    for source, batches, held in _ask(catalog, _BATCHES):
        yield Sample(f.BATCHES, batches, (source,))
        yield Sample(f.HELD_BATCHES, held, (source,))


def _ask(catalog: Catalog, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    return catalog.connection.execute(sql, list(parameters)).fetchall()


def _known(metric: f.Metric, value: float | None, *labels: str) -> Iterator[Sample]:
    """Nothing for what is not known: a zero would be read as a fact."""
    if value is not None:
        yield Sample(metric, value, labels)
