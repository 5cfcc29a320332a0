"""What there is of one interval: drops that have landed, drops that are sealed, and which are both."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tasks.batch import Drop
from tasks.catalog.completeness import SealedDrop
from tasks.evidence.completeness_entry import InventoryLine

_TIME_STAMP: Final = re.compile(r"\d+-\d+")
SealedByKey = Mapping[str, Sequence[SealedDrop]]
DigestOf = Callable[[Drop], str]
"""Hex SHA-256 of a drop's bytes as they are in the landing place now."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """The lines of an inventory, and their counts as a heartbeat has them."""

    lines: Sequence[InventoryLine]
    counts: Mapping[str, int]


def by_key(sealed: Iterable[SealedDrop]) -> dict[str, list[SealedDrop]]:
    """Sealed drops by their key."""
    found: dict[str, list[SealedDrop]] = {}
    for drop in sealed:
        found.setdefault(drop.key, []).append(drop)
    return found


def find_sealed(drop: Drop, sealed: SealedByKey, digest_of: DigestOf) -> SealedDrop | None:
    """The ledger line of a drop that has landed, if it is sealed with these bytes.

    A copy with a new time stamp or ETag is read and compared, as a delivery would.
    """
    known = sealed.get(drop.key, ())
    for line in known:
        if is_same(line, drop.size, drop.etag, drop.version_id):
            return line
    if any(line.bytes == drop.size for line in known):
        digest = digest_of(drop)
        return next((line for line in known if line.sha256 == digest), None)
    return None


def is_same(line: SealedDrop, size: int, etag: str, version_id: str | None) -> bool:
    """Whether a listing shows the object that was sealed, as far as a listing can tell."""
    return line.bytes == size and (
        line.etag == etag or (version_id is not None and line.version_id == version_id)
    )


def looks_other(seen: InventoryLine, size: int, etag: str, version_id: str | None) -> bool:
    """Whether an object is not the one that an inventory saw, as far as two listings can tell.

    A directory's ETag is size and time: of a drop that was put back it says nothing.
    """
    if seen["bytes"] != size:
        return True
    if _TIME_STAMP.fullmatch(etag) or (version_id is not None and seen["version_id"] == version_id):
        return False
    return seen["etag"] != etag


def take_inventory(listed: Iterable[Drop], sealed: SealedByKey, digest_of: DigestOf) -> Inventory:
    """The inventory of one interval.

    Args:
        listed: its drops in the landing place.
        sealed: its sealed drops.
        digest_of: called for a drop that is known by its key and looks different.
    """
    lines: list[InventoryLine] = []
    found: set[SealedDrop] = set()
    for drop in listed:
        line = find_sealed(drop, sealed, digest_of)
        lines.append(_line(drop.key, drop.size, drop.etag, drop.version_id, line, landed=True))
        found.update([line] if line is not None else [])
    everything = {line for some in sealed.values() for line in some}
    gone = everything - found
    lines += [_line(s.key, s.bytes, s.etag, s.version_id, s, landed=False) for s in gone]
    counts = {
        "accepted": sum(line.accepted for line in everything),
        "landed": len(lines) - len(gone),
        "lines": sum(line.lines for line in everything),
        "sealed": len(everything),
        "waiting": sum(line["sealed"] is None for line in lines),
    }
    return Inventory(lines, counts)


def _line(
    key: str, size: int, etag: str, version_id: str | None, sealed: SealedDrop | None, *, landed: bool
) -> InventoryLine:
    place = None if sealed is None else sealed.place
    return {
        "bytes": size,
        "etag": etag,
        "key": key,
        "landed": landed,
        "sealed": None if place is None else {"entry": place[1], "index": place[2], "shard": place[0]},
        "version_id": version_id,
    }
