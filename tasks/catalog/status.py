"""What is sealed, in sums by source and by log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import duckdb

from tasks.log import reader
from tasks.storage.protocol import ObjectStore

_SOURCES: Final = """
SELECT source, count(*)::BIGINT AS batches, sum(drops)::BIGINT AS drops, sum(lines)::BIGINT AS lines,
       sum(accepted)::BIGINT AS accepted, sum(quarantined)::BIGINT AS quarantined,
       sum(duplicate)::BIGINT AS duplicate, sum(blank)::BIGINT AS blank,
       count(*) FILTER (held)::BIGINT AS held, max(sealed_at) AS last_sealed,
       (SELECT min(event_date)::VARCHAR FROM files f WHERE f.source = b.source) AS first,
       (SELECT max(event_date)::VARCHAR FROM files f WHERE f.source = b.source) AS last
FROM batches b GROUP BY source ORDER BY source
"""


def status(
    connection: duckdb.DuckDBPyConnection, store: ObjectStore, size: Callable[[int], int]
) -> dict[str, Any]:
    """Sums by source and by shard, from the log alone.

    Args:
        connection: the catalog.
        store: where the logs lie.
        size: entries of a shard that are in the catalog.
    """
    sources = connection.execute(_SOURCES)
    names = [column[0] for column in sources.description or []]
    rows = [dict(zip(names, row, strict=True)) for row in sources.fetchall()]
    shards = [
        {
            "shard": shard,
            "entries": size(shard),
            "unintegrated": size(shard) - reader.integrated(store, shard),
        }
        for shard in reader.shards(store)
    ]
    return {"sources": rows, "shards": shards}
