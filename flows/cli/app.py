"""All commands, put together. A command's module is imported when the command is called.

Most of them need libraries that take a second to load, and the list of commands needs none of those.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

# Name: module and object below flows.cli, and the line that the list of commands shows.
COMMANDS = {
    "demo": (
        "demo:demo",
        "Deliver bundled sample logs into a real WORM store, prove one record, and try to cheat.",
    ),
    "up": ("machine:up", "Start the embedded store, the Prefect server with its deployments, and a worker."),
    "down": ("machine:down", "End what `up` started."),
    "deliver": ("run:deliver", "Deliver everything new of SOURCE: read, validate, redact, seal, publish."),
    "backfill": ("run:backfill", "Deliver what is unsealed of SOURCE between two days, both included."),
    "status": (
        "run:status",
        "Show whether it works, what is sealed, what was quarantined, and the newest checkpoint.",
    ),
    "verify": (
        "evidence:verify",
        "Check everything in the store against the signed log: bytes, rows, versions and locks.",
    ),
    "audit": (
        "audit:audit",
        "Find out whether all that is sealed still holds: what is due, a random sample, and what surrounds it.",
    ),
    "prove": (
        "prove:prove",
        "Write one small file for each RECORD_ID that proves it, for anyone to check offline.",
    ),
    "export": (
        "evidence:export",
        "Write an evidence bundle (.zip): data, proofs, contracts, results, a report, and the verifier.",
    ),
    "query": ("lake:query", "Answer one SQL query over the published catalog."),
    "quarantine": (
        "quarantine:app",
        "See what was set aside and why; send it through again after a fix, or discard it.",
    ),
    "hold": (
        "hold:app",
        "Keep evidence beyond its retention until a matter is closed; each hold is sealed in the log.",
    ),
    "subject": (
        "subject:app",
        "Give a person what is stored of them, or forget the person; each act is sealed in the log.",
    ),
    "officer": (
        "officer:app",
        "Officers, who turn pseudonyms back and approve erasures: enrolled and withdrawn in the log.",
    ),
    "key": (
        "key:app",
        "The keys that sign logs, and those that pseudonymise and encrypt; each change is sealed in the log.",
    ),
    "metrics": ("metrics:app", "Metrics for Prometheus, computed from the sealed log and from live state."),
    "register": (
        "register:register",
        "Make the record of processing activities (GDPR, Article 30) from the contracts, with a page for everyone.",
    ),
    "retention": ("retention:app", "See what would be locked and until when; extend locks."),
    "redaction": (
        "redaction:app",
        "Find out whether redaction holds: plant made-up data, search what is sealed.",
    ),
    "store": ("store:app", "Find out whether the store keeps what it promises."),
    "completeness": (
        "completeness:app",
        "Find out whether everything came and is sealed; seal silence, and explain gaps.",
    ),
    "custody": ("custody:app", "Compare what is sealed with what AWS signed: CloudTrail's digest files."),
    "sequencer": ("sequencer:app", "Seal what workers hand over."),
    "witness": ("witness:app", "Cosign checkpoints of logs that others run (C2SP tlog-witness)."),
}

app = typer.Typer(
    name="indelible",
    help="Raw access-log drops in; sealed, queryable, provable evidence out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
)


def load(name: str) -> TyperCommand | TyperGroup:
    """Import the command or group of commands `name`."""
    module, _, member = COMMANDS[name][0].partition(":")
    found = getattr(import_module(f"flows.cli.{module}"), member)
    if isinstance(found, typer.Typer):
        return get_group(found)
    alone = typer.Typer(rich_markup_mode="rich", add_completion=False)
    alone.command(name)(found)
    return get_command(alone)  # type: ignore[return-value]


class _Later(TyperCommand):
    """Stands for a command until it is called."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """See click: from here on, the command itself takes over."""
        return load(str(self.name)).make_context(info_name, args, parent, **extra)


def _stand_in() -> None:
    """Never called: `_Later` hands over before."""


for _name, (_, _summary) in COMMANDS.items():
    app.command(_name, cls=_Later, help=_summary)(_stand_in)
