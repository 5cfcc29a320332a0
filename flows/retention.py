"""Retention: what would be locked and until when, before it is; and extending locks of what is sealed.

Nothing here shortens a lock. A COMPLIANCE lock cannot be taken back, so the plan comes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from flows import holding, pipeline
from flows.entries import append_entry
from flows.holding import Order, Scope
from flows.holds import check_scope, require_worm, signed_sizes
from flows.receipts import CheckpointReceipt
from flows.shards import log_until, terms
from flows.wiring import Runtime
from tasks.errors import NotFoundError, UsageError
from tasks.evidence import paths
from tasks.evidence.terms import instant
from tasks.retention import KINDS, Decision, Kind, solve

# Bytes in the store for a byte of drops, before the source has a history that tells.
_FIRST_GUESS: Final[Mapping[Kind, float]] = {"data": 0.15, "quarantine": 0.01, "ledger": 0.01}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a delivery would lock.

    Attributes:
        drops, bytes: what is in the landing place and not sealed, as it is listed.
        decisions: one a kind of object.
        estimate: kind -> bytes that would be locked; kinds whose objects are small and few are absent.
        until: kind -> end of the lock, if it were stored now.
        measured: whether the estimate comes from what the source sealed before, or is a first guess.
    """

    source: str
    retention_class: str
    worm: bool
    drops: int
    bytes: int
    decisions: tuple[Decision, ...]
    estimate: Mapping[str, int]
    until: Mapping[str, datetime]
    measured: bool

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def plan(runtime: Runtime, source: str, window: pipeline.Window) -> Plan:
    """What the next delivery of a source would lock. Lists the landing place, reads no drop, writes nothing."""
    contract = runtime.contract(source)
    of_source, others = terms(runtime, contract), [terms(runtime, c) for c in runtime.contracts()]
    with runtime.catalog() as catalog:
        batches = pipeline.find_new(runtime, source, window, catalog)
        sizes = [drop.size for batch in batches for drop in batch]
        holds = [
            h.id
            for h in holding.register(catalog)
            if h.release is None and h.entry["scope"]["source"] == source
        ]
        rows = catalog.connection.execute(
            "SELECT (SELECT sum(bytes) FROM batches WHERE source = $1),"
            " (SELECT sum(bytes) FROM files WHERE source = $1 AND role = 'data'),"
            " (SELECT sum(bytes) FROM files WHERE source = $1 AND role = 'quarantine'),"
            " (SELECT sum((document->>'$.ledger.bytes')::BIGINT) FROM entries"
            "  WHERE source = $1 AND type = 'seal')",
            [source],
        ).fetchall()
    before, *sealed = (int(value or 0) for value in rows[0])
    shares = dict(zip(_FIRST_GUESS, (n / before for n in sealed), strict=True)) if before else _FIRST_GUESS
    decisions = tuple(solve(of_source, kind, others, holds if kind != "catalog" else ()) for kind in KINDS)
    now = runtime.store.now()
    return Plan(
        source=source,
        retention_class=of_source.retention_class,
        worm=runtime.store.worm,
        drops=len(sizes),
        bytes=sum(sizes),
        decisions=decisions,
        estimate={kind: round(share * sum(sizes)) for kind, share in shares.items()},
        until={decision.kind: decision.until(now) for decision in decisions},
        measured=bool(before),
    )


def extend(
    runtime: Runtime, scope: Scope, until: date, order: Order
) -> tuple[Mapping[str, int], CheckpointReceipt]:
    """Let the locks of everything in a scope end no earlier than the end of a day; log objects later still.

    The entry is sealed first. Extending again with the same day does what a process that died left undone.

    Args:
        runtime: the deployment.
        scope: what is sealed; without a subject.
        until: last day of the lock, UTC.
        order: who asked, who approved, why.

    Returns:
        Kind of object (its first path segment) -> locks that were changed.

    Raises:
        UsageError: the day is beyond the privacy maximum, or every lock ends later already.
        NotFoundError: nothing is sealed in the scope.
    """
    check_scope(runtime, scope)
    order.check()
    require_worm(runtime.store)
    end = datetime.combine(until + timedelta(days=1), time(), UTC)
    log_end = end + timedelta(days=runtime.settings.retention.extra_log_days)
    with runtime.catalog() as catalog:
        pipeline.publish(runtime, catalog)
        versions = holding.covered(runtime.store, catalog, scope, signed_sizes(runtime.store))
        if not versions:
            raise NotFoundError("nothing is sealed in this scope", next_step="Run `indelible status`.")
        wanted = {v: log_end if v[0].startswith(paths.LOG_PREFIX) else end for v in sorted(versions)}
        _check_end(runtime, scope, end, wanted)
        body = {
            **asdict(order),
            "action": "extend",
            "log_retain_until": instant(log_end),
            "objects": holding.store_list(runtime, versions, max(log_end, log_until(runtime))),
            "retain_until": instant(end),
            "scope": scope.as_json(),
        }
        append_entry(runtime, catalog, "retention", body)
        changed: Counter[str] = Counter()
        for (path, version_id), moment in wanted.items():
            changed[path.split("/", 1)[0]] += runtime.store.extend_retention(path, version_id, moment)
        return changed, pipeline.publish(runtime, catalog)


def _check_end(
    runtime: Runtime, scope: Scope, end: datetime, wanted: Mapping[holding.Version, datetime]
) -> None:
    maximum = runtime.contract(scope.source).retention_max_days
    later = False
    for (path, version_id), moment in wanted.items():
        info = runtime.store.head(path, version_id)
        later = later or info.retain_until is None or info.retain_until < moment
        personal = path.startswith((paths.DATA_PREFIX, paths.QUARANTINE_PREFIX, paths.IDENTITIES_PREFIX))
        if maximum is not None and personal and end > info.modified + timedelta(days=maximum):
            raise UsageError(
                f"{path} was sealed at {instant(info.modified)} and may be kept {maximum} days at most",
                next_step="Choose an earlier day or a smaller scope, or place a legal hold.",
            )
    if not later:
        raise UsageError(
            "every lock in this scope ends later already, and a lock is never shortened",
            next_step="Choose a later day.",
        )
