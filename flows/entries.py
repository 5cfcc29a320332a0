"""Entries that are no batch: holds, audits, gaps, keys. Whatever an auditor may rely on is an entry of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from flows import pipeline
from flows.wiring import Runtime
from tasks.errors import AlreadyExistsError
from tasks.evidence.entry import OtherEntry, encode_entry
from tasks.log import writer

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
    while True:
        year = pipeline.current_shard(runtime)
        catalog.sync()
        index = catalog.size(year)
        sealed_at = runtime.store.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        common = {"format": "indelible/1", "sealed_at": sealed_at, "type": kind}
        entry = encode_entry(cast("OtherEntry", {**body, **common}))
        try:
            writer.append(runtime.store, year, index, entry, pipeline.log_until(runtime))
        except AlreadyExistsError:
            continue  # another writer took the index; what it sealed may matter, so the log is read again
        return year, index
