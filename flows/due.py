"""When a run was due. In a module of its own, so that `recover` starts without the stages and their libraries."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import runtime as prefect_runtime


def logical_time() -> datetime:
    """When this run was due. A late run asks for the same window as a punctual one."""
    due: datetime | None = prefect_runtime.flow_run.scheduled_start_time
    return (due or datetime.now(UTC)).astimezone(UTC)
