"""`indelible redaction check|canary`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from secrets import token_hex
from typing import Annotated

import typer
from rich.table import Table

from flows import canary, leaks
from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working

app = typer.Typer(
    help="Find out whether redaction holds: plant made-up data, search what is sealed.", no_args_is_help=True
)
_SHOWN = 40
Day = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Only events from or to this day.", show_default=False),
]


@app.command()
def check(
    source: Annotated[str | None, typer.Argument(help="Only this source.", show_default=False)] = None,
    since: Day = None,
    until: Day = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Search sealed data files for personal data and credentials that redaction left. Nothing is changed.

    Exit code 3 when something is found.
    """
    runtime = runtime_with(store=store, endpoint=endpoint)
    days = (since and since.date(), until and until.date())
    with working(as_json, "reading the log") as say:
        result = leaks.search_sealed(runtime, source, *days, progress=say)
    if as_json:
        print_json(asdict(result))
    else:
        _print(result)
    result.raise_any()
    if not as_json:
        out.print(f"[green]nothing found[/] in {result.rows:,} records of {result.files:,} sealed files")
        next_step("indelible redaction canary app")


@app.command("canary")
def canary_(
    source: Annotated[str, typer.Argument(help="Whose contract and stages to try.")],
    seed: Annotated[
        str | None,
        typer.Option(help="Decides the values, each time others; drawn when not given.", show_default=False),
    ] = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Deliver a record full of made-up personal data and credentials, and search all that was stored for them.

    The record is sealed in the log like any other, under a key that begins with `canary/`. Exit code 3 when a value
    survives.
    """
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "planting") as say:
        flight = canary.release(runtime, source, seed or token_hex(16), say)
    if as_json:
        print_json({**asdict(flight), "sentence": flight.sentence})
    else:
        out.print(f"{'[red]failed[/]' if flight.survivors else '[green]passed[/]'}: {flight.sentence}")
    flight.raise_any()
    if not as_json:
        next_step(f'indelible query "SELECT * FROM redactions WHERE entry = {flight.entry} AND texts > 0"')


def _print(result: leaks.Rescan) -> None:
    if not result.leaks:
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("entry", "source", "field", "kind", "rows", "first in drop", "line"):
        table.add_column(name, justify="right" if name in {"rows", "line"} else "left")
    for leak in result.leaks[:_SHOWN]:
        place = (f"{leak.shard}-{leak.entry}", leak.source, leak.field, leak.detector)
        table.add_row(*place, f"{leak.rows:,}", leak.key, str(leak.line))
    out.print(table)
    if len(result.leaks) > _SHOWN:
        out.print(f"{len(result.leaks) - _SHOWN:,} more; --json shows all")
