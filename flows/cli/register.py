"""`indelible register`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from flows import register as records
from flows.cli.common import AsJson, next_step, out, print_json
from flows.settings import load_settings
from tasks.errors import ContractError
from tasks.export.register import Gap, gaps

PAGE = Path("register.html")


def register(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file to write; with --json or --csv, standard output."),
    ] = None,
    as_html: Annotated[bool, typer.Option("--html", help="A page for people; the default.")] = False,
    as_json: AsJson = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="A table: one line a category and treatment.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Only say what contracts leave out.")] = False,
) -> None:
    """Make the record of processing activities (GDPR, Article 30) from the contracts, with a page for everyone.

    What a contract does not state is called "not stated in the contract". With --check, exit code 3 when something is
    left out.
    """
    if as_html + as_json + as_csv > 1:
        raise typer.BadParameter("give one of --html, --json and --csv")
    found = records.activities(load_settings())
    missing = gaps(found)
    if check:
        _check(missing, len(found), as_json=as_json)
        return
    form = "json" if as_json else "csv" if as_csv else "html"
    target = output or (PAGE if form == "html" else None)
    if target is None:
        sys.stdout.buffer.write(records.FORMATS[form](found))
        return
    size = records.write(found, target, form)
    out.print(f"[green]{target}[/]: {len(found)} sources, {size:,} bytes")
    if missing:
        out.print(f"[yellow]{len(missing)} statements are missing in the contracts[/]")
        next_step("indelible register --check")


def _check(missing: list[Gap], sources: int, *, as_json: bool) -> None:
    if as_json:
        print_json([{"source": gap.source, "what": gap.what, "where": gap.where} for gap in missing])
    elif missing:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in ("source", "not stated", "belongs into"):
            table.add_column(name)
        for gap in missing:
            table.add_row(gap.source, gap.what, gap.where)
        out.print(table)
    if missing:
        raise ContractError(
            f"{len(missing)} statements are missing in the contracts of {sources} sources",
            next_step="Add them to the contracts; data_contracts/README.md says how. Nobody else can know them.",
        )
    if not as_json:
        out.print(f"[green]complete[/]: the contracts of {sources} sources state everything")
        next_step("indelible register -o register.html")
