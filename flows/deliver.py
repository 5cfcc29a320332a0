"""The flow `deliver`: plan, seal batch by batch, publish, leave a receipt.

A task is a batch, never a file: a task run costs the server as much as thousands of lines cost us. Batches of
a source follow one another, because each names the one before it in its entry. What crosses a task boundary
is references in, receipts out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from itertools import islice
from typing import Annotated, Any, Final

from prefect import flow, get_run_logger, task
from prefect import runtime as prefect_runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from flows import artifacts, pipeline
from flows.due import logical_time
from flows.forms import AnyDay, Source
from flows.poison import Outcome, unsealed
from flows.readiness import check_store
from flows.receipts import BatchReceipt, CheckpointReceipt
from flows.runners import spread
from flows.work import POLICY, confined, opened
from tasks.batch import Drop
from tasks.errors import UsageError

# A run of more would be long to watch and dear to repeat; the next run takes the rest.
MAX_BATCHES: Final = 200

Reference = dict[str, Any]


def run_name() -> str:
    """`deliver-cloudtrail-2026-11-24T10:15`, or with the days where the run has a window."""
    given = prefect_runtime.flow_run.parameters
    since, until = given.get("since"), given.get("until")
    if since is None and until is None:
        return f"deliver-{given['source']}-{logical_time():%Y-%m-%dT%H:%M}"
    return f"deliver-{given['source']}-{since or 'start'}-to-{until or 'now'}"


@flow(name="deliver", flow_run_name=run_name, persist_result=False)
def deliver(
    source: Source,
    look_back_days: Annotated[int, Field(ge=0, le=36_500)] = 0,
    since: AnyDay = None,
    until: AnyDay = None,
) -> State[Any]:
    """Deliver every drop of a source that is not sealed yet.

    Late, missed, doubled and overlapping runs are harmless: what is new is decided against what is sealed.

    Args:
        source: Whose drops to deliver: the name of its data contract.
        look_back_days: Take only drops dated at most so many days before the run. 0 takes all.
        since: Take only drops dated on or after this day (UTC).
        until: Take only drops dated before this day (UTC).
    """
    if since is not None and until is not None and until <= since:
        raise UsageError("the window holds no day", next_step="Give a later day as `until`.")
    if look_back_days and since is None:
        since = logical_time().date() - timedelta(days=look_back_days)
    log = get_run_logger()
    with opened() as (runtime, _):
        batches = plan_batches(source, pipeline.Window(since, until))
        log.info("%s", artifacts.count(sum(map(len, batches)), "new drop"))
        outcome, progress = Outcome(), artifacts.Progress(source, len(batches))
        calls = ({"source": source, "references": batch} for batch in batches)
        for done in spread(runtime.settings.run, seal_batch, calls):
            outcome.add(done)
            progress.step()
        receipts = outcome.receipts
        checkpoint = publish_log()
        text = artifacts.delivery(source, receipts, checkpoint, runtime.store)
        artifacts.publish(f"deliver-{source}", text, "Delivery receipt")
    if len(batches) == MAX_BATCHES:
        log.warning("there may be more than %d batches; the next run takes them", MAX_BATCHES)
    return contradiction() if checkpoint.contradicted else verdict(receipts, outcome.left)


@task(name="plan", task_run_name="plan", **POLICY)
@confined()
def plan_batches(source: str, window: pipeline.Window) -> list[list[Reference]]:
    """List the landing place, leave out what is sealed, and cut the rest into batches."""
    with opened() as (runtime, catalog):
        pipeline.check_clock(runtime)
        check_store(runtime)
        batches = pipeline.find_new(runtime, source, window, catalog)
        return [[asdict(drop) for drop in batch] for batch in islice(batches, MAX_BATCHES)]


@task(name="seal batch", task_run_name="seal-{source}", **POLICY)
@confined()
def seal_batch(source: str, references: Sequence[Reference]) -> Outcome:
    """Read, validate, redact and seal one batch of drops; where it fails, it is divided."""
    log = get_run_logger()
    with opened() as (runtime, catalog):
        drops = [Drop(**reference) for reference in references]
        outcome = pipeline.deliver_planned(runtime, source, drops, catalog)
    for receipt in outcome.receipts:
        log.info("%s", artifacts.sentence(receipt))
    for happened in outcome.left:
        log.error("a drop stays unsealed for now: %s", happened)
    if not outcome.receipts and not outcome.left:
        log.info("all of this batch was sealed meanwhile")
    return outcome


@task(name="publish", task_run_name="publish", **POLICY)
@confined()
def publish_log() -> CheckpointReceipt:
    """Sign a checkpoint over all that is sealed, and publish the catalog of it."""
    with opened() as (runtime, catalog):
        checkpoint = pipeline.publish(runtime, catalog)
    get_run_logger().info("checkpoint %s, size %d", checkpoint.origin, checkpoint.size)
    return checkpoint


def contradiction() -> State[Any]:
    """The end of a run that learned of another history of the log."""
    return Failed(
        name="WitnessContradiction",
        message="A witness has seen another history of this log. Do not deliver; ask it for its evidence.",
    )


def verdict(receipts: Sequence[BatchReceipt], left: Sequence[str] = ()) -> State[Any]:
    """How the run ends: a held batch ends it as `Held`, a failure by type, so that it shows red and alerts.

    Everything is sealed either way, so nothing tries it again, and the next run is clean unless more is held.
    Drops that are left unsealed end it as failed; the next run tries them again.
    """
    if left:
        return Failed(message=unsealed(left))
    held = sum(receipt.held for receipt in receipts)
    batches = artifacts.count(len(receipts), "batch")
    if held:
        return Failed(
            name="Held",
            message=f"{held} of {batches} held by the contract's gate, sealed in quarantine:"
            f" {artifacts.held_entries(receipts)}. Next: {artifacts.AFTER_HOLD}",
        )
    if not receipts:
        return Completed(message="Nothing new: every drop is sealed.")
    lines, accepted = (sum(getattr(r, name) for r in receipts) for name in ("lines", "accepted"))
    return Completed(message=f"{batches} sealed: {accepted:,} of {lines:,} lines accepted.")
