"""Entries about completeness: `heartbeat`, what was there of one interval, and `gap`, what a person accepts.

Their lists lie under `lists/`, one canonical JSON object a line, in ascending order of the lines' bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypedDict

from tasks.errors import VerificationError
from tasks.evidence import merkle, paths
from tasks.evidence.canonical import canonical_json, parse_canonical
from tasks.evidence.schema import Count, Digest, Instant, check
from tasks.evidence.terms import Format, Source, Text

LENGTHS: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_INSTANT: Final = "%Y-%m-%dT%H:%M:%SZ"


class IntervalScope(TypedDict):
    """The drops and events of a source from `since` to `until`; the end is not included."""

    since: Instant
    source: Source
    until: Instant


class LineList(TypedDict):
    """A list; `root` is that of the Merkle tree over its lines."""

    bytes: Count
    count: Count
    path: str
    root: Digest
    sha256: Digest
    version_id: str


class HeartbeatCounts(TypedDict):
    """Drops of the interval: in the landing place, sealed, in the landing place and not sealed; lines sealed."""

    accepted: Count
    landed: Count
    lines: Count
    sealed: Count
    waiting: Count


class NewestSeal(TypedDict):
    """The source's newest seal entry in this log when the heartbeat was sealed."""

    entry: Count
    leaf: Digest
    source_seq: Count


class HeartbeatEntry(TypedDict):
    """What was there of one interval of a source. `inventory` is null when nothing was: that is silence."""

    counts: HeartbeatCounts
    format: Format
    interval: Literal["hour", "day"]
    inventory: LineList | None
    newest: NewestSeal | None
    scope: IntervalScope
    sealed_at: Instant
    software: Text
    type: Literal["heartbeat"]


class GapEntry(TypedDict):
    """Findings that a person has explained; `codes` are those that occur in the list."""

    approver: Text
    codes: list[Text]
    findings: LineList
    format: Format
    reason: Text
    requested_by: Text
    scope: IntervalScope
    sealed_at: Instant
    type: Literal["gap"]


class SealedPlace(TypedDict):
    """A line of a ledger: that of the seal entry `entry` in the log `shard`."""

    entry: Count
    index: Count
    shard: Count


class InventoryLine(TypedDict):
    """One drop: whether it was in the landing place, and where it is sealed."""

    bytes: Count
    etag: str
    key: str
    landed: bool
    sealed: SealedPlace | None
    version_id: str | None


class GapLine(TypedDict):
    """One finding: its code, its time, and its drop if it is about one."""

    code: Text
    key: str | None
    since: Instant
    until: Instant


def moment(text: str) -> datetime:
    """The moment that an entry writes.

    Raises:
        ValueError: there is no such moment.
    """
    return datetime.strptime(text, _INSTANT).replace(tzinfo=UTC)


def encode_lines(lines: Iterable[Mapping[str, Any]]) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a list, and of what its entry says `bytes`, `count` and `root`."""
    encoded = sorted({canonical_json(line) for line in lines})
    data = b"".join(line + b"\n" for line in encoded)
    root = merkle.root(merkle.leaf_hashes(encoded)).hex()
    return data, {"bytes": len(data), "count": len(encoded), "root": root}


def parse_lines(data: bytes, facts: LineList, form: Any) -> list[Any]:
    """The lines of a list whose SHA-256 was compared before.

    Args:
        data: its bytes.
        facts: what its entry says of it.
        form: the `TypedDict` of a line.

    Raises:
        ValueError: it is not of the form, in order, and as the entry says.
    """
    lines = data.split(b"\n")
    if lines.pop():
        raise ValueError("its last line is cut off")
    if len(lines) != facts["count"] or lines != sorted(set(lines)):
        raise ValueError("its lines are not distinct, in order, and as many as the entry says")
    if merkle.root(merkle.leaf_hashes(lines)).hex() != facts["root"]:
        raise ValueError("its lines do not hash to the root in the entry")
    try:
        parsed = [parse_canonical(line) for line in lines]
    except VerificationError as error:
        raise ValueError("a line is no canonical JSON") from error
    for line in parsed:
        check(line, form, "line")
    return parsed


def check_heartbeat(entry: HeartbeatEntry) -> None:
    """Check what types do not say.

    Raises:
        ValueError: the interval is no hour or day, or counts contradict each other or the inventory.
    """
    since, until = (moment(entry["scope"][end]) for end in ("since", "until"))
    length = LENGTHS[entry["interval"]]
    if until - since != length or (since - datetime(1970, 1, 1, tzinfo=UTC)) % length:
        raise ValueError(f"entry.scope is not one {entry['interval']}")
    counts, inventory = entry["counts"], entry["inventory"]
    if counts["waiting"] > counts["landed"] or counts["accepted"] > counts["lines"]:
        raise ValueError("entry.counts contradict each other")
    if (counts["landed"] + counts["sealed"] == 0) != (inventory is None):
        raise ValueError("entry.inventory is not null exactly when there was nothing")
    if inventory is not None:
        _check_list(inventory)


def check_gap(entry: GapEntry) -> None:
    """Check what types do not say.

    Raises:
        ValueError: the scope ends before it begins, codes are not sorted, or nothing is explained.
    """
    if not moment(entry["scope"]["since"]) < moment(entry["scope"]["until"]):
        raise ValueError("entry.scope ends before it begins")
    if not entry["codes"] or entry["codes"] != sorted(set(entry["codes"])):
        raise ValueError("entry.codes are not distinct and sorted, or there is none")
    _check_list(entry["findings"])


def _check_list(facts: LineList) -> None:
    if facts["path"] != paths.object_list(facts["sha256"]):
        raise ValueError("a list is not at the path of its digest")
    if facts["count"] == 0:
        raise ValueError("a list is empty")
