"""The deployments, once: `indelible up` registers them, and `infra/prefect.yaml` is written from them.

    python -m flows.deployments > infra/prefect.yaml      for `prefect deploy --all` elsewhere

A new job is a new line in `declare`. Each schedule has a slug, by which it is known again: what an operator has
paused stays paused. `ENQUEUE` rather than cancelling: a runner that dies keeps its slot until its lease ends,
and runs that are due meanwhile must wait, not vanish.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from flows.settings import RecoverySettings, ScheduleSettings
from tasks.contracts.load import list_sources, load_contract

POOL: Final = "indelible"
# Runs with this tag are watched, and started again when they crash.
WATCHED: Final = "indelible"
# Without a command of its own, a process worker first copies its whole working directory, with state, keys
# and raw drops, into a temporary one.
ENGINE: Final = "-m prefect.engine"
# Name -> priority (1 goes first) and how many runs at once. Recovery waits for nobody.
QUEUES: Final[dict[str, tuple[int, int | None]]] = {
    "recovery": (1, 1),
    "scheduled": (2, None),
    "backfill": (3, 1),
}


@dataclass(frozen=True)
class Schedule:
    """When a deployment runs by itself.

    Attributes:
        slug: its name for good.
        cron: UTC.
        parameters: of the runs of this schedule, over those of the deployment.
    """

    slug: str
    cron: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Deployment:
    """One deployment, as both ways of registering need it.

    Attributes:
        entrypoint: the flow by module path, so that an installed package is all a worker needs.
        schedules: none for what a person or another flow starts.
    """

    name: str
    entrypoint: str
    description: str
    tags: tuple[str, ...]
    schedules: tuple[Schedule, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    queue: str = "scheduled"


def declare(
    schedules: ScheduleSettings,
    recovery: RecoverySettings,
    sources: Sequence[str],
    rhythmic: Sequence[str],
) -> list[Deployment]:
    """All deployments, for the given sources; of some of them, a contract says how often they deliver."""
    return [
        *(_delivery(source, schedules) for source in sources),
        Deployment(
            name="backfill",
            entrypoint="flows.backfill.backfill",
            description="Deliver what is unsealed of past days, one run a day, after all that is scheduled.",
            tags=(WATCHED, "backfill"),
            queue="backfill",
        ),
        Deployment(
            name="replay-quarantine",
            entrypoint="flows.replay.replay_quarantine",
            description="Send quarantined lines through the stages again, after a contract was corrected.",
            tags=(WATCHED, "quarantine"),
        ),
        Deployment(
            name="reconcile-gaps",
            entrypoint="flows.reconcile.reconcile_gaps",
            description="Deliver what was left behind, seal heartbeats of silent sources, say what is missing.",
            tags=(WATCHED, "completeness"),
            schedules=tuple(Schedule(f"reconcile-{s}", schedules.reconcile, {"source": s}) for s in rhythmic),
        ),
        Deployment(
            name="publish-catalog",
            entrypoint="flows.publishing.publish_catalog",
            description="Sign what is sealed, have it witnessed and time-stamped, and publish the catalog of it.",
            tags=(WATCHED, "catalog"),
            schedules=(Schedule("publish-catalog", schedules.publish),),
        ),
        Deployment(
            name="verify",
            entrypoint="flows.verification.verify",
            description="Check everything that is sealed, from the public format alone.",
            tags=(WATCHED, "verify"),
            schedules=(Schedule("verify", schedules.verify),),
        ),
        Deployment(
            name="audit-integrity",
            entrypoint="flows.auditing.audit_integrity",
            description="Audit what is due, a random sample and what surrounds the log; once a month, everything.",
            tags=(WATCHED, "audit"),
            schedules=(
                Schedule("audit-sample", schedules.audit),
                Schedule("audit-whole", schedules.audit_whole, {"whole": True}),
            ),
        ),
        Deployment(
            name="export-evidence",
            entrypoint="flows.exporting.export_evidence",
            description="Write an evidence bundle of the month before, or of the days that are asked for.",
            tags=(WATCHED, "export"),
            schedules=(Schedule("export-evidence", schedules.export),),
        ),
        Deployment(
            name="recover",
            entrypoint="flows.recover.recover",
            description="Start crashed runs again, with growing pauses; give up on those that crash every time.",
            tags=("recovery",),  # not watched: a crash of it must not start another one
            schedules=(Schedule("recover", schedules.recover),),
            parameters={"max_recoveries": recovery.max_recoveries, "pause_seconds": recovery.pause_s},
            queue="recovery",
        ),
    ]


def with_rhythm(sources: Sequence[str], contracts: Path | None = None) -> list[str]:
    """The sources whose contract says how often they deliver. A source without a contract fails when it runs."""
    known = set(list_sources(contracts)).intersection(sources)
    return [s for s in sources if s in known and load_contract(s, contracts).rhythm is not None]


def _delivery(source: str, schedules: ScheduleSettings) -> Deployment:
    return Deployment(
        name=source,
        entrypoint="flows.deliver.deliver",
        description=f"Deliver every drop of {source} that is not sealed yet.",
        tags=(WATCHED, source),
        schedules=(Schedule(source, schedules.deliver.get(source, schedules.deliver_default)),),
        parameters={"source": source, "look_back_days": schedules.look_back_days},
    )


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
                    "job_variables": {"command": f"python {ENGINE}"},
                },
                "schedules": [
                    {"cron": s.cron, "timezone": "UTC", "slug": s.slug, "parameters": s.parameters}
                    for s in d.schedules
                ],
            }
            for d in deployments
        ],
    }
    head = "# Written by `python -m flows.deployments`; change flows/deployments.py instead.\n"
    return head + yaml.safe_dump(document, sort_keys=False, width=110)


if __name__ == "__main__":
    every = list_sources()
    sys.stdout.write(as_yaml(declare(ScheduleSettings(), RecoverySettings(), every, with_rhythm(every))))
