"""`indelible subject export`: what is stored of one person, for that person."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import subject_access
from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working
from flows.cli.hold import RequestedBy
from tasks.errors import UsageError

app = typer.Typer()
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--id",
        help="A name of the person; visible in `ps` and the shell's history, so better give --ids. Repeatable.",
        show_default=False,
    ),
]
NamesFile = Annotated[
    Path | None,
    typer.Option("--ids", help="A file of such names, one a line; - for standard input.", show_default=False),
]


@app.command()
def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="The archive to write (.zip).")],
    names: Names = None,
    names_file: NamesFile = None,
    skip_quarantine: Annotated[
        bool, typer.Option("--skip-quarantine", help="Do not look through the lines that were set aside.")
    ] = False,
    requested_by: RequestedBy = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Write an archive of what is sealed about one person: a page to read, tables, and a proof of each record."""
    identifiers = subject_access.read_identifiers(names or (), lines_of(names_file))
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "looking the person up") as say:
        done = subject_access.export_subject(
            runtime,
            identifiers,
            output,
            requested_by or getpass.getuser(),
            progress=say,
            quarantine=not skip_quarantine,
        )
    if as_json:
        print_json(
            {
                "file": str(output),
                "records": done.records,
                "sources": dict(done.sources),
                "quarantined": None if done.quarantined is None else dict(done.quarantined),
                "entry": done.entry,
                "bytes": done.size,
            }
        )
        return
    per_source = ", ".join(f"{count:,} of {source}" for source, count in done.sources.items())
    out.print(
        f"{output} ({done.size:,} bytes): {done.records:,} records"
        + (f" ({per_source})" if per_source else "")
    )
    if done.quarantined:
        out.print(
            f"{sum(done.quarantined.values()):,} lines set aside mention the person; they are counted, not included."
        )
    out.print(f"That they were given out is sealed, without a name: {done.entry}.")
    out.print("The archive holds the person's own values in clear. Give it to them and to nobody else.")
    next_step(f"open {output} and read index.html, then hand it over")


def lines_of(file: Path | None) -> list[str]:
    """Lines of a file, or of standard input, so that no name lands in the shell's history.

    Raises:
        UsageError: it cannot be read.
    """
    if file is None:
        return []
    try:
        if str(file) == "-":
            return sys.stdin.read(subject_access.MAX_INPUT_BYTES).splitlines()
        with file.open(encoding="utf-8") as opened:
            return opened.read(subject_access.MAX_INPUT_BYTES).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as text", next_step="Check --ids.") from error
