"""The operator's command, `indelible`. One module a group of commands; what they do lies in flows and tasks."""

from __future__ import annotations

import sys

from rich.console import Console

from tasks.errors import IndelibleError


def main() -> None:
    """Run the command. Errors that we raise on purpose become one sentence, a next step and an exit code."""
    from flows.cli.app import app

    try:
        app()
    except IndelibleError as error:
        console = Console(stderr=True)
        console.print(f"[bold red]error:[/] {_plain(str(error))}", soft_wrap=True, highlight=False)
        if error.next_step:
            console.print(f"[bold]next:[/]  {_plain(error.next_step)}", soft_wrap=True, highlight=False)
        sys.exit(error.exit_code)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
