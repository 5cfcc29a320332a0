"""`indelible subject ...`: what a person may ask for, and what may be asked about one."""

from __future__ import annotations

import typer

from flows.cli import subject_access

app = typer.Typer(
    help="Give a person what is stored of them. Each act is sealed in the log.", no_args_is_help=True
)
app.add_typer(subject_access.app)
