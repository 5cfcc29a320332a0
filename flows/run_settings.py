"""The section `[run]`: how deliveries run, and how much of a machine or a cluster they take."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RunSettings(BaseModel):
    """How deliveries run. A larger machine or a cluster is a setting, not a change of code."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runner: Literal["threads", "processes", "dask"] = Field(
        default="threads",
        description="who reads and seals batches: this process, others here, or a Dask cluster",
    )
    workers: int = Field(default=1, ge=1, le=256, description="batches that are worked on at the same time")
    in_flight: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="batches handed out and not ended, default: workers; times [limits] batch_bytes bounds memory",
    )
    dask_address: str | None = Field(
        default=None,
        pattern=r"^(tcp|tls)://[^\s]+$",
        description="scheduler of a running cluster; default: a cluster on this machine for each run",
    )
    attempts: int = Field(
        default=5,
        ge=1,
        le=20,
        description="failures of a drop alone before it is quarantined as poison; more than one run makes",
    )

    @property
    def most_in_flight(self) -> int:
        """How many batches may be handed out and not ended."""
        return self.in_flight or self.workers
