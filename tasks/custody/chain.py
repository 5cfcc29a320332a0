"""How digests follow each other, and for what time there are digests that hold."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from tasks.custody.digest import Chain, Digest, named_time, place
from tasks.custody.findings import CHAIN, DIGEST_MISSING, GAP, OVERLAP, Finding

# A log file's name has the minute of its delivery; a digest may count it to the hour before or after.
MARGIN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Window:
    """Days that a check is about, both included, by the times in names; None: no bound."""

    since: date | None = None
    until: date | None = None

    def covers(self, time: datetime) -> bool:
        """Whether a time falls on one of the days."""
        day = time.date()
        return (self.since is None or day >= self.since) and (self.until is None or day <= self.until)


EVERYTHING = Window()


class Coverage:
    """The times about which digests that hold say everything, by account and region."""

    def __init__(self, digests: Iterable[Digest]) -> None:
        spans: dict[tuple[str, str], list[tuple[datetime, datetime]]] = defaultdict(list)
        for digest in digests:
            spans[digest.chain.account, digest.chain.region].append((digest.start, digest.end))
        self._merged = {where: _merged(sorted(found)) for where, found in spans.items()}

    def covers(self, account: str, region: str, time: datetime) -> bool:
        """Whether a log file delivered about `time` must be listed."""
        merged = self._merged.get((account, region), [])
        index = bisect_right(merged, time, key=lambda span: span[0]) - 1
        return index >= 0 and merged[index][0] <= time - MARGIN and time + MARGIN <= merged[index][1]


def follow(digests: Iterable[Digest], stored: Mapping[str, str], window: Window) -> Iterator[Finding]:
    """What is wrong between digests.

    Args:
        digests: those whose signature holds.
        stored: place -> key of every digest file that is there, also of those that do not hold.
        window: a previous digest before it is not asked for.
    """
    chains: dict[Chain, list[Digest]] = defaultdict(list)
    by_place = {place(digest.key): digest for digest in digests}
    for digest in by_place.values():
        chains[digest.chain].append(digest)
        yield from _link(digest, by_place, stored, window)
    for links in chains.values():
        links.sort(key=lambda digest: (digest.end, digest.start, digest.key))
        for earlier, later in pairwise(links):
            yield from _step(earlier, later)


def _link(
    digest: Digest, by_place: Mapping[str, Digest], stored: Mapping[str, str], window: Window
) -> Iterator[Finding]:
    previous = digest.previous
    if previous is None:
        return
    found = by_place.get(place(previous.key))
    if found is not None:
        if (found.sha256, found.signature.lower()) != (previous.sha256, previous.signature.lower()):
            sentence = f"AWS signed this file, but it is not the one that {digest.key} follows."
            yield Finding(CHAIN, stored[place(found.key)], sentence)
    elif place(previous.key) not in stored:
        time = named_time(previous.key)
        if time is None or window.covers(time):
            yield Finding(DIGEST_MISSING, previous.key, f"{digest.key} follows it, and it is not there.")


def _step(earlier: Digest, later: Digest) -> Iterator[Finding]:
    between = f"between {earlier.end:%Y-%m-%dT%H:%M:%SZ} and {later.start:%Y-%m-%dT%H:%M:%SZ}"
    if later.start < earlier.end:
        yield Finding(OVERLAP, later.key, f"It begins before {earlier.key} ends.")
    elif later.previous is None:
        yield Finding(GAP, later.key, f"The chain begins anew; AWS vouches for nothing {between}.")
    elif later.start > earlier.end and place(later.previous.key) == place(earlier.key):
        yield Finding(GAP, later.key, f"AWS says that it follows, but there is time {between}.")


def _merged(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    merged: list[tuple[datetime, datetime]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
