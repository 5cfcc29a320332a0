"""What would cost too much to compute anew for each scrape: it is folded in once an entry, as the log grows.

How long drops took from stage to stage, and which rules set lines aside (the only fact that needs sealed Parquet
files). A log that became smaller, as after a compromise, is folded from its start.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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
SELECT b.source, d.landed - f.newest FROM batches b
JOIN (SELECT shard, entry, max(landed_at) / 1e6 AS landed FROM drops WHERE NOT {IS_REPLAY} GROUP BY shard, entry) d
  USING (shard, entry)
JOIN (SELECT shard, entry, max(max_time) / 1e6 AS newest FROM files WHERE role = 'data' GROUP BY shard, entry) f
  USING (shard, entry)
WHERE b.shard = $1 AND b.entry >= $2 AND b.entry < $3"""
_LANDED_SEALED = f"""
SELECT b.source, epoch(b.sealed_at::TIMESTAMPTZ) - d.landed_at / 1e6
FROM batches b JOIN drops d USING (shard, entry)
WHERE b.shard = $1 AND b.entry >= $2 AND b.entry < $3 AND NOT {IS_REPLAY}"""
_SEALED = """
SELECT source, entry, epoch(sealed_at::TIMESTAMPTZ) FROM batches
WHERE shard = $1 AND entry >= $2 AND entry < $3 ORDER BY entry"""


class Growth:
    """Distributions and counts over all entries folded in so far."""

    def __init__(self) -> None:
        self._read: dict[int, int] = {}
        self._checkpoints: dict[int, list[tuple[int, float]]] = {}
        self._counts: dict[tuple[str, str], NDArray[np.int64]] = {}
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
            self._observe(stage, catalog.connection.execute(sql, [shard, start, end]).fetchall())
        self._rules.update(catalog.rule_hits(shard, start, end))
        self._read[shard] = end
        self._publish(catalog, store, shard)

    def _publish(self, catalog: Catalog, store: ObjectStore, shard: int) -> None:
        known = self._checkpoints.setdefault(shard, [])
        after = paths.checkpoint_at(shard, known[-1][0]) if known else ""
        for info in store.list(paths.checkpoints_prefix(shard), start_after=after):
            size, covered = paths.parse_number(info.path), known[-1][0] if known else 0
            at = info.modified.timestamp()
            rows = catalog.connection.execute(_SEALED, [shard, covered, size]).fetchall()
            self._observe(SEALED_PUBLISHED, [(source, at - sealed) for source, _, sealed in rows])
            known.append((size, at))

    def _observe(self, stage: str, rows: list[tuple[str, float]]) -> None:
        by_source: dict[str, list[float]] = {}
        for source, seconds in rows:
            by_source.setdefault(source, []).append(max(0.0, seconds))  # clocks of two machines
        for source, values in by_source.items():
            places = np.searchsorted(np.asarray(BOUNDS), values, side="left")
            counts = np.bincount(places, minlength=len(BOUNDS) + 1)
            self._counts[source, stage] = self._counts.get((source, stage), np.zeros_like(counts)) + counts
            self._sums[source, stage] += float(np.sum(values))

    def samples(self) -> Iterator[Sample]:
        """All of it, as of the last `fold`."""
        for key, counts in sorted(self._counts.items()):
            yield Sample(f.LATENCY, Distribution(tuple(int(n) for n in counts), self._sums[key]), key)
        for (source, rule), lines in sorted(self._rules.items()):
            yield Sample(f.RULE_HITS, lines, (source, rule))
        for shard, known in sorted(self._checkpoints.items()):
            if known:
                yield Sample(f.CHECKPOINT, known[-1][1], (str(shard),))
