"""Quarantine: what is set aside and still open, and its replay through the same stages after a fix.

A replay is a delivery from a landing place that exists only in memory: for each drop with quarantined lines,
one synthetic drop named `replay/<shard>-<entry>-<drop index>` that holds those lines in their order, and one
more for each record that cannot be a line. It goes into the ledger under that name, so each quarantined line is
followed from entry to entry. Replaying twice changes nothing: what was replayed is found sealed, and what would
only be quarantined again is not sealed again. No landing place lists an ETag that is the drop's own SHA-256,
so nobody else can land a replay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from flows import pipeline
from flows.receipts import BatchReceipt, CheckpointReceipt
from flows.shards import current_shard
from flows.wiring import Runtime
from tasks.batch import Drop
from tasks.errors import NotFoundError
from tasks.redact.quarantine import decrypt_lines
from tasks.storage.protocol import ObjectInfo

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

PREFIX = "replay/"
# Quarantined lines that can be read, and that neither a replay nor a discard has taken up.
OPEN_LINES = """
WITH replayed AS (SELECT source, regexp_extract(key, '^replay/([0-9]+-[0-9]+-[0-9]+)', 1) AS target
                  FROM drops WHERE key LIKE 'replay/%' AND etag = sha256),
open_lines AS (
    SELECT a.*, d.index FROM set_aside a JOIN drops d USING (shard, entry, key)
    ANTI JOIN erased_lines e ON e.drop_sha256 = d.sha256 AND e.line = a.line
    ANTI JOIN discards x ON x.shard = a.shard AND x.entry = a.entry
    ANTI JOIN replayed p ON p.source = a.source AND p.target = a.shard || '-' || a.entry || '-' || d.index
    WHERE a.disposition = 'quarantined')
"""
_OF_DAY = ("day_quarantined", "day_accepted")
# What came in and what was set aside, by source and day of sealing. Lines of a replay had come in before.
_DAYS = """
days AS (SELECT b.source, b.sealed_at[:10] AS day, sum(d.quarantined)::BIGINT AS day_quarantined,
                sum(d.accepted)::BIGINT AS day_accepted
         FROM batches b JOIN drops d USING (shard, entry)
         WHERE NOT (d.key LIKE 'replay/%' AND d.etag = d.sha256) GROUP BY ALL)
