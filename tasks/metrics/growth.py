"""What would cost too much to compute anew for each scrape: it is folded in once an entry, as the log grows.

How long drops took from stage to stage, and which rules set lines aside (the only fact that needs sealed Parquet
files). A log that became smaller, as after a compromise, is folded from its start.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.evidence import paths
from tasks.metrics import families as f
from tasks.metrics.facts import IS_REPLAY
from tasks.metrics.families import BOUNDS, Distribution, Sample

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog
    from tasks.storage.protocol import ObjectStore

EVENT_LANDED, LANDED_SEALED, SEALED_PUBLISHED = "event-landed", "landed-sealed", "sealed-published"
STAGES = (EVENT_LANDED, LANDED_SEALED, SEALED_PUBLISHED)

_EVENT_LANDED = f"""
SELECT b.source, d.landed - f.newest AS seconds FROM batches b
JOIN (SELECT shard, entry, max(landed_at) / 1e6 AS landed FROM drops WHERE NOT {IS_REPLAY} GROUP BY shard, entry) d
  USING (shard, entry)
JOIN (SELECT shard, entry, max(max_time) / 1e6 AS newest FROM files WHERE role = 'data' GROUP BY shard, entry) f
  USING (shard, entry)
WHERE b.shard = $1 AND b.entry >= $2 AND b.entry < $3"""
_LANDED_SEALED = f"""
SELECT b.source, epoch(b.sealed_at::TIMESTAMPTZ) - d.landed_at / 1e6 AS seconds
FROM batches b JOIN drops d USING (shard, entry)
WHERE b.shard = $1 AND b.entry >= $2 AND b.entry < $3 AND NOT {IS_REPLAY}"""
_SEALED_PUBLISHED = """
SELECT source, $4 - epoch(sealed_at::TIMESTAMPTZ) AS seconds FROM batches
WHERE shard = $1 AND entry >= $2 AND entry < $3"""
# Clocks of two machines may differ, so nothing is taken to end before it began.
_BY_BUCKET = f"""
SELECT source, {" + ".join(f"(seconds > {bound})::INTEGER" for bound in BOUNDS)} AS bucket,
       count(*), sum(greatest(seconds, 0)) FROM ({{}}) GROUP BY source, bucket ORDER BY source, bucket"""


class Growth:
    """Distributions and counts over all entries folded in so far."""

    def __init__(self) -> None:
        self._read: dict[int, int] = {}
        self._checkpoints: dict[int, list[tuple[int, float]]] = {}
        self._counts: dict[tuple[str, str], list[int]] = {}
        self._sums: dict[tuple[str, str], float] = defaultdict(float)
        self._rules: Counter[tuple[str, str]] = Counter()

    def fold(self, catalog: Catalog, store: ObjectStore, shard: int) -> None:
        """Take in what is new of a log.

        Args:
            catalog: read up to the end of the log.
            store: lists the log's checkpoints, which say when entries were published.
            shard: the log.
        """
        start, end = self._read.get(shard, 0), catalog.size(shard)
        for stage, sql in ((EVENT_LANDED, _EVENT_LANDED), (LANDED_SEALED, _LANDED_SEALED)):
            self._observe(catalog, stage, sql, shard, start, end)
        self._rules.update(catalog.rule_hits(shard, start, end))
        self._read[shard] = end
        self._publish(catalog, store, shard)

    def _publish(self, catalog: Catalog, store: ObjectStore, shard: int) -> None:
        known = self._checkpoints.setdefault(shard, [])
        after = paths.checkpoint_at(shard, known[-1][0]) if known else ""
        for info in store.list(paths.checkpoints_prefix(shard), start_after=after):
            size, covered = paths.parse_number(info.path), known[-1][0] if known else 0
            at = info.modified.timestamp()
            self._observe(catalog, SEALED_PUBLISHED, _SEALED_PUBLISHED, shard, covered, size, at)
            known.append((size, at))

    def _observe(self, catalog: Catalog, stage: str, sql: str, *parameters: float) -> None:
        rows = catalog.connection.execute(_BY_BUCKET.format(sql), list(parameters)).fetchall()
        for source, bucket, count, seconds in rows:
            self._counts.setdefault((source, stage), [0] * (len(BOUNDS) + 1))[bucket] += count
            self._sums[source, stage] += seconds

    def samples(self) -> Iterator[Sample]:
        """All of it, as of the last `fold`."""
        for key, counts in sorted(self._counts.items()):
            yield Sample(f.LATENCY, Distribution(tuple(counts), self._sums[key]), key)
        for (source, rule), lines in sorted(self._rules.items()):
            yield Sample(f.RULE_HITS, lines, (source, rule))
        for shard, known in sorted(self._checkpoints.items()):
            if known:
                yield Sample(f.CHECKPOINT, known[-1][1], (str(shard),))
