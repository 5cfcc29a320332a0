"""`indelible deliver`, `backfill`, `status`: the main job in this process, without a Prefect server."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table

from flows import pipeline, retention, witnessing
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
from flows.glance import Fact, counted, glance
from flows.poison import SuspectDropsError
from flows.receipts import BatchReceipt, CheckpointReceipt
from tasks.errors import HeldBatchError, UsageError, VerificationError
from tasks.redact import REDACTION_LEAK

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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be locked, and until when.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Deliver everything new of SOURCE: read, validate, redact, seal, publish."""
    window = pipeline.Window(_day(since), _day(until))
    if dry_run:
        show_plan(source, window, landing, store, endpoint, as_json)
        return
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
    """Show whether it works, what is sealed, what was quarantined, and the newest checkpoint."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "reading the log"):
        with runtime.catalog() as catalog:
            report = catalog.status()
        facts = glance(runtime)
    report["glance"] = [fact.as_json() for fact in facts]
    report["store"] = {"uri": runtime.store.uri, "worm": runtime.store.worm}
    witnessed = {shard["shard"]: witnessing.state(runtime, shard["shard"]) for shard in report["shards"]}
    report["witnessed"] = {
        year: {"size": state.size, "at": state.at} for year, state in witnessed.items() if state is not None
    }
    if as_json:
        print_json(report)
        return
    out.print(f"store  {runtime.store.uri}  {'WORM' if runtime.store.worm else '[yellow]not WORM[/]'}")
    _print_glance(facts)
    out.print(_sources_table(report["sources"]))
    for row in report["sources"]:
        days = f"{row['first']} to {row['last']}" if row["first"] else "none"
        batches = counted(row["batches"], "batch", "batches")
        out.print(f"{row['source']}: {batches}, last sealed {row['last_sealed']}, event dates {days}")
    for shard in report["shards"]:
        out.print(
            f"log {shard['shard']}: {shard['entries']} entries, {shard['unintegrated']} not in a checkpoint yet"
        )
        if (state := witnessed[shard["shard"]]) is not None:
            out.print(f"  {witnessing.sentence(runtime, state)}")
    next_step(next((fact.step for fact in facts if fact.step), "indelible verify"))


def _print_glance(facts: list[Fact]) -> None:
    look = [fact for fact in facts if not fact.good]
    out.print(
        f"[yellow]somebody should look[/] at {len(look)} of {len(facts)}" if look else "[green]all is well[/]"
    )
    width = max(len(fact.about) for fact in facts)
    for fact in facts:
        out.print(
            f"  {'[green]ok[/]  ' if fact.good else '[yellow]look[/]'}  {fact.about:<{width}}  {fact.says}"
        )
    out.print()


def _run(
    source: str,
    window: pipeline.Window,
    landing: str | None,
    store: str | None,
    endpoint: str | None,
    as_json: bool,
) -> None:
    runtime = runtime_with(store=store, landing=landing, endpoint=endpoint, source=source)
    suspects: SuspectDropsError | None = None
    with working(as_json, f"looking for new drops of {source}") as progress:
        try:
            receipts, checkpoint = pipeline.deliver(runtime, source, window, progress)
        except SuspectDropsError as error:
            receipts, checkpoint, suspects = error.receipts, error.checkpoint, error
    if as_json:
        print_json({"batches": [r.as_json() for r in receipts], "checkpoint": checkpoint.as_json()})
    else:
        print_receipts(receipts, checkpoint, complete=suspects is None)
        if suspects is None:
            next_step("indelible query 'SELECT * FROM access_events LIMIT 10'")
    if checkpoint.contradicted:
        raise VerificationError(
            "checkpoint-inconsistent",
            f"a witness has seen another history of {checkpoint.origin}",
            next_step="Do not deliver. Ask the witness for its evidence, run `indelible verify`, compare with a copy.",
        )
    if suspects is not None:
        raise suspects
    held = [r for r in receipts if r.held]
    if held:
        raise HeldBatchError(
            f"{len(held)} of {len(receipts)} batches of {source} failed their contract and are held in quarantine",
            next_step="Run `indelible quarantine list`, correct the contract or the sender, then `quarantine replay`.",
        )


def show_plan(
    source: str,
    window: pipeline.Window,
    landing: str | None,
    store: str | None,
    endpoint: str | None,
    as_json: bool,
) -> None:
    """What delivering would lock. Nothing is written."""
    runtime = runtime_with(store=store, landing=landing, endpoint=endpoint, source=source)
    with working(as_json, f"listing new drops of {source}"):
        plan = retention.plan(runtime, source, window)
    if as_json:
        print_json(plan.as_json())
        return
    worm = (
        "COMPLIANCE locks: nobody can end them early"
        if plan.worm
        else "[yellow]not WORM: nothing is locked[/]"
    )
    out.print(f"{source}  class {plan.retention_class}  {runtime.store.uri}  {worm}")
    out.print(f"{plan.drops:,} new drops, {plan.bytes:,} bytes in the landing place")
    table = Table("kind", "days", "until", "rule", "bytes, estimated", box=None, pad_edge=False)
    for decision in plan.decisions:
        size = plan.estimate.get(decision.kind)
        until = f"{plan.until[decision.kind]:%Y-%m-%d}"
        table.add_row(
            decision.kind,
            f"{decision.days:,}",
            until,
            decision.rule,
            "small" if size is None else f"{size:,}",
        )
    out.print(table)
    for decision in plan.decisions:
        out.print(f"{decision.kind}: {'; '.join(decision.reasons)}")
    if not plan.measured:
        out.print("bytes are a first guess: nothing of this source is sealed yet")
    next_step(f"indelible deliver {source}")


def print_receipts(
    receipts: list[BatchReceipt], checkpoint: CheckpointReceipt, *, complete: bool = True
) -> None:
    """What a run did, for people; `complete` unless it left drops unsealed."""
    if not receipts and complete:
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
        if leaked := r.rules.get(REDACTION_LEAK):
            out.print(
                f"[yellow]{leaked:,} lines set aside:[/] the contract would have published personal data or"
                " a credential"
            )
            next_step(
                f'indelible query "SELECT field, detector, leaks FROM redactions WHERE entry = {r.entry} AND leaks > 0"'
            )
    out.print(f"checkpoint {checkpoint.origin} size {checkpoint.size} root {checkpoint.root}")
    for path in checkpoint.lost:
        out.print(f"[red]missing[/] {path}: it is sealed and not in the store; queries go on without it")
    if checkpoint.lost:
        next_step("indelible verify")
    warn_unheld(checkpoint)
    warn_unconfirmed(checkpoint)


def warn_unconfirmed(checkpoint: CheckpointReceipt) -> None:
    """Say which witness has not cosigned, and why there is no time-stamp. Both are asked for again next time."""
    for name, problem in checkpoint.unwitnessed.items():
        out.print(f"[yellow]not cosigned yet[/] by {name}: {problem}")
    if checkpoint.untimestamped:
        out.print(f"[yellow]no time-stamp yet:[/] {checkpoint.untimestamped}")


def warn_unheld(checkpoint: CheckpointReceipt) -> None:
    """Say that legal holds still have to be put on what is new, and by what command."""
    if checkpoint.unheld:
        out.print(f"[yellow]legal holds are not applied yet:[/] {checkpoint.unheld}")
        next_step("indelible hold list --repair, with credentials that may set legal holds")


def _sources_table(rows: list[dict[str, Any]]) -> Table:
    names = ("drops", "lines", "accepted", "quarantined", "duplicate", "blank", "held")
    table = Table("source", box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row["source"], *(f"{row[name]:,}" for name in names))
    return table


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()
