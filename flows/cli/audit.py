"""`indelible audit`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working
from tasks.audit.confidence import in_words
from tasks.audit.findings import CHECKS
from tasks.errors import VerificationError
from tasks.evidence.audit_entry import FAILING

_MARKS = {
    "holds": "[green]holds[/]",
    "fails": "[bold red]fails[/]",
    "not-measured": "[yellow]not measured[/]",
}
_WIDTH = 13
_PATHS = 3
_OPTIONAL = ", ".join(name for name in CHECKS if name != "log")


def audit(
    sample: Annotated[
        int | None, typer.Option(min=0, help="Records to draw and hash again.", show_default=False)
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Every file and every row.")] = False,
    budget: Annotated[
        int | None,
        typer.Option(
            min=0, help="Bytes of files that may be read back; without --whole.", show_default=False
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help=f"Leave a check out, which the result then says: {_OPTIONAL}.", show_default=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an audit that was killed.")] = False,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Find out whether all that is sealed still holds: what is due, a random sample, and what surrounds it.

    The result is sealed in the log. Exit code 6 when something is changed or missing.
    """
    from flows.audit import audit as make
    from flows.audit_plan import Order

    runtime = runtime_with(store=store, endpoint=endpoint)
    order = Order(whole=whole, sample=sample, budget=budget, without=frozenset(without or ()))
    with working(as_json, "planning the audit") as progress:
        audited = make(runtime, order, resume=resume, progress=progress)
    if as_json:
        print_json(audited.as_json())
    else:
        _print(audited)
    if not audited.holds:
        raise typer.Exit(VerificationError.exit_code)


def _print(audited: Any) -> None:
    entry = audited.entry
    if audited.resumed:
        out.print(f"{audited.resumed} checks were made by a run that was interrupted")
    for line in (line for line in audited.lines if line["type"] == "check"):
        state = line["state"]
        pad = " " * (_WIDTH - len(state))
        out.print(f"{_MARKS[state]}{pad} [bold]{line['name']}[/]  {escape(line['sentence'])}")
    findings = [line for line in audited.lines if line["type"] == "finding"]
    for line in sorted(findings, key=lambda line: line["verdict"] not in FAILING):
        colour = "red" if line["verdict"] in FAILING else "yellow"
        out.print(
            f"\n[{colour}]{line['verdict']}[/] {line['code']} ({line['count']:,}) {escape(line['sentence'])}"
        )
        for path in line["paths"][:_PATHS]:
            out.print(f"    {escape(path)}")
        if line["count"] > _PATHS:
            out.print(f"    and more: {len(line['paths'])} are named in the report")
        out.print(f"    [dim]next:[/] {escape(line['next_step'])}")
    out.print(f"\n{escape(in_words(entry['sample']))}")
    unmeasured = [check["name"] for check in entry["checks"] if check["state"] == "not-measured"]
    if unmeasured:
        out.print(f"not measured, so nothing is said of it: {', '.join(unmeasured)}")
    out.print("[green]holds[/]" if audited.holds else "[bold red]does not hold[/]")
    if audited.place is not None:
        out.print(f"the result is entry {audited.place[1]} of log {audited.place[0]}")
    if not audited.published:
        out.print("[yellow]the catalog was not published[/]: it cannot be made over a damaged file")
    out.print(f"page: {audited.page}")
    next_step("indelible verify" if audited.holds else "see infra/docs/runbooks/audit-failed.md")
