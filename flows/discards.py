"""Discarding what is in quarantine: decided by two people, sealed as an entry, and still there to be shown."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flows import pipeline
from flows.entries import append_made
from flows.holding import Order
from flows.inventories import require_appender
from flows.quarantine import OPEN_LINES
from flows.wiring import Runtime
from tasks.errors import UsageError

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog


def discard(
    runtime: Runtime, entry: int, shard: int | None, order: Order
) -> tuple[tuple[int, int], dict[str, Any]]:
    """Seal that the open quarantined lines of a batch are not taken up again.

    Args:
        runtime: the deployment.
        entry: of the batch, as `open_items` names it.
        shard: year of its log; None where only one has such an entry with open lines.
        order: who asks, who approves, and why.

    Returns:
        Shard and index of the entry, and its body.

    Raises:
        UsageError: nothing of that entry is open, the year is needed, or requester and approver are one.
    """
    order.check()
    require_appender(runtime)
    with runtime.catalog() as catalog:

        def make(_: int) -> dict[str, Any] | None:
            catalog.create_views(runtime.contracts())
            found = _open_batches(catalog, entry, shard)
            if len(found) > 1:
                raise UsageError(
                    f"entry {entry} is open in several years", next_step="Name the year by --shard."
                )
            return {"action": "discard", **asdict(order), **found[0]} if found else None

        appended = append_made(runtime, catalog, "disposition", make)
        if appended is None:
            raise UsageError(
                f"entry {entry} has no open quarantined lines", next_step="indelible quarantine list"
            )
        pipeline.publish(runtime, catalog)
    return appended[0], dict(appended[1])


def list_discards(catalog: Catalog, source: str | None = None) -> list[dict[str, Any]]:
    """What was discarded, the oldest first. The catalog must have its views."""
    names = ("source", "shard", "entry", "lines", "reason", "requested_by", "approver", "sealed_at")
    rows = catalog.connection.execute(
        f"SELECT {', '.join(names)} FROM discards WHERE (? IS NULL OR source = ?)"
        " ORDER BY discard_shard, discard_entry",
        [source, source],
    ).fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


def _open_batches(catalog: Catalog, entry: int, shard: int | None) -> list[dict[str, Any]]:
    rows = catalog.connection.execute(
        f"{OPEN_LINES} SELECT o.shard, o.source, any_value(e.leaf), count(*)"
        " FROM open_lines o JOIN entries e USING (shard, entry)"
        " WHERE o.entry = ? AND (? IS NULL OR o.shard = ?) GROUP BY o.shard, o.source",
        [entry, shard, shard],
    ).fetchall()
    return [
        {"batch": {"entry": entry, "leaf": leaf, "shard": year, "source": source}, "lines": lines}
        for year, source, leaf, lines in rows
    ]
