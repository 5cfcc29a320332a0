"""Which drops a landing place holds, and which of them are read together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from tasks.batch import Drop
from tasks.contracts.model import Contract
from tasks.storage.protocol import ObjectInfo, Readable

_GZIP_RATIO = 10  # of access logs, 6 to 16; only the size of batches depends on it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY_DATE: Final = re.compile(r"(?<!\d)(20\d\d)[-/]?(0[1-9]|1[0-2])[-/]?(0[1-9]|[12]\d|3[01])(?!\d{3})")


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


def drop_date(drop: Drop) -> date:
    """The date that a drop's key names (`2023/07/10`, `2023-07-10`, `20230710`), or that of its landing."""
    for match in _KEY_DATE.finditer(drop.key):
        with suppress(ValueError):
            return date(int(match[1]), int(match[2]), int(match[3]))
    return datetime.fromtimestamp(drop.modified_us / 1e6, UTC).date()


def plan(
    drops: Iterable[Drop], *, max_bytes: int, max_drops: int, max_dates: int
) -> Iterator[tuple[Drop, ...]]:
    """Group drops into batches, in the order of their dates and keys.

    Each proof of a record carries its batch's entry, which names a data file for every event date: dates are
    bounded so that proofs stay small, also where years are delivered at once.

    Args:
        drops: those to read.
        max_bytes: text of a batch, as estimated from names and stored sizes; a single larger drop is a
            batch of its own.
        max_drops: drops of a batch.
        max_dates: dates of a batch's drops; the events in them can have others.
    """
    batch: list[Drop] = []
    dates: set[date] = set()
    size = 0
    for day, drop in sorted(
        ((drop_date(drop), drop) for drop in drops), key=lambda dated: (dated[0], dated[1].key)
    ):
        expected = drop.size * (_GZIP_RATIO if drop.key.endswith(".gz") else 1)
        full = size + expected > max_bytes or len(batch) >= max_drops or len(dates | {day}) > max_dates
        if batch and full:
            yield tuple(batch)
            batch, dates, size = [], set(), 0
        batch.append(drop)
        dates.add(day)
        size += expected
    if batch:
        yield tuple(batch)


def _drop(source: str, info: ObjectInfo) -> Drop:
    modified_us = (info.modified - _EPOCH) // timedelta(microseconds=1)
    return Drop(source, info.path, info.size, info.etag, info.version_id or None, modified_us)
