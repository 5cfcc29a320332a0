"""Which drops a landing place holds, and which of them are read together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from tasks.batch import Drop
from tasks.contracts.model import Contract
from tasks.storage.protocol import ObjectInfo, Readable

_GZIP_RATIO = 10  # of access logs, 6 to 16; only the size of batches depends on it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def list_drops(landing: Readable, contract: Contract) -> Iterator[Drop]:
    """The drops of a source, in the order of their keys.

    Only the contract's own patterns decide: nothing is hidden because of its name.

    Args:
        landing: the landing place.
        contract: whose `landing_include` and `landing_exclude` patterns a key must and must not match.

    Raises:
        StoreUnavailableError: the landing place cannot be reached now.
        StoreRefusedError: it may not be listed.
    """
    for info in landing.list():
        included = any(fnmatchcase(info.path, pattern) for pattern in contract.landing_include)
        excluded = any(fnmatchcase(info.path, pattern) for pattern in contract.landing_exclude)
        if included and not excluded:
            yield _drop(contract.source, info)


def plan(drops: Iterable[Drop], *, max_bytes: int, max_drops: int) -> Iterator[tuple[Drop, ...]]:
    """Group drops into batches, in the order of their keys.

    Args:
        drops: those to read.
        max_bytes: text of a batch, as estimated from names and stored sizes; a single larger drop is a
            batch of its own.
        max_drops: drops of a batch.
    """
    batch: list[Drop] = []
    size = 0
    for drop in sorted(drops, key=lambda drop: drop.key):
        expected = drop.size * (_GZIP_RATIO if drop.key.endswith(".gz") else 1)
        if batch and (size + expected > max_bytes or len(batch) >= max_drops):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(drop)
        size += expected
    if batch:
        yield tuple(batch)


def _drop(source: str, info: ObjectInfo) -> Drop:
    modified_us = (info.modified - _EPOCH) // timedelta(microseconds=1)
    return Drop(source, info.path, info.size, info.etag, info.version_id or None, modified_us)
