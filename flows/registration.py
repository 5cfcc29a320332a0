"""Registers deployments and automations at a Prefect server. Doing it again changes only what has changed.

    python -m flows.registration      at the server that PREFECT_API_URL names

What an operator has paused stays paused, what an operator has added stays, and a schedule that is no longer
declared goes. Schedules are therefore handled one by one: the update of a whole deployment makes all of them
anew as soon as one has no slug.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentUpdate,
    WorkPoolCreate,
)
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions, DeploymentSchedule
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker

from flows import automations, forms
from flows.deployments import ENGINE, POOL, QUEUES, Deployment, Schedule, declare, with_rhythm
from flows.embedded import embedded_settings
from flows.settings import RecoverySettings, load_settings

_RECOVER: Final = "recover/recover"


def register(
    deployments: Sequence[Deployment],
    sources: Sequence[str],
    recovery: RecoverySettings,
    working_directory: Path | None = None,
    command: str = f"{sys.executable} {ENGINE}",
) -> list[str]:
    """Create or update the pool, its queues, all deployments and automations, at PREFECT_API_URL.

    Args:
        deployments: from `declare`.
        sources: what a form offers as a source.
        recovery: when a run counts as dead.
        working_directory: where a process worker starts its runs; relative paths of settings begin here.
        command: what a process worker starts.

    Returns:
        Names of the deployments, `flow/deployment`.
    """
    variables = {"command": command}
    if working_directory is not None:
        variables["working_dir"] = str(working_directory)
    with get_client(sync_client=True) as client:
        _make_pool(client)
        ids = dict(_register(client, deployment, sources, variables) for deployment in deployments)
        automations.apply(client, automations.declare(ids[_RECOVER], recovery))
    return list(ids)


def _make_pool(client: SyncPrefectClient) -> None:
    template = ProcessWorker.get_default_base_job_template()
    with suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
    for name, (priority, limit) in QUEUES.items():
        try:
            client.create_work_queue(name, work_pool_name=POOL, priority=priority, concurrency_limit=limit)
        except ObjectAlreadyExists:
            queue = client.read_work_queue_by_name(name, work_pool_name=POOL)
            client.update_work_queue(queue.id, priority=priority)


def _register(
    client: SyncPrefectClient, deployment: Deployment, sources: Sequence[str], variables: dict[str, Any]
) -> tuple[str, UUID]:
    flow_name, facts = _facts(deployment, sources)
    facts["job_variables"] = variables
    name = f"{flow_name}/{deployment.name}"
    try:
        existing = client.read_deployment_by_name(name)
    except ObjectNotFound:
        flow_id = client.create_flow_from_name(flow_name)
        created = client.create_deployment(flow_id=flow_id, name=deployment.name, **facts)
        _schedule(client, created, deployment.schedules, [])
        return name, created
    client.update_deployment(existing.id, DeploymentUpdate(**facts))
    _schedule(client, existing.id, deployment.schedules, existing.schedules)
    return name, existing.id


def _schedule(
    client: SyncPrefectClient,
    deployment: UUID,
    declared: Sequence[Schedule],
    existing: Sequence[DeploymentSchedule],
) -> None:
    known = {schedule.slug: schedule for schedule in existing if schedule.slug}
    for line in declared:
        cron = CronSchedule(cron=line.cron, timezone="UTC")
        old = known.pop(line.slug, None)
        if old is None:
            new = DeploymentScheduleCreate(schedule=cron, slug=line.slug, parameters=line.parameters)
            client.create_deployment_schedules(deployment, [new])
        elif (old.schedule, old.parameters) != (cron, line.parameters):
            # `active` is not mentioned, so that what an operator paused stays paused.
            client.update_deployment_schedule(deployment, old.id, schedule=cron, parameters=line.parameters)
    for gone in known.values():
        client.delete_deployment_schedule(deployment, gone.id)


def _facts(deployment: Deployment, sources: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The name of the flow, and the deployment as the API takes it."""
    module, name = deployment.entrypoint.rsplit(".", 1)
    flow = getattr(import_module(module), name)
    schema = parameter_schema(flow).model_dump(exclude_unset=True)
    return flow.name, {
        "entrypoint": deployment.entrypoint,
        "description": deployment.description,
        "tags": list(deployment.tags),
        "parameters": deployment.parameters,
        "parameter_openapi_schema": forms.complete(schema, list(sources)),
        "enforce_parameter_schema": True,
        "concurrency_limit": 1,
        "concurrency_options": ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        "work_pool_name": POOL,
        "work_queue_name": deployment.queue,
        "pull_steps": [],
    }


def main() -> None:
    """Register what the settings of this directory ask for, and print the names of the deployments as JSON."""
    parser = argparse.ArgumentParser(prog="python -m flows.registration")
    parser.add_argument("--working-directory", type=Path)
    asked = parser.parse_args()
    settings = load_settings()
    settings = settings if settings.store.uri else embedded_settings(settings)
    sources = sorted(settings.landing.uris)
    rhythmic = with_rhythm(sources, settings.contracts)
    declared = declare(settings.schedules, settings.recovery, sources, rhythmic)
    json.dump(register(declared, sources, settings.recovery, asked.working_directory), sys.stdout)


if __name__ == "__main__":
    main()
