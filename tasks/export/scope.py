"""Which sealed batches belong to a period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tasks.errors import NotFoundError
from tasks.evidence.entry import parse_entry
from tasks.evidence.seal_entry import SealEntry, sealed_objects
from tasks.export.log import SignedLog


@dataclass(frozen=True, slots=True)
class Batch:
    """One seal entry of the period, and the log that it stands in."""

    log: SignedLog
    index: int
    entry: SealEntry

    @property
    def name(self) -> str:
        """`<year>-<index>`."""
        return f"{self.log.year:04d}-{self.index}"

    def objects(self) -> list[Mapping[str, Any]]:
        """What the entry says of each object that it names."""
        return sealed_objects(self.entry)


@dataclass(frozen=True, slots=True)
class Scope:
    """A period and what was sealed of it.

    Attributes:
        since: first day.
        until: last day, included.
        logs: each log that has a batch of the period, with all its entries.
        batches: in the order of the logs.
        created_at: when the newest entry of these logs was sealed, RFC 3339. It stands for the wall clock, so
            that equal evidence gives an equal bundle.
    """

    since: date
    until: date
    logs: Sequence[tuple[SignedLog, Sequence[bytes]]]
    batches: Sequence[Batch]
    created_at: str

    @property
    def sources(self) -> list[str]:
        """Names of the sources that delivered in the period."""
        return sorted({batch.entry["source"] for batch in self.batches})


def select(logs: Sequence[SignedLog], since: date, until: date) -> Scope:
    """The batches with an event in the period.

    A batch without accepted rows has no event date; it belongs to the day on which it was sealed.

    Raises:
        NotFoundError: nothing under a checkpoint belongs to the period.
        VerificationError: a log's entries are not those that were signed.
    """
    chosen: list[tuple[SignedLog, Sequence[bytes]]] = []
    batches: list[Batch] = []
    sealed: list[str] = []
    for log in logs:
        entries = log.entries()
        parsed = [parse_entry(data) for data in entries]
        found = [
            Batch(log, index, entry)
            for index, entry in enumerate(parsed)
            if entry["type"] == "seal" and _belongs(entry, since, until)
        ]
        if found:
            chosen.append((log, entries))
            batches += found
            sealed += [entry["sealed_at"] for entry in parsed if entry["type"] in {"genesis", "seal"}]
    if not batches:
        raise NotFoundError(
            f"no sealed batch has events from {since} to {until} that a checkpoint covers",
            next_step="Run `indelible status` to see which dates are sealed.",
        )
    return Scope(since, until, chosen, batches, max(sealed))


def _belongs(entry: SealEntry, since: date, until: date) -> bool:
    days = {file["event_date"] for file in entry["files"]} or {entry["sealed_at"][:10]}
    return any(since.isoformat() <= day <= until.isoformat() for day in days)
