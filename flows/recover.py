"""The flow `recover`: a crashed run is started again, with growing pauses, until it ends or has crashed too often.

An automation starts it for a run the moment that run is reported crashed; and on its schedule it looks for crashed
runs itself, so that a report which was lost with the server costs minutes and not a delivery. What a run had
sealed before it crashed is found sealed: the next execution goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any, Final
from uuid import UUID

from prefect import flow, get_run_logger
from prefect import runtime as prefect_runtime
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Failed, Scheduled
from pydantic import Field

from flows import artifacts
from flows.deployments import WATCHED
from flows.due import logical_time
from flows.forms import AnyRun

MAX_RUNS: Final = 200
# What crashed before that has been made up for by later runs.
LOOK_BACK: Final = timedelta(days=2)
WAITING: Final = "AwaitingRetry"
# Alerts wait for the event `prefect.flow-run.GivenUp`, which the server sends with the state.
GIVEN_UP: Final = "GivenUp"


def run_name() -> str:
    """`recover-2026-11-24T10:15`, or with the id of the run where one is named."""
    chosen = prefect_runtime.flow_run.parameters.get("flow_run_id")
    return f"recover-{chosen or logical_time().strftime('%Y-%m-%dT%H:%M')}"


@flow(name="recover", flow_run_name=run_name, persist_result=False)
def recover(
    flow_run_id: AnyRun = None,
    max_recoveries: Annotated[int, Field(ge=0, le=20)] = 3,
    pause_seconds: Annotated[int, Field(ge=1, le=3600)] = 30,
) -> State[Any]:
    """Start crashed runs again.

    Args:
        flow_run_id: Only this run; none named means all that crashed in the last two days.
        max_recoveries: How often a run is started again before it is given up.
        pause_seconds: Before the first new start; doubles with each.
    """
    log = get_run_logger()
    again = given_up = 0
    with get_client(sync_client=True) as client:
        for run in crashed_runs(client, flow_run_id):
            number = recoveries(client, run.id)
            if number < max_recoveries:
                wait = pause(run.id, number, pause_seconds)
                client.set_flow_run_state(run.id, _again(number + 1, max_recoveries, wait), force=True)
                log.warning("%s crashed; it starts again in %.0f s", run.name, wait.total_seconds())
                again += 1
            else:
                client.set_flow_run_state(run.id, _end(number), force=True)
                log.error("%s crashed %s; given up", run.name, artifacts.count(number + 1, "time"))
                given_up += 1
    return Completed(message=f"{artifacts.count(again, 'run')} started again, {given_up} given up.")


def crashed_runs(client: SyncPrefectClient, chosen: UUID | None) -> Iterator[FlowRun]:
    """The chosen run, or the newest crashed ones, as far as they are crashed now and can be started again."""
    if chosen is not None:
        try:
            found = [client.read_flow_run(chosen)]
        except ObjectNotFound:
            return
    else:
        wanted = {
            "tags": {"all_": [WATCHED]},
            "state": {"type": {"any_": [StateType.CRASHED]}},
            "expected_start_time": {"after_": logical_time() - LOOK_BACK},
        }
        found = client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(wanted),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=MAX_RUNS,
        )
    for run in found:
        if run.deployment_id is not None and run.state is not None and run.state.type == StateType.CRASHED:
            yield run


def recoveries(client: SyncPrefectClient, run: UUID) -> int:
    """How often a run was started again. Its own count does not know starts that never came to run.

    A crash may be reported a second time after the run was told to wait; that is no start.
    """
    states = sorted(client.read_flow_run_states(run), key=lambda state: state.timestamp)
    return sum(before.name == WAITING and not after.is_crashed() for before, after in pairwise(states))


def pause(run: UUID, number: int, seconds: int) -> timedelta:
    """Doubles with each start, and is stretched by up to a half: runs that crashed together return apart."""
    stretch = 1 + (run.int % 1000) / 2000
    return timedelta(seconds=seconds * 2**number * stretch)


def _again(number: int, limit: int, wait: timedelta) -> State[Any]:
    return Scheduled(
        name=WAITING,
        message=f"crashed; start again {number} of {limit}",
        scheduled_time=datetime.now(UTC) + wait,
    )


def _end(number: int) -> State[Any]:
    return Failed(
        name=GIVEN_UP,
        message=f"crashed {artifacts.count(number + 1, 'time')}; given up. What it sealed stays sealed. Read the"
        " worker's log, remove the cause, then start the deployment anew.",
    )
