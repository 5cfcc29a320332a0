"""`indelible quarantine list|show|replay|discard`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table

from flows import discards, quarantine
from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working
from flows.cli.hold import Approver, Reason, RequestedBy, order_of
from flows.cli.run import print_receipts

app = typer.Typer(
    help="See what was set aside and why; send it through again after a fix, or discard it.",
    no_args_is_help=True,
)


@app.command("list")
def list_(
    source: Annotated[str | None, typer.Argument(help="Only this source.", show_default=False)] = None,
    discarded: Annotated[
        bool, typer.Option("--discarded", help="What was discarded instead, by whom and why.")
    ] = False,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Quarantined lines that no replay has taken up, by entry and rule, with their age and the day's rate."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "reading the log"), runtime.catalog() as catalog:
        catalog.create_views(runtime.contracts())
        items = [_with_age(item, runtime.store.now()) for item in quarantine.open_items(catalog, source)]
        gone = discards.list_discards(catalog, source)
    if as_json:
        print_json(gone if discarded else items)
        return
    if discarded:
        names = ("source", "shard", "entry", "lines", "sealed_at", "requested_by", "approver", "reason")
        _print(gone, names, "nothing was discarded")
        return
    _print(
        [{**item, "age": _words(item["age_s"]), "that day": _rate(item)} for item in items],
        ("source", "shard", "entry", "age", "held", "rule", "lines", "drops", "that day"),
        "nothing is quarantined",
    )
    if gone:
        lines = sum(item["lines"] for item in gone)
        out.print(f"discarded, and not listed: {lines:,} lines; see them with --discarded")
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
        ("key", "line", "offset", "rules", "state"),
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


@app.command()
def discard(
    entry: Annotated[int, typer.Argument(help="A log entry, as `quarantine list` names it.")],
    approver: Approver,
    reason: Reason,
    requested_by: RequestedBy = None,
    shard: Annotated[int | None, typer.Option(help="The year of the log.", show_default=False)] = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Give up an entry's open quarantined lines: two people agree, and it is sealed. They stay in the proof."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    order = order_of(approver, requested_by, reason)
    with working(as_json, f"discarding what is open of entry {entry}"):
        (year, index), body = discards.discard(runtime, entry, shard, order)
    if as_json:
        print_json({"shard": year, "entry": index, **body})
        return
    out.print(
        f"discarded: {body['lines']:,} quarantined lines of entry {entry}; sealed as entry {index} of {year}"
    )
    next_step("indelible quarantine list --discarded")


def _with_age(item: dict[str, Any], now: datetime) -> dict[str, Any]:
    sealed = datetime.fromisoformat(item["sealed_at"]).astimezone(UTC)
    return {**item, "age_s": max(0, int((now - sealed).total_seconds()))}


def _words(seconds: int) -> str:
    """`3 d 4 h`, `12 min`."""
    age = timedelta(seconds=seconds)
    hours, minutes = age.seconds // 3600, age.seconds // 60 % 60
    return (
        f"{age.days} d {hours} h" if age.days else f"{hours} h {minutes} min" if hours else f"{minutes} min"
    )


def _rate(item: dict[str, Any]) -> str:
    """What the source set aside of all lines that came in on the day of sealing."""
    aside, came = item["day_quarantined"], item["day_quarantined"] + item["day_accepted"]
    return f"{aside:,} of {came:,} ({100 * aside / came:.1f} %)" if came else "only replays"


def _print(items: list[dict[str, object]], names: tuple[str, ...], empty: str) -> None:
    if not items:
        out.print(empty)
        return
    table = Table(*names, box=None, pad_edge=False)
    for item in items:
        table.add_row(*(", ".join(v) if isinstance(v := item[name], list) else str(v) for name in names))
    out.print(table, soft_wrap=False)
