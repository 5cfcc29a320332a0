"""Heartbeat and gap entries for a `SealedTree`, made from FORMAT.md, section 5.7."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.evidence import merkle, paths
from tasks.evidence.canonical import canonical_json
from tests.support.sealed_tree import SEALED_AT, SealedTree

HOURS = tuple(f"2026-11-01T{hour:02d}:00:00Z" for hour in range(24))


def line(key: str, size: int, sealed: tuple[int, int, int] | None, *, landed: bool = True) -> dict[str, Any]:
    """A line of an inventory; `sealed` is shard, entry and index."""
    place = None if sealed is None else dict(zip(("shard", "entry", "index"), sealed, strict=True))
    return {
        "bytes": size,
        "etag": "e",
        "key": key,
        "landed": landed,
        "sealed": place,
        "version_id": None,
    }


def put_list(tree: SealedTree, lines: Iterable[Mapping[str, Any]], *, ordered: bool = True) -> dict[str, Any]:
    """Store a list and return what an entry says of it."""
    encoded = [canonical_json(item) for item in lines]
    encoded = sorted(set(encoded)) if ordered else encoded
    facts = tree.put(b"".join(item + b"\n" for item in encoded), paths.object_list)
    return {"count": len(encoded), "root": merkle.root(merkle.leaf_hashes(encoded)).hex(), **facts}


def beat(
    tree: SealedTree,
    source: str,
    hour: int,
    lines: Sequence[Mapping[str, Any]] = (),
    newest: tuple[int, int] | None = None,
    *,
    counts: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Add a heartbeat of one hour; `newest` is index and number of the seal entry that it names."""
    named = None
    if newest is not None:
        leaf = merkle.leaf_hash(tree.objects[paths.sequence(tree.year, newest[0])]).hex()
        named = {"entry": newest[0], "leaf": leaf, "source_seq": newest[1]}
    sums = {
        "accepted": 0,
        "landed": sum(item["landed"] for item in lines),
        "lines": 0,
        "sealed": sum(item["sealed"] is not None for item in lines),
        "waiting": sum(item["landed"] and item["sealed"] is None for item in lines),
    }
    entry = {
        "counts": {**sums, **(counts or {})},
        "format": "indelible/1",
        "interval": "hour",
        "inventory": put_list(tree, lines) if lines else None,
        "newest": named,
        "scope": {"since": HOURS[hour], "source": source, "until": HOURS[hour + 1]},
        "sealed_at": SEALED_AT,
        "software": "test/1",
        "type": "heartbeat",
    }
    tree.entries.append(entry)
    return entry


def gap(
    tree: SealedTree, source: str, since: int, until: int, *findings: tuple[str, str | None, int, int]
) -> dict[str, Any]:
    """Add a gap entry over (code, key, first hour, end)."""
    lines = [{"code": c, "key": k, "since": HOURS[a], "until": HOURS[b]} for c, k, a, b in findings]
    entry = {
        "approver": "bob",
        "codes": sorted({code for code, *_ in findings}),
        "findings": put_list(tree, lines),
        "format": "indelible/1",
        "reason": "maintenance",
        "requested_by": "alice",
        "scope": {"since": HOURS[since], "source": source, "until": HOURS[until]},
        "sealed_at": SEALED_AT,
        "type": "gap",
    }
    tree.entries.append(entry)
    return entry
