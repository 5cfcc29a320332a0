"""`indelible custody check`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

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
from tasks.errors import VerificationError

app = typer.Typer(
    help="Compare what is sealed with what AWS signed: CloudTrail's digest files.", no_args_is_help=True
)
_SHOWN = 40
Day = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only from or to this day.", show_default=False)
]


@app.callback()
def _group() -> None:
    """Keep `check` a name of its own, although the group has only one."""


@app.command()
def check(
    source: Annotated[str, typer.Argument(help="A source whose landing place has digest files.")],
    keys: Annotated[
        Path | None,
        typer.Option(
            help="Answer of `aws cloudtrail list-public-keys`, or a directory of them. Archived for later.",
            exists=True,
            show_default=False,
        ),
    ] = None,
    since: Day = None,
    until: Day = None,
    landing: Landing = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Verify AWS's digest files offline, find drops that AWS lists and we have not, and seal the result.

    Exit code 6 when something is changed or missing.
    """
    from flows.custody import check_custody
    from tasks.custody import Window

    runtime = runtime_with(store=store, landing=landing, endpoint=endpoint, source=source)
    files = sorted(keys.glob("*.json")) if keys is not None and keys.is_dir() else [keys] if keys else []
    window = Window(since and since.date(), until and until.date())
    with working(as_json, "reading digest files"):
        sealed = check_custody(runtime, source, files, window)
    checked = sealed.checked
    if as_json:
        findings = [
            {**asdict(finding), "verdict": finding.verdict, "next_step": finding.next_step}
            for finding in checked.findings
        ]
        print_json(
            {
                "source": source,
                "holds": checked.holds,
                "counts": dict(checked.counts),
                "totals": checked.totals(),
                "findings": findings,
                "report": sealed.report,
                "sealed": sealed.place,
            }
        )
    else:
        counts = checked.counts
        out.print(
            f"{counts['valid']:,} of {counts['digests']:,} digest files hold; of {counts.get('listed', 0):,} "
            f"log files that AWS lists, {counts.get('matched', 0):,} are sealed as AWS signed them"
        )
        table = Table("verdict", "reason", "object", "what", box=None, pad_edge=False)
        for finding in checked.findings[:_SHOWN]:
            cells = (finding.verdict, finding.code, finding.key, finding.sentence)
            table.add_row(*(cell.replace("[", r"\[") for cell in cells))
        if checked.findings:
            out.print(table)
        if len(checked.findings) > _SHOWN:
            out.print(f"{len(checked.findings) - _SHOWN:,} more; --json and {sealed.report} have all of them")
        out.print("[green]holds[/]" if checked.holds else "[bold red]does not hold[/]")
        out.print(f"the result is entry {sealed.place[1]} of log {sealed.place[0]}")
        next_step("indelible verify")
    if not checked.holds:
        raise typer.Exit(VerificationError.exit_code)
