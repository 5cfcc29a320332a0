"""The deployments, once: `indelible up` registers them, and `infra/prefect.yaml` is written from them.

    python -m flows.deployments yaml > infra/prefect.yaml      for `prefect deploy --all` elsewhere
    python -m flows.deployments register                       at the server that PREFECT_API_URL names

Registering is idempotent. Each schedule has a slug, by which it is known again: what an operator has paused
stays paused. `ENQUEUE` rather than cancelling: a runner that dies keeps its slot until its lease ends,
and runs that are due meanwhile must wait, not vanish.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from flows.embedded import embedded_settings
from flows.settings import ScheduleSettings, load_settings
from tasks.contracts.load import list_sources

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

POOL: Final = "indelible"
# Without a command of its own, a process worker first copies its whole working directory, with state, keys
# and raw drops, into a temporary one.
_ENGINE: Final = "-m prefect.engine"
# Name -> priority (1 goes first) and how many runs at once.
QUEUES: Final[dict[str, tuple[int, int | None]]] = {"scheduled": (1, None), "backfill": (2, 1)}


@dataclass(frozen=True)
class Deployment:
    """One deployment, as both ways of registering need it.

    Attributes:
        entrypoint: the flow by module path, so that an installed package is all a worker needs.
        cron: UTC; None for what a person or another flow starts.
    """

    name: str
    entrypoint: str
    description: str
    tags: tuple[str, ...]
    cron: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    queue: str = "scheduled"

    @property
    def schedules(self) -> list[dict[str, Any]]:
        """In the form of `prefect.yaml`."""
        return [{"cron": self.cron, "timezone": "UTC", "slug": self.name}] if self.cron else []


def declare(schedules: ScheduleSettings, sources: Sequence[str]) -> list[Deployment]:
    """All deployments, for the given sources."""
    deliveries = [
        Deployment(
            name=source,
            entrypoint="flows.deliver.deliver",
            description=f"Deliver every drop of {source} that is not sealed yet.",
            tags=("indelible", source),
            cron=schedules.deliver.get(source, schedules.deliver_default),
            parameters={"source": source},
        )
        for source in sources
    ]
    return [
        *deliveries,
        Deployment(
            name="backfill",
            entrypoint="flows.backfill.backfill",
            description="Deliver what is unsealed of past days, one run a day, after all that is scheduled.",
            tags=("indelible", "backfill"),
            queue="backfill",
        ),
        Deployment(
            name="replay-quarantine",
            entrypoint="flows.replay.replay_quarantine",
            description="Send quarantined lines through the stages again, after a contract was corrected.",
            tags=("indelible", "quarantine"),
        ),
        Deployment(
            name="verify",
            entrypoint="flows.verification.verify",
            description="Check everything that is sealed, from the public format alone.",
            tags=("indelible", "verify"),
            cron=schedules.verify,
        ),
        Deployment(
            name="export-evidence",
            entrypoint="flows.exporting.export_evidence",
            description="Write an evidence bundle of the month before, or of the days that are asked for.",
            tags=("indelible", "export"),
            cron=schedules.export,
        ),
    ]


def as_yaml(deployments: Sequence[Deployment]) -> str:
    """The content of `infra/prefect.yaml`."""
    document = {
        "name": "indelible",
        "prefect-version": "3.9.1",
        "build": [],
        "push": [],
        "pull": [],  # the code is installed on the workers
        "deployments": [
            {
                "name": d.name,
                "entrypoint": d.entrypoint,
                "description": d.description,
                "tags": list(d.tags),
                "parameters": d.parameters,
                "enforce_parameter_schema": True,
                "concurrency_limit": {"limit": 1, "collision_strategy": "ENQUEUE"},
                "work_pool": {
                    "name": POOL,
                    "work_queue_name": d.queue,
                    "job_variables": {"command": f"python {_ENGINE}"},
                },
                "schedules": d.schedules,
            }
            for d in deployments
        ],
    }
    head = "# Written by `python -m flows.deployments yaml`; change flows/deployments.py instead.\n"
    return head + yaml.safe_dump(document, sort_keys=False, width=110)


def register(
    deployments: Sequence[Deployment], sources: Sequence[str], working_directory: Path | None = None
) -> list[str]:
    """Create or update the pool, its queues and all deployments at the server that PREFECT_API_URL names.

    Args:
        deployments: from `declare`.
        sources: what a form offers as a source.
        working_directory: where a process worker starts its runs; relative paths of settings begin here.

    Returns:
        Names of the deployments, `flow/deployment`.
    """
    from prefect.client.orchestration import get_client

    variables = {"command": f"{sys.executable} {_ENGINE}"}
    if working_directory is not None:
        variables["working_dir"] = str(working_directory)
    with get_client(sync_client=True) as client:
        _make_pool(client)
        return [_register(client, deployment, sources, variables) for deployment in deployments]


def _make_pool(client: SyncPrefectClient) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    with suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
    for name, (priority, limit) in QUEUES.items():
        with suppress(ObjectAlreadyExists):
            client.create_work_queue(name, work_pool_name=POOL, priority=priority, concurrency_limit=limit)


def _register(
    client: SyncPrefectClient, deployment: Deployment, sources: Sequence[str], variables: dict[str, Any]
) -> str:
    from prefect.client.schemas import actions
    from prefect.exceptions import ObjectNotFound

    flow_name, facts = _facts(deployment, sources)
    facts["job_variables"] = variables
    name = f"{flow_name}/{deployment.name}"
    try:
        existing = client.read_deployment_by_name(name)
    except ObjectNotFound:
        crons = [actions.DeploymentScheduleCreate(**line) for line in facts.pop("schedules")]
        flow_id = client.create_flow_from_name(flow_name)
        client.create_deployment(flow_id=flow_id, name=deployment.name, schedules=crons, **facts)
    else:
        # An update of a schedule does not mention `active`, so that what an operator paused stays paused.
        lines = [actions.DeploymentScheduleUpdate(**line) for line in facts.pop("schedules")]
        client.update_deployment(existing.id, actions.DeploymentUpdate(schedules=lines, **facts))
    return name


def _facts(deployment: Deployment, sources: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The name of the flow, and the deployment as the API takes it."""
    from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.utilities.callables import parameter_schema

    module, name = deployment.entrypoint.rsplit(".", 1)
    flow = getattr(import_module(module), name)
    schema = parameter_schema(flow).model_dump(exclude_unset=True)
    if "source" in schema["properties"]:
        schema["properties"]["source"]["enum"] = list(sources)
    return flow.name, {
        "entrypoint": deployment.entrypoint,
        "description": deployment.description,
        "tags": list(deployment.tags),
        "parameters": deployment.parameters,
        "parameter_openapi_schema": schema,
        "enforce_parameter_schema": True,
        "concurrency_limit": 1,
        "concurrency_options": ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        "work_pool_name": POOL,
        "work_queue_name": deployment.queue,
        "pull_steps": [],
        "schedules": [
            {"schedule": CronSchedule(cron=line["cron"], timezone=line["timezone"]), "slug": line["slug"]}
            for line in deployment.schedules
        ],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Write `prefect.yaml`, or register at a server."""
    parser = argparse.ArgumentParser(prog="python -m flows.deployments", description=__doc__)
    parser.add_argument("what", choices=("yaml", "register"))
    parser.add_argument("--working-directory", type=Path)
    asked = parser.parse_args(arguments)
    if asked.what == "yaml":
        sys.stdout.write(as_yaml(declare(ScheduleSettings(), list_sources())))
        return
    settings = load_settings()
    settings = settings if settings.store.uri else embedded_settings(settings)
    sources = sorted(settings.landing.uris)
    names = register(declare(settings.schedules, sources), sources, asked.working_directory)
    json.dump(names, sys.stdout)


if __name__ == "__main__":
    main()
