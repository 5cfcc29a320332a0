"""`indelible deliver`, `backfill`, `status`: the main job in this process, without a Prefect server."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from flows import pipeline
from flows.cli.common import (
    AsJson,
    Endpoint,
    Landing,
    Store,
    next_step,
    out,
    print_json,
    runtime_with,
    working,
)
from flows.receipts import BatchReceipt, CheckpointReceipt
from tasks.errors import HeldBatchError, UsageError

Source = Annotated[str, typer.Argument(help="A source that has a contract, for example cloudtrail.")]


def deliver(
    source: Source,
    landing: Landing = None,
    store: Store = None,
    endpoint: Endpoint = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day of drops.", show_default=False)
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day after the last.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Deliver everything new of SOURCE: read, validate, redact, seal, publish."""
    window = pipeline.Window(_day(since), _day(until))
    _run(source, window, landing, store, endpoint, as_json)


def backfill(
    source: Source,
    since: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day of drops.")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day of drops.")],
    landing: Landing = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Deliver what is unsealed of SOURCE between two days, both included."""
    if until < since:
        raise UsageError("--until lies before --since", next_step="Swap the two dates.")
    window = pipeline.Window(since.date(), until.date() + timedelta(days=1))
    _run(source, window, landing, store, endpoint, as_json)


def status(store: Store = None, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """Show what is sealed, what was quarantined, and the newest checkpoint."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "reading the log"), runtime.catalog() as catalog:
        report = catalog.status()
    report["store"] = {"uri": runtime.store.uri, "worm": runtime.store.worm}
    if as_json:
        print_json(report)
        return
    out.print(f"store  {runtime.store.uri}  {'WORM' if runtime.store.worm else '[yellow]not WORM[/]'}")
    out.print(_sources_table(report["sources"]))
    for shard in report["shards"]:
        out.print(
            f"log {shard['shard']}: {shard['entries']} entries, {shard['unintegrated']} not in a checkpoint yet"
        )
    next_step("indelible verify")


def _run(
    source: str,
    window: pipeline.Window,
    landing: str | None,
    store: str | None,
    endpoint: str | None,
    as_json: bool,
) -> None:
    runtime = runtime_with(store=store, landing=landing, endpoint=endpoint, source=source)
    with working(as_json, f"looking for new drops of {source}") as progress:
        receipts, checkpoint = pipeline.deliver(runtime, source, window, progress)
    if as_json:
        print_json({"batches": [r.as_json() for r in receipts], "checkpoint": checkpoint.as_json()})
    else:
        print_receipts(receipts, checkpoint)
        next_step("indelible query 'SELECT * FROM access_events LIMIT 10'")
    held = [r for r in receipts if r.held]
    if held:
        raise HeldBatchError(
            f"{len(held)} of {len(receipts)} batches of {source} failed their contract and are held in quarantine",
            next_step="Run `indelible quarantine list`, correct the contract or the sender, then `quarantine replay`.",
        )


def print_receipts(receipts: list[BatchReceipt], checkpoint: CheckpointReceipt) -> None:
    """What a run did, for people."""
    if not receipts:
        out.print("nothing new: every drop in the landing place is sealed")
    for r in receipts:
        colour = "red" if r.held else "green"
        out.print(
            f"[{colour}]{'held' if r.held else 'sealed'}[/] {r.source} entry {r.entry}: {r.drops} drops,"
            f" {r.lines:,} lines = "
            f"{r.accepted:,} accepted + {r.quarantined:,} quarantined + {r.duplicate:,} duplicate + {r.blank:,} blank"
        )
        for rule, count in r.rules.items():
            out.print(f"    {count:>8,}  {rule}")
    out.print(f"checkpoint {checkpoint.origin} size {checkpoint.size} root {checkpoint.root}")


def _sources_table(rows: list[dict[str, object]]) -> Table:
    names = (
        "source",
        "batches",
        "drops",
        "lines",
        "accepted",
        "quarantined",
        "duplicate",
        "blank",
        "held",
        "first",
        "last",
    )
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="left" if name in {"source", "first", "last"} else "right")
    for row in rows:
        table.add_row(*(f"{v:,}" if isinstance(v := row.get(name), int) else str(v or "") for name in names))
    return table


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()
