"""Completeness of a source: seal heartbeats, check, explain gaps, and deliver what was left behind.

Whatever must be remembered between runs is in the log: inventories are named by heartbeats. Put here: reading
and sealing. Do not put here: what is wrong (`tasks.completeness`), Prefect (`flows.reconcile`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from flows import pipeline
from flows.entries import append_made
from flows.heartbeats import Sealed, seal_heartbeats
from flows.holding import Order
from flows.inventories import (
    expected,
    landed_digest,
    landed_drops,
    read_list,
    require_appender,
    scope,
    sealed_by_key,
    store_list,
)
from flows.receipts import BatchReceipt
from flows.wiring import Runtime
from tasks.catalog.completeness import (
    event_counts,
    event_minutes,
    first_event,
    gaps,
    heartbeat_ends,
    heartbeats,
)
from tasks.completeness.check import Beat, Observed, check
from tasks.completeness.findings import CODES, Explanations, Finding
from tasks.completeness.intervals import Interval, floor, from_us
from tasks.completeness.rhythm import compared_days
from tasks.contracts.rhythm import LENGTHS, Rhythm
from tasks.errors import UsageError
from tasks.evidence.completeness_entry import (
    GapLine,
    InventoryLine,
    moment,
)
from tasks.evidence.terms import instant

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

LOOK_BACK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Checked:
    """A check of one source.

    Attributes:
        whole: the time that was asked for.
        measured: the part of it that is due by now and after the source began.
        since: when the source's first heartbeat begins; before it, no inventory was taken. None: never.
        intervals: heartbeats in `whole`.
        drops: drops of `whole` in the landing place.
        findings: what is wrong, explained or not.
    """

    source: str
    whole: Interval
    measured: Interval
    since: datetime | None
    intervals: int
    drops: int
    findings: Sequence[Finding]

    @property
    def open(self) -> list[Finding]:
        """The findings that no gap entry explains."""
        return [finding for finding in self.findings if not finding.gap]

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "source": self.source,
            "since": instant(self.whole.since),
            "until": instant(self.whole.until),
            "measured": {"since": instant(self.measured.since), "until": instant(self.measured.until)},
            "heartbeats_since": None if self.since is None else instant(self.since),
            "heartbeats": self.intervals,
            "landed_drops": self.drops,
            "open": len(self.open),
            "explained": len(self.findings) - len(self.open),
            "findings": [finding.as_json() for finding in self.findings],
        }


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a reconciliation delivered and sealed, and what stays open."""

    receipts: Sequence[BatchReceipt]
    heartbeats: Sequence[Sealed]
    checked: Checked

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "batches": [receipt.as_json() for receipt in self.receipts],
            "heartbeats": len(self.heartbeats),
            **self.checked.as_json(),
        }


def check_completeness(
    runtime: Runtime, source: str, since: datetime | None = None, until: datetime | None = None
) -> Checked:
    """Compare what landed, what is sealed and what is expected. Writes nothing.

    Args:
        runtime: the deployment.
        source: whose.
        since: first moment; by default seven days ago.
        until: end, not included; by default now.

    Raises:
        UsageError: the contract expects nothing of the source, or the time ends before it begins.
        VerificationError: an inventory or a list of findings is not as it was sealed.
    """
    rhythm, now = expected(runtime, source), runtime.store.now()
    whole = Interval(since or now - LOOK_BACK, until or now)
    if whole.until <= whole.since:
        raise UsageError("--until does not lie after --since", next_step="Give a later --until.")
    with runtime.catalog() as catalog:
        return _check(runtime, catalog, source, rhythm, whole, now)


def explain(
    runtime: Runtime, source: str, whole: Interval, codes: Sequence[str], order: Order
) -> tuple[list[Finding], tuple[int, int]]:
    """Seal a gap entry over the findings of a time that are open now; they then count as explained.

    Args:
        runtime: the deployment.
        source: whose.
        whole: the time.
        codes: only these; all when empty.
        order: who explains, who accepts it, and why.

    Returns:
        What is explained, and shard and index of the entry.

    Raises:
        UsageError: nothing of that kind is open, or requester and approver are one.
    """
    order.check()
    require_appender(runtime)
    if unknown := sorted(set(codes) - set(CODES)):
        raise UsageError(f"no such code: {', '.join(unknown)}", next_step=f"Codes: {', '.join(CODES)}.")
    rhythm, now = expected(runtime, source), runtime.store.now()
    with runtime.catalog() as catalog:
        explained: list[Finding] = []

        def make(_: int) -> dict[str, Any] | None:
            checked = _check(runtime, catalog, source, rhythm, whole, now)
            explained[:] = [f for f in checked.open if not codes or f.code in codes]
            return _gap(runtime, source, explained, order) if explained else None

        appended = append_made(runtime, catalog, "gap", make)
        if appended is None:
            raise UsageError(
                "nothing of that kind is open in that time",
                next_step=f"indelible completeness check {source}",
            )
        pipeline.publish(runtime, catalog)
    return explained, appended[0]


