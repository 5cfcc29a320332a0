"""Receipts: small JSON values that say what a run did. They may cross a Prefect boundary and be shown to anyone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from tasks.batch import RedactedBatch, SealedBatch


@dataclass(frozen=True, slots=True)
class BatchReceipt:
    """One sealed batch. `lines = accepted + quarantined + duplicate + blank`."""

    source: str
    shard: int
    entry: int
    drops: int
    lines: int
    accepted: int
    quarantined: int
    duplicate: int
    blank: int
    bytes: int
    held: bool
    files: int
    rules: Mapping[str, int]
    unknown_fields: Mapping[str, int]
    redaction: Mapping[str, Any]
    flags: tuple[str, ...]

    @classmethod
    def of(cls, shard: int, sealed: SealedBatch, batch: RedactedBatch) -> Self:
        """The receipt of a sealed batch."""
        import polars as pl

        reasons = batch.set_aside.select(pl.col("rules").explode()).to_series().drop_nulls().value_counts()
        return cls(
            source=batch.source,
            shard=shard,
            entry=sealed.index,
            held=batch.gate.held,
            files=len(sealed.entry["files"]),
            rules={str(rule): int(count) for rule, count in sorted(reasons.iter_rows())},
            unknown_fields=dict(batch.unknown_fields),
            redaction=dict(batch.report),
            flags=tuple(sorted({flag for drop in batch.drops for flag in drop.flags})),
            **sealed.entry["sums"],
        )

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def facts(self) -> dict[str, Any]:
        """For a log line: where it lies, and counts."""
        names = (
            "source",
            "shard",
            "entry",
            "drops",
            "lines",
            "accepted",
            "quarantined",
            "duplicate",
            "blank",
        )
        return {name: getattr(self, name) for name in (*names, "bytes", "held", "files")}


@dataclass(frozen=True, slots=True)
class CheckpointReceipt:
    """The signed state after a run.

    Attributes:
        lost: sealed files that are not in the store, and which the published catalog had to leave out.
        unheld: why legal holds in force were not put on what is new; empty when they were.
        witnessed: entries under the newest checkpoint that a quorum of witnesses has cosigned.
        unwitnessed: by witness, why it has not cosigned the newest checkpoint.
        contradicted: a witness has seen another history of this log.
        timestamped: entries under the newest checkpoint that has a time-stamp token.
        untimestamped: why the newest checkpoint has none.
    """

    shard: int
    origin: str
    size: int
    root: str
    advanced: bool
    catalog: str
    lost: tuple[str, ...] = ()
    unheld: str = ""
    witnessed: int | None = None
    unwitnessed: Mapping[str, str] = field(default_factory=dict)
    contradicted: bool = False
    timestamped: int | None = None
    untimestamped: str = ""

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def facts(self) -> dict[str, Any]:
        """For a log line."""
        return {"shard": self.shard, "origin": self.origin, "checkpoint_size": self.size}


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that another run asked for.

    Attributes:
        id: of Prefect's, for links.
    """

    name: str
    id: str
