"""All commands, put together."""

from __future__ import annotations

import typer

from flows.cli import (
    custody,
    demo,
    evidence,
    hold,
    key,
    lake,
    machine,
    quarantine,
    retention,
    run,
    sequencer,
    store,
    witness,
)

app = typer.Typer(
    name="indelible",
    help="Raw access-log drops in; sealed, queryable, provable evidence out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
)
app.command("demo")(demo.demo)
app.command("up")(machine.up)
app.command("down")(machine.down)
app.command("deliver")(run.deliver)
app.command("backfill")(run.backfill)
app.command("status")(run.status)
app.command("verify")(evidence.verify)
app.command("prove")(evidence.prove)
app.command("export")(evidence.export)
app.command("query")(lake.query)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(hold.app, name="hold")
app.add_typer(key.app, name="key")
app.add_typer(retention.app, name="retention")
app.add_typer(store.app, name="store")
app.add_typer(custody.app, name="custody")
app.add_typer(sequencer.app, name="sequencer")
app.add_typer(witness.app, name="witness")
