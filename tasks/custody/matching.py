"""Log files that AWS lists against drops that are sealed: each in the other, and with one content."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tasks.custody.chain import Coverage, Window
from tasks.custody.digest import Digest, place
from tasks.custody.findings import (
    LOG_CHANGED,
    LOG_MISSING,
    LOG_PENDING,
    LOG_UNCOVERED,
    LOG_UNLISTED,
    Finding,
)

_NAME = re.compile(
    r"(?:^|/)(?P<account>\d{12})_CloudTrail_(?P<region>[a-z0-9-]+)_(?P<time>\d{8}T\d{4}Z)_[A-Za-z0-9]+\.json(?:\.gz)?\Z"
)


@dataclass(frozen=True, slots=True)
class Drops:
    """What is ours.

    Attributes:
        sealed: (key, SHA-256 of the decompressed bytes in hex) of the source's sealed drops.
        landed: keys in the landing place now.
    """

    sealed: Iterable[tuple[str, str]]
    landed: Iterable[str] = ()


@dataclass(slots=True)
class Matched:
    """What came of it: counts `listed`, `matched`, `unlisted`, `uncovered`."""

    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def match(digests: Iterable[Digest], drops: Drops, coverage: Coverage, window: Window) -> Matched:
    """Compare, by the place of each file and the hash of its content.

    Args:
        digests: those whose signature holds.
        drops: what is sealed and what has landed.
        coverage: where an unlisted drop is a finding of its own.
        window: drops of other days are left out.
    """
    listed: dict[str, set[str]] = defaultdict(set)
    for digest in digests:
        for log in digest.logs:
            listed[place(log.key)].add(log.sha256)
    sealed: dict[str, set[str]] = defaultdict(set)
    keys = {place(key): key for key in drops.landed}
    landed = frozenset(keys)
    for key, sha256 in drops.sealed:
        sealed[place(key)].add(sha256)
        keys[place(key)] = key
    result = Matched()
    for where, hashes in sorted(listed.items()):
        result.counts["listed"] += 1
        finding = _listed(where, hashes, sealed.get(where), where in landed)
        if finding is None:
            result.counts["matched"] += 1
        else:
            result.findings.append(finding)
    unlisted = {where: key for where, key in sorted(keys.items()) if where not in listed}
    result.findings += _unlisted(unlisted, coverage, window, result.counts)
    return result


def _listed(where: str, hashes: set[str], sealed: set[str] | None, landed: bool) -> Finding | None:
    if sealed is None:
        if landed:
            return Finding(LOG_PENDING, where, "AWS lists it; it has landed and is not sealed yet.")
        return Finding(LOG_MISSING, where, "AWS lists it; it is neither sealed nor in the landing place.")
    if not sealed & hashes:
        return Finding(LOG_CHANGED, where, "What was sealed has another SHA-256 than AWS signed.")
    if sealed - hashes:
        sentence = "What AWS signed is sealed, and so is other content under the same name."
        return Finding(LOG_CHANGED, where, sentence)
    return None


def _unlisted(
    drops: Mapping[str, str], coverage: Coverage, window: Window, counts: Counter[str]
) -> Iterator[Finding]:
    uncovered: dict[str, list[str]] = defaultdict(list)
    for where, key in drops.items():
        name = _NAME.search(where)
        time = None if name is None else _time(name["time"])
        if name is None or time is None:
            uncovered["drops have names that AWS does not give to log files"].append(key)
        elif coverage.covers(name["account"], name["region"], time):
            counts["unlisted"] += 1
            yield Finding(LOG_UNLISTED, key, "The digests of its time hold, and none of them lists it.")
        elif window.covers(time):
            about = f"drops of account {name['account']} in {name['region']} are of a time without a digest that holds"
            uncovered[about].append(key)
    for about, keys in uncovered.items():
        counts["uncovered"] += len(keys)
        yield Finding(LOG_UNCOVERED, keys[0], f"{len(keys)} {about}; this is the first.")


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
    except ValueError:
        return None
