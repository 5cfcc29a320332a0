"""Heartbeats and explained gaps: whether they follow each other, and whether they say what the ledgers say.

Whether the landing place really held what an inventory lists cannot be told from a copy. What can: that the
inventory was not changed since, that each drop it calls sealed stands in that ledger, that no interval was
left out, and which drops had landed and are sealed nowhere. Format: FORMAT.md, section 5.7.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypedDict, cast

from tasks.errors import VerificationError
from tasks.evidence import merkle, paths
from tasks.evidence.canonical import parse_canonical
from tasks.evidence.completeness_entry import (
    GapEntry,
    GapLine,
    HeartbeatEntry,
    InventoryLine,
    LineList,
    parse_lines,
)
from tasks.evidence.entry import Entry
from tasks.evidence.schema import Count
from tasks.evidence.schema import check as check_schema
from tasks.evidence.seal_entry import LedgerRef, SealEntry
from tasks.verify import reasons
from tasks.verify.access import Tree

_KEPT: Final = 4  # ledgers; a heartbeat mostly refers to those of the last deliveries
MAX_WAITING: Final = 100_000
_EXPLAIN: Final = "Ask the log's owner what became of it; a gap entry would say it."
_HOLE: Final = "heartbeat-missing"
Place = tuple[int, int]
"""Log and index of an entry."""


class _LedgerLine(TypedDict):
    accepted: Count
    bytes: Count
    key: str
    lines: Count


class Completeness:
    """Follows the heartbeats and gaps of all logs, the oldest first."""

    def __init__(self, tree: Tree) -> None:
        self._tree, self._broken = tree, False
        self._newest: dict[tuple[int, str], dict[str, Any]] = {}
        self._ledgers: dict[str, dict[Place, LedgerRef]] = {}
        self._parsed: OrderedDict[str, list[_LedgerLine] | None] = OrderedDict()
        self._ends: dict[str, str] = {}
        self._holes: list[tuple[str, str, str, str]] = []
        self._waiting: dict[tuple[str, str], tuple[Place, str]] = {}
        self._explained: list[tuple[str, GapLine]] = []

    def lose(self) -> None:
        """An entry could not be read: what followed from it is unknown."""
        self._broken = True

    def seal(self, year: int, index: int, entry: SealEntry, data: bytes) -> None:
        """Remember a seal entry for the heartbeats that come after it."""
        source = entry["source"]
        leaf = merkle.leaf_hash(data).hex()
        self._newest[year, source] = {"entry": index, "leaf": leaf, "source_seq": entry["source_seq"]}
        self._ledgers.setdefault(source, {})[year, index] = entry["ledger"]

    def take(self, year: int, index: int, entry: Entry) -> list[str]:
        """Check one entry under a checkpoint.

        Returns:
            Paths of the objects that it names, if it is about completeness.
        """
        if entry["type"] == "heartbeat":
            self._follow(year, index, entry)
            if entry["inventory"] is not None:
                self._check_inventory((year, index), entry, entry["inventory"])
        elif entry["type"] == "gap":
            self._check_gap(entry)
        return named_lists(entry)

    def close(self) -> None:
        """Say what no later entry has mended or explained."""
        for source, since, until, path in self._holes:
            if not self._is_explained(source, _HOLE, None, since, until):
                sentence = f"No heartbeat of {source} is about the time from {since} to {until}."
                self._tree.findings.unmeasured(reasons.HEARTBEAT_HOLE, path, sentence, _EXPLAIN)
        self._find_waiting()
        for (source, key), (_, path) in self._waiting.items():
            if any(s == source and line["key"] == key for s, line in self._explained):
                continue
            sentence = f"The drop {key} of {source} had landed, and no later entry seals it."
            self._tree.findings.pending(reasons.DROP_NOT_SEALED, path, sentence, _EXPLAIN)

    def _follow(self, year: int, index: int, entry: HeartbeatEntry) -> None:
        scope, path = entry["scope"], paths.sequence(year, index)
        source, before = scope["source"], self._ends.get(scope["source"])
        self._ends[source] = max(scope["until"], before or "")
        if self._broken:
            return
        if before is not None and scope["since"] < before:
            sentence = f"It is about a time that an earlier heartbeat of {source} is about."
            self._tree.findings.changed(reasons.HEARTBEAT_CHAIN, path, sentence)
        elif before is not None and scope["since"] > before:
            self._holes.append((source, before, scope["since"], path))
        if entry["newest"] != self._newest.get((year, source)):
            sentence = f"What it calls the newest seal entry of {source} is not the one before it."
            self._tree.findings.changed(reasons.HEARTBEAT_NEWEST, path, sentence)

    def _check_inventory(self, place: Place, entry: HeartbeatEntry, facts: LineList) -> None:
        lines = self._lines(facts, InventoryLine, reasons.HEARTBEAT_INVENTORY)
        if lines is None:
            return
        source, path = entry["scope"]["source"], facts["path"]
        sealed = [line for line in lines if line["sealed"] is not None]
        found = [self._sealed_line(place, source, line) for line in sealed]
        if None in found:
            sentence = "A ledger that it refers to is not here as it was sealed, so it was not compared."
            self._tree.findings.unmeasured(reasons.COMPLETENESS_SKIPPED, path, sentence)
        elif not all(
            one and (one["key"], one["bytes"]) == (line["key"], line["bytes"])
            for one, line in zip(found, sealed, strict=True)
        ):
            sentence = "It says of a drop that it is sealed where it is not."
            self._tree.findings.changed(reasons.HEARTBEAT_INVENTORY, path, sentence)
        elif entry["counts"] != _counts(lines, [one for one in found if one]):
            sentence = "The heartbeat's counts are not those of its inventory and the ledgers."
            self._tree.findings.changed(reasons.HEARTBEAT_INVENTORY, path, sentence)
        for line in lines:
            if line["sealed"] is None and len(self._waiting) < MAX_WAITING:
                self._waiting.setdefault((source, line["key"]), (place, paths.sequence(*place)))

    def _sealed_line(
        self, place: Place, source: str, line: InventoryLine
    ) -> _LedgerLine | dict[str, Any] | None:
        """The ledger line that an inventory names; empty where there is none, None where it cannot be read."""
        named = line["sealed"]
        assert named is not None
        where = named["shard"], named["entry"]
        ledger = self._ledgers.get(source, {}).get(where)
        if ledger is None or where >= place:
            return None if self._broken else {}
        lines = self._ledger(ledger)
        if lines is None:
            return None
        return lines[named["index"]] if named["index"] < len(lines) else {}

    def _ledger(self, facts: LedgerRef) -> list[_LedgerLine] | None:
        path = facts["path"]
        if path not in self._parsed:
            data = self._tree.peek(path, facts["bytes"], facts["version_id"] or None)
            whole = data is not None and hashlib.sha256(data).hexdigest() == facts["sha256"]
            try:
                self._parsed[path] = list(_ledger_lines(data)) if data is not None and whole else None
            except (ValueError, KeyError, TypeError, VerificationError):
                self._parsed[path] = None  # the check of the ledger itself names it
            while len(self._parsed) > _KEPT:
                self._parsed.popitem(last=False)
        self._parsed.move_to_end(path)
        return self._parsed[path]

    def _check_gap(self, entry: GapEntry) -> None:
        facts, scope = entry["findings"], entry["scope"]
        lines = self._lines(facts, GapLine, reasons.GAP_LIST)
        if lines is None:
            return
        inside = all(scope["since"] <= line["since"] and line["until"] <= scope["until"] for line in lines)
        if not inside or sorted({line["code"] for line in lines}) != entry["codes"]:
            sentence = "Its findings lie outside of the gap entry's time, or have other codes."
            self._tree.findings.changed(reasons.GAP_LIST, facts["path"], sentence)
        else:
            self._explained += [(scope["source"], line) for line in lines]

    def _lines(self, facts: LineList, form: Any, reason: str) -> list[Any] | None:
        data, as_sealed = self._tree.sealed(facts)
        if data is None or not as_sealed:
            return None
        try:
            return parse_lines(data, facts, form)
        except ValueError as error:
            self._tree.findings.changed(reason, facts["path"], f"The list is malformed: {error}.")
            return None

    def _find_waiting(self) -> None:
        """Strike out drops that a later ledger seals. Ledgers are read only where something waits."""
        for source in sorted({source for source, _ in self._waiting}):
            for place, facts in self._ledgers.get(source, {}).items():
                waits = [w for w, (beat, _) in self._waiting.items() if w[0] == source and beat < place]
                lines = self._ledger(facts) if waits else []
                if lines is None:
                    sentence = f"{len(waits)} drops that had landed may be sealed in it, and it is not here."
                    self._tree.findings.unmeasured(reasons.COMPLETENESS_SKIPPED, facts["path"], sentence)
                keys = None if lines is None else {line["key"] for line in lines}
                for found in (w for w in waits if keys is None or w[1] in keys):
                    del self._waiting[found]

    def _is_explained(self, source: str, code: str, key: str | None, since: str, until: str) -> bool:
        return any(
            s == source
            and (line["code"], line["key"]) == (code, key)
            and line["since"] <= since
            and until <= line["until"]
            for s, line in self._explained
        )


def named_lists(entry: Entry) -> list[str]:
    """Paths of the lists that a heartbeat or gap entry names; none for another entry."""
    if entry["type"] == "heartbeat":
        return [] if entry["inventory"] is None else [entry["inventory"]["path"]]
    return [entry["findings"]["path"]] if entry["type"] == "gap" else []


def _counts(lines: Sequence[InventoryLine], sealed: Sequence[Any]) -> dict[str, int]:
    return {
        "accepted": sum(line["accepted"] for line in sealed),
        "landed": sum(line["landed"] for line in lines),
        "lines": sum(line["lines"] for line in sealed),
        "sealed": len(sealed),
        "waiting": sum(line["landed"] and line["sealed"] is None for line in lines),
    }


def _ledger_lines(data: bytes) -> Iterator[_LedgerLine]:
    for text in data.splitlines():
        value = parse_canonical(text)
        line = {name: value[name] for name in _LedgerLine.__annotations__}
        check_schema(line, _LedgerLine, "line")
        yield cast("_LedgerLine", line)
