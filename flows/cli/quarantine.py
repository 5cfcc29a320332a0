"""`indelible quarantine list|show|replay`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from flows import quarantine
from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working
from flows.cli.run import print_receipts

app = typer.Typer(
    help="See what was set aside and why; send it through again after a fix.", no_args_is_help=True
)


@app.command("list")
def list_(
    source: Annotated[str | None, typer.Argument(help="Only this source.", show_default=False)] = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Quarantined lines that no replay has taken up, by entry and rule."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "reading the log"), runtime.catalog() as catalog:
        catalog.create_views(runtime.contracts())
        items = quarantine.open_items(catalog, source)
    if as_json:
        print_json(items)
        return
    _print(
        items,
        ("source", "shard", "entry", "sealed_at", "held", "rule", "lines", "drops"),
        "nothing is quarantined",
    )
    if items:
        next_step(f"indelible quarantine show {items[0]['entry']}")


@app.command()
def show(
    entry: Annotated[int, typer.Argument(help="A log entry, as `quarantine list` names it.")],
    shard: Annotated[int | None, typer.Option(help="The year of the log.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="Lines to show.")] = 50,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Where an entry's quarantined lines stand in their drops, and why. Their content stays encrypted."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "reading the log"), runtime.catalog() as catalog:
        catalog.create_views(runtime.contracts())
        items = quarantine.show(catalog, entry, shard, limit)
    if as_json:
        print_json(items)
        return
    _print(
        items,
        ("key", "line", "offset", "length", "rules", "state"),
        f"entry {entry} has no quarantined lines",
    )
    if items:
        next_step(
            f"correct the contract or the sender, then: indelible quarantine replay {items[0]['source']}"
        )


@app.command()
def replay(
    source: Annotated[str, typer.Argument(help="Whose quarantine.")],
    entry: Annotated[
        list[int] | None, typer.Option(help="Only these log entries.", show_default=False)
    ] = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Send quarantined lines through the stages again, under the contract as it is now."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    left_out: list[str] = []
    with working(as_json, f"replaying the quarantine of {source}"):
        receipts, checkpoint = quarantine.replay(runtime, source, entry or None, left_out.append)
    if as_json:
        batches = [r.as_json() for r in receipts]
        print_json({"batches": batches, "checkpoint": checkpoint.as_json(), "left_out": left_out})
    else:
        for line in left_out:
            out.print(line)
        print_receipts(receipts, checkpoint)
        next_step("indelible verify")


def _print(items: list[dict[str, object]], names: tuple[str, ...], empty: str) -> None:
    if not items:
        out.print(empty)
        return
    table = Table(*names, box=None, pad_edge=False)
    for item in items:
        table.add_row(*(", ".join(v) if isinstance(v := item[name], list) else str(v) for name in names))
    out.print(table, soft_wrap=False)
