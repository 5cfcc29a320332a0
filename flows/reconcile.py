"""The flow `reconcile-gaps`: deliver what was left behind, seal heartbeats, say what stays open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Annotated, Any

from prefect import flow, task
from prefect import runtime as prefect_runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from flows import artifacts, completeness
from flows.completeness import Reconciled
from flows.due import logical_time
from flows.forms import AnyDay, Source
from flows.work import POLICY, confined, open_runtime
from tasks.completeness.findings import CODES, Finding
from tasks.errors import UsageError

LookBack = Annotated[int, Field(ge=1, le=400)]


def run_name() -> str:
    """`reconcile-cloudtrail-2026-11-24T10:15`."""
    return f"reconcile-{prefect_runtime.flow_run.parameters['source']}-{logical_time():%Y-%m-%dT%H:%M}"


@flow(name="reconcile-gaps", flow_run_name=run_name, persist_result=False)
def reconcile_gaps(
    source: Source, look_back_days: LookBack = 7, since: AnyDay = None, until: AnyDay = None
) -> State[Any]:
    """List the landing place again, deliver what is unsealed, seal the heartbeats that are due, and check.

    Any number of runs at any time end in the same sealed state: an interval has one heartbeat.

    Args:
        source: Whose drops: the name of a data contract that says the source's rhythm.
        look_back_days: Check so many days before the run, unless days are given.
        since: Check from this day (UTC) on.
        until: Check up to before this day (UTC). Without it, up to now.
    """
    first = since or logical_time().date() - timedelta(days=look_back_days)
    if until is not None and until <= first:
        raise UsageError("the end does not lie after the first day", next_step="Give a later `until`.")
    done = reconcile(source, first, until)
    artifacts.publish(f"completeness-{source}", receipt(done), "Completeness receipt")
    found = done.checked.open
    if found:
        kinds = ", ".join(f"{len(list(same))} {code}" for code, same in by_code(found))
        return Failed(
            name="Incomplete", message=f"Open: {kinds}. Next: indelible completeness check {source}"
        )
    batches = artifacts.count(len(done.receipts), "batch")
    beats = artifacts.count(len(done.heartbeats), "heartbeat")
    return Completed(message=f"Nothing is open; {batches} and {beats} sealed.")


@task(name="reconcile", task_run_name="reconcile-{source}", **POLICY)
@confined()
def reconcile(source: str, since: date, until: date | None) -> Reconciled:
    """Deliver, seal heartbeats, check; what an attempt before this one did is not done again."""
    return completeness.reconcile(
        open_runtime(), source, _midnight(since), None if until is None else _midnight(until)
    )


def receipt(done: Reconciled) -> str:
    """What a person reads after the run: counts and codes; names of drops are not for Prefect's database."""
    checked = done.checked
    text = [
        f"# {checked.source}: {len(checked.open) or 'nothing'} open",
        "",
        f"From {checked.whole.since:%Y-%m-%d %H:%M} to {checked.whole.until:%Y-%m-%d %H:%M} UTC.",
        "",
        "| | |",
        "|---|---:|",
        f"| batches delivered | {len(done.receipts):,} |",
        f"| lines sealed | {sum(r.lines for r in done.receipts):,} |",
        f"| heartbeats sealed | {len(done.heartbeats):,} |",
        f"| drops in the landing place | {checked.drops:,} |",
        f"| findings explained | {len(checked.findings) - len(checked.open):,} |",
        "",
    ]
    if checked.open:
        text += ["| open | verdict | number | first (UTC) | what to do |", "|---|---|---:|---|---|"]
        for code, same in by_code(checked.open):
            found = list(same)
            first, step = found[0].interval.since, CODES[code][2]
            text.append(f"| `{code}` | {CODES[code][0]} | {len(found):,} | {first:%Y-%m-%d %H:%M} | {step} |")
        text += ["", f"All of them: `indelible completeness check {checked.source}`"]
    return "\n".join(text)


def by_code(findings: Sequence[Finding]) -> Iterator[tuple[str, Iterator[Finding]]]:
    """Findings by their code, in order of the codes."""
    order = list(CODES)
    return groupby(sorted(findings, key=lambda f: order.index(f.code)), key=lambda f: f.code)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
