"""What Prefect says of the runs of the last day. Its database is no evidence; it is where attempts are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from flows.settings import Settings
from tasks.metrics import families as f
from tasks.metrics.families import Sample

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.objects import FlowRun, TaskRun

STATES: Final = ("Late", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED")
"""Types of states, and the name of the scheduled ones that are overdue."""
_PAGE: Final = 200
_PAGES: Final = 10


def api_url(settings: Settings) -> str | None:
    """Where Prefect's API is: as set, else that of `indelible up` on this machine, else nowhere."""
    if settings.metrics.prefect_api is not None:
        return settings.metrics.prefect_api
    if not (settings.state / "prefect" / "port").exists():
        return None
    from flows.server import LocalPrefect

    return f"{LocalPrefect.of(settings).url}/api"


def runs(url: str) -> Iterator[Sample]:
    """Runs by state, and attempts beyond the first, of the last day.

    Attempts are counted over the newest runs only (2,000 of flows, and of tasks), so that a scrape is bounded.
    """
    from prefect.client.orchestration import SyncPrefectClient

    since = datetime.now(UTC) - timedelta(days=1)
    with SyncPrefectClient(url) as client:
        for state in STATES:
            yield Sample(f.RUNS, client.count_flow_runs(flow_run_filter=_due(since, state)), (state.lower(),))
        yield Sample(f.RETRIES, _flow_retries(client, since), ("run",))
        yield Sample(f.RETRIES, _task_retries(client, since), ("task",))


def _due(since: datetime, state: str | None = None) -> FlowRunFilter:
    from prefect.client.schemas.filters import FlowRunFilter

    due: dict[str, Any] = {"expected_start_time": {"after_": since}}
    if state is not None:
        due["state"] = {"type": {"any_": [state]}} if state.isupper() else {"name": {"any_": [state]}}
    return FlowRunFilter.model_validate(due)


def _flow_retries(client: SyncPrefectClient, since: datetime) -> int:
    from prefect.client.schemas.sorting import FlowRunSort

    newest = FlowRunSort.EXPECTED_START_TIME_DESC
    return beyond_first(
        lambda start: client.read_flow_runs(
            flow_run_filter=_due(since), sort=newest, limit=_PAGE, offset=start
        )
    )


def _task_retries(client: SyncPrefectClient, since: datetime) -> int:
    from prefect.client.schemas.sorting import TaskRunSort

    newest = TaskRunSort.EXPECTED_START_TIME_DESC
    return beyond_first(
        lambda start: client.read_task_runs(
            flow_run_filter=_due(since), sort=newest, limit=_PAGE, offset=start
        )
    )


def beyond_first(read: Callable[[int], Sequence[FlowRun | TaskRun]]) -> int:
    """Attempts after the first one of each run that `read` gives, which takes the number of runs to leave out."""
    attempts = 0
    for page in range(_PAGES):
        found = read(page * _PAGE)
        attempts += sum(max(0, run.run_count - 1) for run in found)
        if len(found) < _PAGE:
            break
    return attempts
