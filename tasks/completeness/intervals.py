"""Hours and days of UTC, and to which of them a drop belongs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tasks.batch import Drop
from tasks.contracts.rhythm import LENGTHS, IntervalKind

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = re.compile(
    r"(?<!\d)(20\d\d)[-/]?(0[1-9]|1[0-2])[-/]?(0[1-9]|[12]\d|3[01])"
    r"(?:[T_/-]?([01]\d|2[0-3])(?:[:-]?([0-5]\d)(?:[:-]?[0-5]\d)?)?)?(?!\d)"
)


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """From `since` to before `until`, aware UTC."""

    since: datetime
    until: datetime

    def covers(self, moment: datetime) -> bool:
        """Whether a moment lies in it."""
        return self.since <= moment < self.until

    def holds(self, other: Interval) -> bool:
        """Whether another one lies wholly in it."""
        return self.since <= other.since and other.until <= self.until

    def meets(self, other: Interval) -> bool:
        """Whether the two have time in common."""
        return self.since < other.until and other.since < self.until

    def split(self, kind: IntervalKind) -> Iterator[Interval]:
        """The whole hours or days in it, in order."""
        start, length = floor(self.since, kind), LENGTHS[kind]
        if start < self.since:
            start += length
        while start + length <= self.until:
            yield Interval(start, start + length)
            start += length


def floor(moment: datetime, kind: IntervalKind) -> datetime:
    """The beginning of the hour or day in which a moment lies."""
    return moment - (moment - EPOCH) % LENGTHS[kind]


def from_us(microseconds: int) -> datetime:
    """A moment that is given in Unix microseconds."""
    return EPOCH + timedelta(microseconds=microseconds)


def key_time(key: str, landed_us: int) -> datetime:
    """The time that a key names (`2026/11/01/17`, `2026-11-01T17:05`, `20261101T1705Z`), else that of landing.

    Of several, the most exact decides, and the last of those. A day stands for its beginning.
    """
    best: tuple[int, datetime] | None = None
    for match in _TIME.finditer(key):
        parts = [int(part) for part in match.groups() if part is not None]
        with suppress(ValueError):
            named = datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]
            if best is None or len(parts) >= best[0]:
                best = len(parts), named
    return from_us(landed_us) if best is None else best[1]


def drop_time(drop: Drop) -> datetime:
    """The time to which a drop belongs."""
    return key_time(drop.key, drop.modified_us)
