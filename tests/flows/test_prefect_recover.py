"""A crashed run is started again with growing pauses, and given up when it has crashed too often."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.states import Crashed, Pending, Running, Scheduled

from flows.deployments import declare
from flows.recover import pause, recover
from flows.registration import register
from flows.settings import RecoverySettings, ScheduleSettings

RECOVERY = RecoverySettings()


@pytest.fixture(scope="module")
def client(prefect_server: None) -> Iterator[SyncPrefectClient]:
    register(declare(ScheduleSettings(), RECOVERY, ["app"], []), ["app"], RECOVERY)
    with get_client(sync_client=True) as client:
        yield client


def crashed(client: SyncPrefectClient, deployment: str = "deliver/app", due: datetime | None = None) -> UUID:
    """A run that was due then, ran, and crashed."""
    found = client.read_deployment_by_name(deployment)
    run = client.create_flow_run_from_deployment(found.id, state=Scheduled(scheduled_time=due)).id
    crash(client, run)
    return run


def crash(client: SyncPrefectClient, run: UUID) -> None:
    states: list[State[Any]] = [Pending(), Running(), Crashed()]
    for state in states:
        client.set_flow_run_state(run, state, force=True)


def state_of(client: SyncPrefectClient, run: UUID) -> str | None:
    return client.read_flow_run(run).state_name


def test_each_crash_is_followed_by_a_longer_pause_and_the_last_by_giving_up(
    client: SyncPrefectClient,
) -> None:
    run = crashed(client)
    for number in range(2):
        before = datetime.now(UTC)
        recover(flow_run_id=run, max_recoveries=2, pause_seconds=600)
        state = client.read_flow_run(run).state
        assert state is not None
        assert (state.name, state.message) == (
            "AwaitingRetry",
            f"crashed; start again {number + 1} of 2",
        )
        assert state.state_details.scheduled_time is not None
        assert state.state_details.scheduled_time - before >= timedelta(seconds=600 * 2**number)
        crash(client, run)

    recover(flow_run_id=run, max_recoveries=2, pause_seconds=600)

    state = client.read_flow_run(run).state
    assert state is not None
    assert (state.type.value, state.name) == ("FAILED", "GivenUp")
    assert "crashed 3 times; given up" in str(state.message)


def test_a_crash_that_is_reported_twice_counts_once(client: SyncPrefectClient) -> None:
    run = crashed(client)
    recover(flow_run_id=run, max_recoveries=1)
    client.set_flow_run_state(run, Crashed(), force=True)  # the report of the other observer

    recover(flow_run_id=run, max_recoveries=1)

    assert state_of(client, run) == "AwaitingRetry"


def test_a_run_that_never_came_to_run_is_given_up_too(client: SyncPrefectClient) -> None:
    run = crashed(client)
    recover(flow_run_id=run, max_recoveries=1)
    stuck: list[State[Any]] = [Pending(), Crashed()]
    for state in stuck:
        client.set_flow_run_state(run, state, force=True)

    recover(flow_run_id=run, max_recoveries=1)

    assert state_of(client, run) == "GivenUp"


def test_a_run_that_is_not_crashed_is_left_alone(client: SyncPrefectClient) -> None:
    run = crashed(client)
    client.set_flow_run_state(run, Running(), force=True)

    recover(flow_run_id=run)

    assert state_of(client, run) == "Running"


def test_without_a_run_all_watched_runs_that_crashed_lately_are_started_again(
    client: SyncPrefectClient,
) -> None:
    now = datetime.now(UTC)
    lately = [crashed(client, due=now - timedelta(hours=hours)) for hours in (1, 2)]
    long_ago = crashed(client, due=now - timedelta(days=5))
    not_watched = crashed(client, "recover/recover")

    recover()

    assert [state_of(client, run) for run in lately] == ["AwaitingRetry"] * 2
    assert [state_of(client, run) for run in (long_ago, not_watched)] == ["Crashed"] * 2


def test_runs_that_crashed_together_return_apart() -> None:
    pauses = {pause(UUID(int=n), 1, 30) for n in range(100)}

    assert len(pauses) == 100
    assert min(pauses) >= timedelta(seconds=60)
    assert max(pauses) <= timedelta(seconds=90)
