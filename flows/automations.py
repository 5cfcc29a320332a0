"""Automations as code: what notices that a run is dead, and what is then done.

    no sign of life of a running flow, or stuck before it runs  ->  Crashed  ->  the deployment `recover` for it

A worker reports a process of its own that dies; nobody reports a worker that dies. So each running flow sends
heartbeats, and silence is what counts. Being wrong is harmless: a run that still lives and one that takes over
seal the same objects once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from flows.deployments import WATCHED
from flows.settings import RecoverySettings

_RUN: Final = "prefect.flow-run."
_ALIVE: Final = ("heartbeat", "Running", "Retrying")
_STARTING: Final = ("Pending", "Submitting", "InfrastructurePending")
# Without the filter, a UUID is no JSON value and the whole action is dropped with a warning.
_RUN_ID: Final = "{{ flow_run.id | string }}"


def declare(recover: UUID, recovery: RecoverySettings) -> list[AutomationCore]:
    """All automations.

    Args:
        recover: id of the deployment `recover`.
        recovery: when a run counts as dead.
    """
    start_again = RunDeployment(
        source="selected", deployment_id=recover, parameters={"flow_run_id": _RUN_ID}, job_variables=None
    )
    return [
        AutomationCore(
            name="indelible: silent runs have crashed",
            description=f"A running flow that is not heard of for {recovery.silent_s} s has lost its process.",
            trigger=_silence(_ALIVE, recovery.silent_s),
            actions=[_crashed(f"not heard of for {recovery.silent_s} s: its process or its worker is gone")],
        ),
        AutomationCore(
            name="indelible: runs stuck before their start have crashed",
            description=f"A run that does not start within {recovery.pending_s} s has lost its worker.",
            trigger=_silence(_STARTING, recovery.pending_s),
            actions=[_crashed(f"not started within {recovery.pending_s} s: its worker is gone")],
        ),
        AutomationCore(
            name="indelible: recover crashed runs",
            description="Starts the deployment `recover` for each run that crashed.",
            trigger=EventTrigger(expect={f"{_RUN}Crashed"}, posture=Posture.Reactive, threshold=1, **_ours()),
            actions=[start_again],
        ),
    ]


def apply(client: SyncPrefectClient, wanted: Sequence[AutomationCore]) -> None:
    """Create or update automations by name. One that an operator has switched off stays off."""
    for automation in wanted:
        found = client.read_automations_by_name(automation.name)
        if not found:
            client.create_automation(automation)
        elif _content(found[0]) != _content(automation):
            client.update_automation(found[0].id, automation.model_copy(update={"enabled": found[0].enabled}))


def _silence(after: Sequence[str], seconds: int) -> EventTrigger:
    return EventTrigger(
        after={_RUN + name for name in after},
        expect={f"{_RUN}*"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=seconds),
        **_ours(),
    )


def _ours() -> dict[str, Any]:
    return {
        "match": ResourceSpecification({"prefect.resource.id": [f"{_RUN}*"]}),
        "match_related": ResourceSpecification(
            {"prefect.resource.role": ["tag"], "prefect.resource.id": [f"prefect.tag.{WATCHED}"]}
        ),
        "for_each": {"prefect.resource.id"},
    }


def _crashed(message: str) -> ChangeFlowRunState:
    return ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=message, force=False)


def _content(automation: AutomationCore) -> dict[str, Any]:
    """What is ours of an automation, as it goes over the wire."""
    fields = {"name", "description", "trigger", "actions"}
    return automation.model_dump(mode="json", include=fields, exclude={"trigger": {"id"}})
