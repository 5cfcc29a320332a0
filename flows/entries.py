"""Entries that are no batch: holds, audits, gaps, keys. Whatever an auditor may rely on is an entry of the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from flows.shards import current_shard, log_until, terms
from flows.wiring import Runtime
from tasks.contracts.model import Contract
from tasks.errors import AlreadyExistsError
from tasks.evidence.entry import OtherEntry, encode_entry
from tasks.evidence.terms import instant
from tasks.log import writer
from tasks.retention import solve

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog


def append_entry(runtime: Runtime, catalog: Catalog, kind: str, body: Mapping[str, Any]) -> tuple[int, int]:
    """Seal one entry at the end of the log; `pipeline.publish` then brings it under a checkpoint.

    Args:
        runtime: the deployment.
        catalog: read up to the end of the log before the index is taken.
        kind: entry type, for example `hold`.
        body: the entry's own fields; format, type and time are added.

    Returns:
        Shard and index.
    """
    catalog.sync()
    while (place := _try_append(runtime, catalog, kind, body)) is None:
        catalog.sync()
    return place


def append_unless(
    runtime: Runtime, catalog: Catalog, kind: str, body: Mapping[str, Any], is_sealed: Callable[[], bool]
) -> None:
    """As `append_entry`, but nothing when `is_sealed` says so of the log as it is just before."""
    catalog.sync()
    while not is_sealed() and _try_append(runtime, catalog, kind, body) is None:
        catalog.sync()


def append_made(
    runtime: Runtime, catalog: Catalog, kind: str, make: Callable[[int], Mapping[str, Any] | None]
) -> tuple[tuple[int, int], Mapping[str, Any]] | None:
    """As `append_entry`, with a body that says something of the log as it is just before.

    Args:
        runtime: the deployment.
        catalog: is read up to the end of the log before each attempt.
        kind: entry type.
        make: log in which the entry will stand -> its body; None when there is nothing to seal any more.

    Returns:
        Shard and index, and the body; or None.
    """
    while True:
        year = current_shard(runtime)
        catalog.sync()
        body = make(year)
        if body is None:
            return None
        if (place := _try_append(runtime, catalog, kind, body)) is not None:
            return place, body


def _try_append(
    runtime: Runtime, catalog: Catalog, kind: str, body: Mapping[str, Any]
) -> tuple[int, int] | None:
    """Seal just after what the catalog has read; None when another writer was there: what it sealed may matter."""
    year = current_shard(runtime)
    index = catalog.size(year)
    sealed_at = instant(runtime.store.now())
    common = {"format": "indelible/1", "sealed_at": sealed_at, "type": kind}
    entry = encode_entry(cast("OtherEntry", {**body, **common}))
    try:
        writer.append(runtime.store, year, index, entry, log_until(runtime))
    except AlreadyExistsError:
        return None
    return year, index


def record_class(runtime: Runtime, catalog: Catalog, contract: Contract) -> None:
    """Seal how long the source's records are kept, where that is new or has changed, before it takes effect."""
    of_source = terms(runtime, contract)
    data = solve(of_source, "data")
    others = [terms(runtime, other) for other in runtime.contracts()]
    body = {
        "action": "class",
        "data_days": data.days,
        "log_days": solve(of_source, "log", others).days,
        "maximum_days": of_source.maximum,
        "retention_class": of_source.retention_class,
        "rule": data.rule,
        "scope": {"since": None, "source": contract.source, "subject": None, "until": None},
    }

    def is_sealed() -> bool:
        sealed = catalog.retention_class(contract.source)
        return sealed is not None and body.items() <= sealed.items()

    append_unless(runtime, catalog, "retention", body, is_sealed)
