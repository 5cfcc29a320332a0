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
NamesFile = Annotated[
    Path | None,
    typer.Option(
        "--ids",
        help="A file of the person's names, one a line; - for standard input. Without it they are asked for.",
        show_default=False,
    ),
]


@app.command()
def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="The archive to write (.zip).")],
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
    names = identifiers(names_file)
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "looking the person up") as say:
        done = subject_access.export_subject(
            runtime,
            names,
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


def identifiers(file: Path | None) -> list[str]:
    """The names of one person: from a file, from standard input, or typed where nobody sees them.

    None is an argument of the command: `ps` and the shell's history would show it.

    Raises:
        UsageError: there is none, there are too many, or the file cannot be read.
    """
    return subject_access.read_identifiers(_typed() if file is None else _lines(file))


def _typed() -> list[str]:
    """Lines from the terminal, which it does not show; none where there is no terminal."""
    names: list[str] = []
    while sys.stdin.isatty() and len(names) < subject_access.MAX_IDENTIFIERS:
        asked = "Another of their names (none: Enter)" if names else "A name of the person (not shown)"
        name = typer.prompt(asked, default="", show_default=False, hide_input=True, err=True).strip()
        if not name:
            break
        names.append(name)
    return names


def _lines(file: Path) -> list[str]:
    try:
        if str(file) == "-":
            return sys.stdin.read(subject_access.MAX_INPUT_BYTES).splitlines()
        with file.open(encoding="utf-8") as opened:
            return opened.read(subject_access.MAX_INPUT_BYTES).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as text", next_step="Check --ids.") from error
