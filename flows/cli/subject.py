"""`indelible subject ...`: what a person may ask for, and what may be asked about one."""

from __future__ import annotations

import typer

from flows.cli import erase, reidentify, subject_access

app = typer.Typer(
    help="Give a person what is stored of them, or forget the person; each act is sealed in the log.",
    no_args_is_help=True,
)
app.add_typer(subject_access.app)
app.add_typer(erase.app, name="erase")
app.add_typer(reidentify.app, name="reidentify")