def list_gaps(runtime: Runtime, source: str | None = None) -> list[dict[str, Any]]:
    """The register of explained gaps, the oldest first."""
    kept = ("approver", "codes", "reason", "requested_by", "scope", "sealed_at")
    with runtime.catalog() as catalog:
        return [
            {
                "id": f"{shard:04d}-{index}",
                **{key: entry[key] for key in kept},
                "findings": entry["findings"]["count"],
            }
            for shard, index, entry in gaps(catalog, source)
        ]


def reconcile(
    runtime: Runtime,
    source: str,
    since: datetime | None = None,
    until: datetime | None = None,
    progress: pipeline.Progress = lambda _: None,
) -> Reconciled:
    """Deliver what is unsealed in a time, seal the heartbeats that are due, and check again.

    Args:
        runtime: the deployment.
        source: whose.
        since: first moment; by default seven days ago.
        until: end, not included; by default now.
        progress: told what is done.
    """
    require_appender(runtime)
    expected(runtime, source)
    window = pipeline_window(since or runtime.store.now() - LOOK_BACK, until)
    receipts, _ = pipeline.deliver(runtime, source, window, progress)
    beats = seal_heartbeats(runtime, source, progress=progress)
    progress("checking")
    return Reconciled(receipts, beats, check_completeness(runtime, source, since, until))


def pipeline_window(since: datetime, until: datetime | None) -> pipeline.Window:
    """The days of a time, whole: a drop's key may give no more than a day."""
    last = None if until is None else (until + timedelta(days=1) - timedelta(microseconds=1)).date()
    return pipeline.Window(since.date(), last)


def _check(
    runtime: Runtime, catalog: Catalog, source: str, rhythm: Rhythm, whole: Interval, now: datetime
) -> Checked:
    landing, landed = runtime.landing(source), landed_drops(runtime, source, whole)
    beats = [
        Beat(
            Interval(moment(entry["scope"]["since"]), moment(entry["scope"]["until"])),
            _inventory(runtime, entry),
        )
        for _, _, entry in heartbeats(catalog, source, whole.since, whole.until)
    ]
    keys = {drop.key for drop in landed} | {line["key"] for beat in beats for line in beat.lines}
    ends, first = heartbeat_ends(catalog, source), first_event(catalog, source)
    began = None if ends is None else moment(ends[0])
    starts = [start for start in (began, None if first is None else from_us(first)) if start is not None]
    start = max(whole.since, min(starts, default=whole.until))
    end = min(whole.until, floor(now - rhythm.latency, rhythm.interval))
    measured = Interval(min(start, max(end, whole.since)), max(end, whole.since))
    days = {day.date() for day in compared_days(measured)} if rhythm.min_volume_pct is not None else set()
    observed = Observed(
        whole=whole,
        measured=measured,
        landed=landed,
        sealed=sealed_by_key(catalog, source, sorted(keys), whole),
        beats=beats,
        began=began,
        minutes=event_minutes(catalog, source, measured.since, measured.until),
        counts=event_counts(catalog, source, days, LENGTHS[rhythm.interval]),
    )
    found = check(
        observed, rhythm, now, partial(landed_digest, landing), _explanations(runtime, catalog, source)
    )
    return Checked(source, whole, measured, began, len(beats), len(landed), found)


def _gap(runtime: Runtime, source: str, findings: Sequence[Finding], order: Order) -> dict[str, Any]:
    lines = [finding.line() for finding in findings]
    whole = Interval(
        min(moment(line["since"]) for line in lines), max(moment(line["until"]) for line in lines)
    )
    return {
        **asdict(order),
        "codes": sorted({finding.code for finding in findings}),
        "findings": store_list(runtime, lines),
        "scope": scope(source, whole),
    }


def _inventory(runtime: Runtime, entry: Mapping[str, Any]) -> list[InventoryLine]:
    return [] if entry["inventory"] is None else read_list(runtime, entry["inventory"], InventoryLine)


def _explanations(runtime: Runtime, catalog: Catalog, source: str) -> Explanations:
    explanations = Explanations()
    for shard, index, entry in gaps(catalog, source):
        for line in read_list(runtime, entry["findings"], GapLine):
            explanations.add(f"{shard:04d}-{index}", line)
    return explanations
