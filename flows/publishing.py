"""The flow `publish-catalog`: sign what is sealed, have others confirm it, and publish the catalog of it.

Each delivery does so at its end. By itself this keeps cosignatures and time-stamps fresh while nothing lands, and
makes up for a delivery that was killed between sealing and publishing.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.deliver import contradiction, publish_log
from flows.due import logical_time


def run_name() -> str:
    """`publish-2026-11-24T10:07`."""
    return f"publish-{logical_time():%Y-%m-%dT%H:%M}"


@flow(name="publish-catalog", flow_run_name=run_name, persist_result=False)
def publish_catalog() -> State[Any]:
    """Sign the log up to its end, ask the witnesses and the time-stamping authority, and publish the catalog."""
    checkpoint = publish_log()
    if checkpoint.contradicted:
        return contradiction()
    known = "new" if checkpoint.advanced else "unchanged"
    return Completed(message=f"Published at {checkpoint.size:,} log entries, {known}.")
