"""`indelible completeness heartbeat|check|approve|gaps|reconcile`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from flows import completeness
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
from flows.cli.hold import Approver, Reason, RequestedBy, order_of
from flows.heartbeats import seal_heartbeats
from tasks.completeness.findings import Finding
from tasks.completeness.intervals import Interval
from tasks.errors import VerificationError

app = typer.Typer(
    help="Find out whether everything came and is sealed; seal silence, and explain gaps.",
    no_args_is_help=True,
)
_SHOWN = 40
_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]
Source = Annotated[str, typer.Argument(help="A source whose contract says its rhythm.")]
Since = Annotated[
    datetime | None, typer.Option(formats=_FORMATS, help="First moment, UTC.", show_default="7 days ago")
]
Until = Annotated[
    datetime | None, typer.Option(formats=_FORMATS, help="End, UTC, not included.", show_default="now")
]


@app.command()
def heartbeat(
    source: Source,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=_FORMATS,
            help="Where the source's first heartbeat begins; later each begins where the last one ended.",
            show_default="the newest interval that is due",
        ),
    ] = None,
    landing: Landing = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Seal what is there of each hour or day that is due: what landed, what is sealed, or that nothing came."""
    runtime = runtime_with(store=store, landing=landing, endpoint=endpoint, source=source)
    with working(as_json, "looking for intervals that are due") as progress:
        sealed = seal_heartbeats(runtime, source, _utc(since), progress)
    if as_json:
        print_json(
            [
                {
                    "since": f"{beat.interval.since:%Y-%m-%dT%H:%M:%SZ}",
                    "until": f"{beat.interval.until:%Y-%m-%dT%H:%M:%SZ}",
                    "counts": dict(beat.counts),
                    "sealed": beat.place,
                }
                for beat in sealed
            ]
        )
        return
    if sealed:
        silent = sum(beat.counts["landed"] + beat.counts["sealed"] == 0 for beat in sealed)
        waiting = sum(beat.counts["waiting"] for beat in sealed)
        out.print(
            f"{len(sealed):,} heartbeats of {source} sealed, {_span(sealed[0].interval, sealed[-1].interval)}: "
            f"{silent:,} of silence, {waiting:,} drops not sealed yet"
        )
    else:
        out.print(f"no heartbeat of {source} is due")
    next_step(f"indelible completeness check {source}")


