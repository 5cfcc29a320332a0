"""The flow `export-evidence`: the evidence bundle of a period, by default the month before the run."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, task
from prefect import runtime as prefect_runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from flows import artifacts, evidence
from flows.due import logical_time
from flows.forms import AnyDay, as_day
from flows.work import POLICY, confined, open_runtime
from tasks.errors import NotFoundError, UsageError
from tasks.export.controls import FRAMEWORKS

Framework = Annotated[str, Field(json_schema_extra={"enum": ["none", *FRAMEWORKS]})]


def run_name() -> str:
    """`export-2026-10-01-to-2026-10-31`."""
    given = prefect_runtime.flow_run.parameters
    since, until = period(as_day(given.get("since")), as_day(given.get("until")), logical_time().date())
    return f"export-{since}-to-{until}"


@flow(name="export-evidence", flow_run_name=run_name, persist_result=False)
def export_evidence(since: AnyDay = None, until: AnyDay = None, framework: Framework = "none") -> State[Any]:
    """Write an evidence bundle into the state directory, for an auditor.

    Args:
        since: First event day (UTC). Without both days, the calendar month before the run.
        until: Last event day (UTC), included.
        framework: Adds the table of this framework's controls to the report.
    """
    since, until = period(since, until, logical_time().date())
    try:
        summary = write_bundle(since, until, framework)
    except NotFoundError:
        return Completed(name="NothingSealed", message=f"No sealed batch has events from {since} to {until}.")
    artifacts.publish("export-evidence", artifacts.bundle(summary), "Export receipt")
    return Completed(message=f"Bundle written: {summary['bundle']}")


def period(since: date | None, until: date | None, today: date) -> tuple[date, date]:
    """The days asked for, or the calendar month before `today`.

    Raises:
        UsageError: only one day is given, or they are the wrong way round.
    """
    if since is None and until is None:
        last = today.replace(day=1) - timedelta(days=1)
        return last.replace(day=1), last
    if since is None or until is None:
        raise UsageError("only one of the two days is given", next_step="Give both, or none for last month.")
    if until < since:
        raise UsageError("the last day lies before the first", next_step="Swap the two dates.")
    return since, until


@task(name="write bundle", task_run_name="bundle-{since}-to-{until}", **POLICY)
@confined()
def write_bundle(since: date, until: date, framework: str) -> dict[str, Any]:
    """Collect, check and pack the evidence of a period."""
    runtime = open_runtime()
    target = bundle_path(runtime.settings.state, since, until)
    target.parent.mkdir(parents=True, exist_ok=True)
    chosen = None if framework == "none" else framework
    exported, policy = evidence.export(runtime, since, until, target, chosen)
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "sources": exported.scope.sources,
        "batches": len(exported.scope.batches),
        "members": exported.members,
        "bytes": exported.size,
        "bundle": str(target),
        "policy": str(policy),
    }


def bundle_path(state: Path, since: date, until: date) -> Path:
    """Where the bundle of a period goes. Equal evidence gives equal bytes: writing it again is harmless."""
    return state.resolve() / "bundles" / f"evidence-{since}-to-{until}.zip"
