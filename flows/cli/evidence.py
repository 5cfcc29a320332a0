"""`indelible verify`, `export`: check the store, hand out a period."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from flows import evidence
from flows.cli.common import AsJson, Endpoint, Store, err, next_step, out, print_json, runtime_with, working
from flows.cli.prove import WithholdPersonal
from flows.wiring import Runtime
from tasks.errors import UsageError, VerificationError
from tasks.export.controls import FRAMEWORKS
from tasks.export.facts import OUTCOMES
from tasks.verify.printing import outside_lines, resumed_line
from tasks.verify.report import Report, Verdict

NoRows = Annotated[bool, typer.Option("--no-rows", help="Leave out the rows of the Parquet files.")]
NoLocks = Annotated[bool, typer.Option("--no-locks", help="Do not ask the store for every object's lock.")]
PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", help="Trust policy; without it, this keyring's own key.", show_default=False),
]
FrameworkName = Annotated[
    str | None,
    typer.Option(
        "--framework", help=f"Add a table of controls: {', '.join(FRAMEWORKS)}.", show_default=False
    ),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="File to write.", show_default=False)]
Only = Annotated[
    str | None,
    typer.Option("--path", help="Check the logs and this object alone: data/source=...", show_default=False),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where a check that was killed stopped.")]
Processes = Annotated[
    int, typer.Option("--processes", min=1, max=64, help="Hash rows in so many processes, a core each.")
]
_SHOWN = 200
_DAY = ["%Y-%m-%d"]
_COLOURS = {Verdict.CHANGED: "red", Verdict.MISSING: "red"}


def verify(
    no_rows: NoRows = False,
    no_locks: NoLocks = False,
    policy: PolicyFile = None,
    path: Only = None,
    resume: Resume = False,
    processes: Processes = 1,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Check everything in the store against the signed log: bytes, rows, versions and locks."""
    if path is not None and resume:
        raise UsageError("one object is checked in one go", next_step="Leave out --resume or --path.")
    runtime = runtime_with(store=store, endpoint=endpoint)
    trusted = None if policy is None else evidence.read_policy(policy)
    with ExitStack() as stack:
        progress = stack.enter_context(working(as_json, "verifying"))
        journal = None
        if path is None:
            journal = stack.enter_context(evidence.journal_of(runtime, rows=not no_rows, resume=resume))
        report = evidence.verify_store(
            runtime,
            trusted,
            rows=not no_rows,
            locks=not no_locks,
            only=path,
            journal=journal,
            processes=processes,
            progress=_counter(progress),
        )
    key = "the policy file" if policy else "this keyring's own key"
    if as_json:
        store_facts = {"uri": runtime.store.uri, "worm": runtime.store.worm}
        print_json({**report.as_dict(), "trusted": key, "store": store_facts})
    else:
        _print_report(report, key)
    if not report.ok:
        raise typer.Exit(VerificationError.exit_code)


def export(
    since: Annotated[datetime, typer.Option(formats=_DAY, help="First event date.")],
    until: Annotated[datetime, typer.Option(formats=_DAY, help="Last event date, included.")],
    output: Output,
    framework: FrameworkName = None,
    withhold_personal: WithholdPersonal = False,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Write an evidence bundle (.zip): data, proofs, contracts, results, a report, and the verifier."""
    if until < since:
        raise UsageError("--until lies before --since", next_step="Swap the two dates.")
    runtime = runtime_with(store=store, endpoint=endpoint)
    if withhold_personal:
        _export_public(runtime, since.date(), until.date(), output, framework, as_json=as_json)
        return
    with working(as_json, "exporting") as progress:
        exported, policy = evidence.export(
            runtime, since.date(), until.date(), output, framework, _counter(progress)
        )
    sums = exported.facts.sums()
    command = f"indelible-verify {output} --policy {policy}"
    if as_json:
        retention = exported.facts.retention
        print_json(
            {
                "file": str(output),
                "bytes": exported.size,
                "members": exported.members,
                "since": exported.scope.since.isoformat(),
                "until": exported.scope.until.isoformat(),
                "created_at": exported.scope.created_at,
                "batches": len(exported.scope.batches),
                "sources": {source: dict(counts) for source, counts in sums.items()},
                "locked": retention.locked,
                "policy": str(policy),
                "next": command,
            }
        )
        return
    batches = len(exported.scope.batches)
    out.print(f"{output}: {exported.members} files, {exported.size:,} bytes, {batches} batches")
    for source, counts in sums.items():
        became = " + ".join(f"{counts[name]:,} {name}" for name in OUTCOMES)
        out.print(f"  {source}: {counts['lines']:,} lines = {became}")
    if not exported.facts.retention.locked:
        out.print("[yellow]not WORM[/]: not every object is locked; the report says so")
    next_step(command)


def _export_public(
    runtime: Runtime, since: date, until: date, output: Path, framework: str | None, *, as_json: bool
) -> None:
    if framework is not None:
        raise UsageError(
            "a bundle with the person withheld has no report for a table of controls",
            next_step="Leave out --framework, or --withhold-personal.",
        )
    with working(as_json, "exporting") as progress:
        exported, policy = evidence.export_public(runtime, since, until, output, _counter(progress))
    scope, command = exported.scope, f"indelible-verify {output} --policy {policy}"
    if as_json:
        print_json(
            {
                "file": str(output),
                "bytes": exported.size,
                "members": exported.members,
                "since": scope.since.isoformat(),
                "until": scope.until.isoformat(),
                "created_at": scope.created_at,
                "batches": len(scope.batches),
                "sources": scope.sources,
                "records": exported.records,
                "withheld": list(exported.columns),
                "policy": str(policy),
                "next": command,
            }
        )
        return
    out.print(
        f"{output}: {exported.records:,} records of {len(scope.batches)} batches, {exported.size:,} bytes"
    )
    out.print(f"  withheld: {', '.join(exported.columns)}")
    out.print("  left out: ledgers, lines set aside, gate results, all other entries of the log")
    next_step(command)


def _counter(show: Callable[[str], None]) -> Callable[[str, int, int], None]:
    return lambda stage, done, total: show(f"{stage}: {done:,} of {total:,}" if total else stage)


def _print_report(report: Report, key: str) -> None:
    for shard in report.shards:
        state = "signed" if shard.signed else "[red]not proven[/]"
        out.print(f"log {shard.year}: {shard.size} entries, {state}, root {shard.root or 'none'}")
        for line in outside_lines(shard):
            out.print(f"  {line}")
    names = ("objects", "bytes", "drops", "lines", "rows")
    counts = ", ".join(f"{report.counted.get(name, 0):,} {name}" for name in names)
    out.print(f"checked {counts}; trusting {key}")
    if report.resumed is not None:
        out.print(resumed_line(report.resumed))
    for finding in report.findings[:_SHOWN]:
        colour = _COLOURS.get(finding.verdict, "yellow")
        out.print(f"[{colour}]{finding.verdict.value}[/] {finding.reason}  {escape(finding.path)}")
        out.print(f"    {escape(finding.sentence)}")
    hidden = sum(report.totals.values()) - min(len(report.findings), _SHOWN)
    if hidden > 0:
        err.print(f"{hidden:,} more findings; --json lists up to 1,000 of each verdict")
    if report.ok:
        out.print("[green]holds[/]: nothing is changed, nothing is missing")
        next_step("indelible export --since DATE --until DATE -o evidence.zip")
    else:
        out.print("[bold red]does not hold[/]: keep the store as it is and compare with a copy or a bundle")
        next_step("indelible verify --json > findings.json")
