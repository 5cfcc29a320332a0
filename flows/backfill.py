"""The flow `backfill`: one `deliver` run a day, in a queue that yields to scheduled runs.

Prefect has neither catch-up nor a backfill of its own. Asked twice for the same days and reason, it starts
nothing twice; and a day that is delivered twice all the same finds everything sealed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final

from prefect import flow, task
from prefect import runtime as prefect_runtime
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.states import Completed

from flows import artifacts
from flows.forms import Day, Reason, Source
from flows.receipts import StartedRun
from flows.work import POLICY, confined
from tasks.errors import UsageError

QUEUE: Final = "backfill"
MAX_DAYS: Final = 3660


def run_name() -> str:
    """`backfill-cloudtrail-2026-11-01-to-2026-11-30`."""
    given = prefect_runtime.flow_run.parameters
    return f"backfill-{given['source']}-{given['since']}-to-{given['until']}"


@flow(name="backfill", flow_run_name=run_name, persist_result=False)
def backfill(
    source: Source,
    since: Day,
    until: Day,
    reason: Reason,
) -> State[Any]:
    """Deliver what is unsealed of past days: one run a day.

    Args:
        source: Whose drops to deliver: the name of its data contract.
        since: First day of drops (UTC).
        until: Last day of drops (UTC), included.
        reason: Why, for whoever reads this later. Write no personal data here.
    """
    runs = [(day.isoformat(), start_day(source, day, reason)) for day in days(since, until)]
    artifacts.publish(f"backfill-{source}", artifacts.backfill(source, reason, runs), "Backfill receipt")
    return Completed(message=f"{artifacts.count(len(runs), 'day')} asked for, in the queue {QUEUE}.")


def days(since: date, until: date) -> Iterator[date]:
    """Each day from `since` to `until`, both included.

    Raises:
        UsageError: there is none, or there are more than ten years of them.
    """
    count = (until - since).days + 1
    if count < 1:
        raise UsageError("the last day lies before the first", next_step="Swap the two dates.")
    if count > MAX_DAYS:
        raise UsageError(f"{count} days are more than {MAX_DAYS}", next_step="Ask for a shorter time.")
    return (since + timedelta(days=n) for n in range(count))


@task(name="start day", task_run_name="start-{source}-{day}", **POLICY)
@confined()
def start_day(source: str, day: date, reason: str) -> StartedRun:
    """Ask for one day."""
    asked, after = hashlib.sha256(reason.encode()).hexdigest()[:16], day + timedelta(days=1)
    run: FlowRun = run_deployment(  # type: ignore[assignment]  # a coroutine in async code only
        f"deliver/{source}",
        parameters={"source": source, "since": day.isoformat(), "until": after.isoformat()},
        flow_run_name=f"deliver-{source}-{day}-to-{after}",
        tags=["backfill"],
        idempotency_key=f"backfill:{source}:{day}:{asked}",
        work_queue_name=QUEUE,
        timeout=0,
        as_subflow=False,
    )
    return StartedRun(run.name, str(run.id))