"""
_GZIP = b"\x1f\x8b"


@dataclass
class MemoryLanding:
    """A read-only landing place in memory. Quarantined raw bytes are decrypted into it and nowhere else."""

    contents: dict[str, bytes] = field(default_factory=dict)
    uri: str = "memory:replay"

    def add(self, source: str, key: str, data: bytes, landed_us: int) -> Drop:
        """Put a drop in; its ETag is its digest, so an equal drop is recognised without being read."""
        self.contents[key] = data
        return Drop(source, key, len(data), hashlib.sha256(data).hexdigest(), None, landed_us)

    def read(self, path: str, version_id: str | None = None) -> bytes:
        """The bytes of a drop."""
        del version_id
        if path not in self.contents:
            raise NotFoundError(f"{path} is not part of this replay")
        return self.contents[path]

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """Nothing is listed: a replay names its drops."""
        del prefix, start_after
        return iter(())


def open_items(catalog: Catalog, source: str | None = None) -> list[dict[str, Any]]:
    """Quarantined lines that are open, by entry and rule; see `OPEN_LINES`. The catalog must have its views.

    Each has what its source set aside and accepted on the day of sealing: one bad drop, or a broken sender?
    """
    rows = catalog.connection.execute(
        f"""{OPEN_LINES}, {_DAYS}
        SELECT s.source, s.shard, s.entry, b.sealed_at, b.held, rule,
               count(*) AS lines, count(DISTINCT s.key) AS drops,
               coalesce(t.day_quarantined, 0), coalesce(t.day_accepted, 0)
        FROM open_lines s JOIN batches b USING (shard, entry)
        LEFT JOIN days t ON t.source = s.source AND t.day = b.sealed_at[:10], unnest(s.rules) AS r(rule)
        WHERE (? IS NULL OR s.source = ?)
        GROUP BY ALL ORDER BY s.shard, s.entry, lines DESC, rule
        """,
        [source, source],
    ).fetchall()
    names = ("source", "shard", "entry", "sealed_at", "held", "rule", "lines", "drops", *_OF_DAY)
    return [dict(zip(names, row, strict=True)) for row in rows]


def show(catalog: Catalog, entry: int, shard: int | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """Where the quarantined lines of an entry stand in their drops, and why they are there. No content.

    `state` is `encrypted`, `erased` where the line's key was destroyed, or `discarded`.
    """
    rows = catalog.connection.execute(
        """
        SELECT s.source, s.shard, s.entry, key, s.line, "offset", rules,
               CASE WHEN e.line IS NOT NULL THEN 'erased' WHEN x.entry IS NOT NULL THEN 'discarded'
                    ELSE 'encrypted' END
        FROM set_aside s JOIN drops d USING (shard, entry, key)
        LEFT JOIN erased_lines e ON e.drop_sha256 = d.sha256 AND e.line = s.line
        LEFT JOIN (SELECT DISTINCT shard, entry FROM discards) x ON x.shard = s.shard AND x.entry = s.entry
        WHERE disposition = 'quarantined' AND s.entry = ? AND (? IS NULL OR s.shard = ?)
        ORDER BY s.shard, key, s.line LIMIT ?
        """,
        [entry, shard, shard, limit],
    ).fetchall()
    names = ("source", "shard", "entry", "key", "line", "offset", "rules", "state")
    return [dict(zip(names, row, strict=True)) for row in rows]


def replay(
    runtime: Runtime,
    source: str,
    entries: Sequence[int] | None = None,
    progress: pipeline.Progress = lambda _: None,
) -> tuple[list[BatchReceipt], CheckpointReceipt]:
    """Send a source's open quarantined lines through the stages again, under the contract as it is now.

    Args:
        runtime: the deployment.
        source: whose quarantine.
        entries: only these log entries of the current shard; None for all that is open.
        progress: is told what is left out, since nobody can read it any more.
    """
    current = current_shard(runtime)
    with runtime.catalog() as catalog:
        catalog.create_views(runtime.contracts())  # over what was sealed since the last publication, too
        receipts: list[BatchReceipt] = []
        wanted = sorted({(i["shard"], i["entry"]) for i in open_items(catalog, source)})
        for shard, entry in wanted:
            if entries is not None and (shard != current or entry not in entries):
                continue
            landing = MemoryLanding()
            drops, erased = _synthetic_drops(runtime, catalog, source, shard, entry, landing)
            if erased:
                progress(f"entry {shard}-{entry}: {erased:,} erased lines are left out")
            receipts += pipeline.deliver_batch(runtime, source, drops, catalog, landing=landing)
        return receipts, pipeline.publish(runtime, catalog)


def _synthetic_drops(
    runtime: Runtime, catalog: Catalog, source: str, shard: int, entry: int, landing: MemoryLanding
) -> tuple[list[Drop], int]:
    """What can be read of an entry's quarantined lines, as drops, and how many lines are erased."""
    digests = dict(
        catalog.connection.execute(
            "SELECT index, sha256 FROM drops WHERE shard = ? AND entry = ?", [shard, entry]
        ).fetchall()
    )
    sealed_us = int(datetime.fromisoformat(catalog.sealed_at(shard, entry)).timestamp() * 1e6)
    drops, erased = [], 0
    for index, rows in groupby(catalog.quarantined_raw(shard, entry), key=itemgetter(0)):
        texts = {line: raw for _, line, raw in rows}
        together: list[bytes] = []
        for line, data in decrypt_lines(texts, digests[index], runtime.keyring).items():
            # A drop held whole, or a record that spans lines of its document, cannot be one line of many.
            if data is None:
                erased += 1
            elif data.startswith(_GZIP) or b"\n" in data:
                drops.append(landing.add(source, f"{PREFIX}{shard}-{entry}-{index}/{line}", data, sealed_us))
            else:
                together.append(data)
        if together:
            lines = b"\n".join(together) + b"\n"
            drops.append(landing.add(source, f"{PREFIX}{shard}-{entry}-{index}", lines, sealed_us))
    return sorted(drops, key=lambda drop: drop.key), erased
