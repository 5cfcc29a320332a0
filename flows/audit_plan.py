"""What one audit does: fixed when it begins, from what the log says of the audits before it."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

from flows.shards import log_keys
from flows.wiring import Runtime
from tasks.audit import schedule
from tasks.audit.findings import CHECKS
from tasks.errors import UsageError
from tasks.evidence.audit_entry import SLOTS, sample_seed, slot
from tasks.evidence.completeness_entry import moment
from tasks.evidence.seal_entry import DataFile, sealed_objects
from tasks.evidence.terms import instant
from tasks.log import reader

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

KIND: Final = "store-audit"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for.

    Attributes:
        whole: every object and every row, instead of what is due and a sample.
        sample: records to hash again; None takes the setting.
        budget: bytes of files that a sample audit may read; None takes the setting.
        without: checks to leave out, which the result then says.
    """

    whole: bool = False
    sample: int | None = None
    budget: int | None = None
    without: frozenset[str] = frozenset()

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            UsageError: a check has no such name, or a whole audit is to be cut short.
        """
        optional = [name for name in CHECKS if name != "log"]
        if unknown := sorted(self.without - set(optional)):
            raise UsageError(
                f"no check that can be left out: {', '.join(unknown)}",
                next_step=f"Checks: {', '.join(optional)}.",
            )
        if self.whole and (self.sample is not None or self.budget is not None):
            raise UsageError(
                "a whole audit reads everything", next_step="Leave out --whole, or --sample and --budget."
            )


@dataclass(frozen=True, slots=True)
class Plan:
    """What one audit does, fixed when it begins. Its values are JSON values."""

    began_at: str
    shard: int
    size: int
    root: str
    sizes: Mapping[str, int]
    mode: str
    slots: Sequence[int]
    overdue: Sequence[int]
    period_days: int
    sample: int
    budget: int | None
    without: Sequence[str]
    store: str
    software: str

    @property
    def logs(self) -> dict[int, int]:
        """Log -> entries that are audited."""
        return {int(year): size for year, size in self.sizes.items()}

    @property
    def seed(self) -> str:
        """The seed of the sample."""
        return sample_seed(self.root, self.began_at)


@dataclass(slots=True)
class Sealed:
    """What seal entries name, summed up.

    Attributes:
        files: data files with rows, in the order in which records are numbered, each with its personal columns.
        ends: number after the last record of each file.
        slot_bytes: slot of the rolling schedule -> bytes of its objects.
        days: event date -> bytes of its data files.
    """

    files: list[tuple[DataFile, Sequence[str]]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    slot_bytes: Counter[int] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)

    @property
    def population(self) -> int:
        """Records."""
        return self.ends[-1] if self.ends else 0

    @classmethod
    def read(cls, catalog: Catalog, sizes: Mapping[int, int]) -> Sealed:
        """Of the entries under these checkpoints, as the catalog has them."""
        found = cls()
        for document in documents(catalog, sizes):
            entry = json.loads(document)
            if entry["type"] != "seal":
                continue
            for facts in sealed_objects(entry):
                found.slot_bytes[slot(facts["sha256"])] += facts.get("bytes", 0)
            for facts in entry["files"]:
                found.days[facts["event_date"]] += facts["bytes"]
                found.files.append((facts, entry["personal"]))
                found.ends.append(found.population + facts["rows"])
        return found

    def draw(self, numbers: Sequence[int]) -> Iterator[tuple[DataFile, Sequence[str], list[int]]]:
        """The files of these records (ascending), each with the rows."""
        placed = ((bisect_right(self.ends, number), number) for number in numbers)
        for place, group in groupby(placed, key=lambda pair: pair[0]):
            first = self.ends[place - 1] if place else 0
            facts, personal = self.files[place]
            yield facts, personal, [number - first for _, number in group]


def make_plan(runtime: Runtime, catalog: Catalog, order: Order) -> Plan:
    """What an audit that begins now does."""
    settings, now = runtime.settings.audit, runtime.store.now()
    sizes = {
        year: checkpoint for year in reader.shards(runtime.store) if (checkpoint := _newest(runtime, year))
    }
    if not sizes:
        raise UsageError("nothing is sealed yet", next_step="Run: indelible deliver SOURCE")
    shard = max(sizes)
    size, root = sizes[shard]
    budget = order.budget if order.budget is not None else settings.budget_bytes
    done, began = slots_done(catalog), _began(catalog)
    period = timedelta(days=settings.period_days)
    everything = {year: size for year, (size, _) in sizes.items()}
    taken = list(range(SLOTS))
    if not order.whole:
        due = schedule.due(done, began, now, period)
        taken = schedule.within(due, Sealed.read(catalog, everything).slot_bytes, budget)
    return Plan(
        began_at=instant(now),
        shard=shard,
        size=size,
        root=root,
        sizes={str(year): size for year, size in everything.items()},
        mode="whole" if order.whole else "sample",
        slots=sorted(taken),
        overdue=schedule.overdue(done, began, now, period, taken),
        period_days=settings.period_days,
        sample=settings.sample if order.sample is None else order.sample,
        budget=None if order.whole else budget,
        without=sorted(order.without),
        store=runtime.store.uri,
        software=runtime.software,
    )


def slots_done(catalog: Catalog) -> dict[int, datetime]:
    """Slot -> when the newest audit that read it back began, as the log says."""
    rows = catalog.connection.execute(
        "SELECT slot, max(began) FROM (SELECT unnest((document->'$.slots')::INTEGER[]) AS slot,"
        " document->>'$.began_at' AS began FROM entries"
        " WHERE type = 'audit' AND (document->>'$.kind') = ?) GROUP BY slot",
        [KIND],
    ).fetchall()
    return {slot: moment(began) for slot, began in rows}


def _newest(runtime: Runtime, year: int) -> tuple[int, str] | None:
    found = reader.newest_checkpoint(runtime.store, year, *log_keys(runtime, year))
    return None if found is None else (found[0].size, found[0].root.hex())


def _began(catalog: Catalog) -> datetime:
    rows = catalog.connection.execute("SELECT min(sealed_at) FROM entries").fetchall()
    return moment(rows[0][0])


def documents(catalog: Catalog, sizes: Mapping[int, int]) -> Iterator[str]:
    """The entries under these checkpoints as the catalog has them, in the order of the logs."""
    for year, size in sorted(sizes.items()):
        rows = catalog.connection.execute(
            "SELECT document FROM entries WHERE shard = ? AND entry < ? ORDER BY entry", [year, size]
        )
        while page := rows.fetchmany(1_000):
            yield from (document for (document,) in page)