@app.command()
def check(
    source: Source,
    since: Since = None,
    until: Until = None,
    landing: Landing = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Compare what landed, what is sealed and what the contract expects. Writes nothing.

    Exit code 6 while a finding is open.
    """
    runtime = runtime_with(store=store, landing=landing, endpoint=endpoint, source=source)
    with working(as_json, "listing the landing place"):
        checked = completeness.check_completeness(runtime, source, _utc(since), _utc(until))
    if as_json:
        print_json(checked.as_json())
    else:
        _print_checked(checked)
    if checked.open:
        raise typer.Exit(VerificationError.exit_code)


@app.command()
def reconcile(
    source: Source,
    since: Since = None,
    until: Until = None,
    landing: Landing = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Deliver what was left behind, seal the heartbeats that are due, and say what stays open.

    Exit code 6 while a finding is open.
    """
    runtime = runtime_with(store=store, landing=landing, endpoint=endpoint, source=source)
    with working(as_json, f"looking for unsealed drops of {source}") as progress:
        done = completeness.reconcile(runtime, source, _utc(since), _utc(until), progress)
    if as_json:
        print_json(done.as_json())
    else:
        lines = sum(receipt.lines for receipt in done.receipts)
        out.print(
            f"{len(done.receipts):,} batches delivered ({lines:,} lines), "
            f"{len(done.heartbeats):,} heartbeats sealed"
        )
        _print_checked(done.checked)
    if done.checked.open:
        raise typer.Exit(VerificationError.exit_code)


@app.command()
def approve(
    source: Source,
    since: Annotated[datetime, typer.Option(formats=_FORMATS, help="First moment, UTC.")],
    until: Annotated[datetime, typer.Option(formats=_FORMATS, help="End, UTC, not included.")],
    approver: Approver,
    reason: Reason,
    code: Annotated[
        list[str] | None,
        typer.Option(help="Only findings with this code; may be given again.", show_default="all"),
    ] = None,
    requested_by: RequestedBy = None,
    landing: Landing = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Explain open findings: a sealed gap entry with a reason and two persons. What comes later stays open."""
    runtime = runtime_with(store=store, landing=landing, endpoint=endpoint, source=source)
    whole = Interval(since.replace(tzinfo=UTC), until.replace(tzinfo=UTC))
    with working(as_json, "checking"):
        explained, place = completeness.explain(
            runtime, source, whole, code or [], order_of(approver, requested_by, reason)
        )
    if as_json:
        print_json({"explained": [finding.as_json() for finding in explained], "sealed": place})
        return
    _print_findings(explained)
    out.print(f"explained by gap {place[0]:04d}-{place[1]}")
    next_step(f"indelible completeness check {source}")


@app.command()
def gaps(
    source: Annotated[str | None, typer.Argument(help="Only this source.", show_default=False)] = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """The register of explained gaps, as it follows from the log."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "reading the log"):
        register = completeness.list_gaps(runtime, source)
    if as_json:
        print_json(register)
        return
    if not register:
        out.print("no gap was ever explained")
        return
    for gap in register:
        scope = gap["scope"]
        out.print(f"[bold]{gap['id']}[/]  {scope['source']}  {scope['since']} to {scope['until']}")
        out.print(f"{'':<10}{gap['findings']:,} findings: {', '.join(gap['codes'])}")
        people = f"{gap['requested_by']}, approved by {gap['approver']}, {gap['sealed_at']}"
        out.print(f"{'':<10}{_plain(gap['reason'])} ({_plain(people)})")


def _print_checked(checked: completeness.Checked) -> None:
    measured = checked.measured
    out.print(
        f"{checked.source}: {checked.drops:,} drops in the landing place, {checked.intervals:,} heartbeats, "
        f"measured {_span(measured, measured)}"
    )
    if checked.since is None or checked.since > checked.whole.since:
        until = "all of it" if checked.since is None else f"before {checked.since:%Y-%m-%d %H:%M}"
        out.print(f"[yellow]not measured[/] {until}: no landing inventory was taken")
    _print_findings(checked.findings)
    explained = len(checked.findings) - len(checked.open)
    if checked.open:
        out.print(f"[bold red]{len(checked.open):,} open[/], {explained:,} explained")
        next_step(_worst(checked.open).next_step)
    else:
        out.print(f"[green]nothing is open[/], {explained:,} explained")
        next_step("indelible verify")


def _worst(findings: Sequence[Finding]) -> Finding:
    order = ("changed", "missing", "not-sealed-yet", "not-measured")
    return min(findings, key=lambda finding: order.index(finding.verdict))


def _print_findings(findings: Sequence[Finding]) -> None:
    """Two or three lines each: what and when, the drop, the sentence. A table would not fit a terminal."""
    for finding in findings[:_SHOWN]:
        explained = f" [green]explained by gap {finding.gap}[/]" if finding.gap else ""
        when = _span(finding.interval, finding.interval)
        out.print(f"{finding.verdict:<14}[bold]{finding.code}[/]  {when}{explained}")
        for line in (finding.key, finding.sentence):
            if line:
                out.print(f"{'':<14}{_plain(line)}")
    if len(findings) > _SHOWN:
        out.print(f"{len(findings) - _SHOWN:,} more; --json has all of them")


def _span(first: Interval, last: Interval) -> str:
    return f"{first.since:%Y-%m-%d %H:%M} to {last.until:%Y-%m-%d %H:%M}"


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
