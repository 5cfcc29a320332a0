"""The flow `replay-quarantine`: quarantined lines go through the stages again, after a fix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from prefect import flow, task
from prefect import runtime as prefect_runtime
from prefect.client.schemas.objects import State
from pydantic import Field

from flows import artifacts, quarantine
from flows.deliver import verdict
from flows.due import logical_time
from flows.forms import Source
from flows.receipts import BatchReceipt, CheckpointReceipt
from flows.work import POLICY, confined, open_runtime

Entries = Annotated[tuple[int, ...], Field(max_length=1000)]


def run_name() -> str:
    """`replay-cloudtrail-2026-11-24T10:15`."""
    return f"replay-{prefect_runtime.flow_run.parameters['source']}-{logical_time():%Y-%m-%dT%H:%M}"


@flow(name="replay-quarantine", flow_run_name=run_name, persist_result=False)
def replay_quarantine(source: Source, entries: Entries = ()) -> State[Any]:
    """Validate a source's quarantined lines again, under its contract as it is now.

    Replaying twice changes nothing.

    Args:
        source: Whose quarantine to replay: the name of its data contract.
        entries: Only these log entries of this year's log; none named means all that are open.
    """
    receipts, checkpoint = replay(source, entries)
    text = artifacts.delivery(source, receipts, checkpoint, open_runtime().store)
    artifacts.publish(f"replay-{source}", text, "Replay receipt")
    return verdict(receipts)


@task(name="replay", task_run_name="replay-{source}", **POLICY)
@confined()
def replay(source: str, entries: Sequence[int]) -> tuple[list[BatchReceipt], CheckpointReceipt]:
    """Seal open quarantined lines anew, entry by entry, and publish."""
    return quarantine.replay(open_runtime(), source, entries or None)
