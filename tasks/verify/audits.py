"""Sealed results of store audits: the report is there and says what the entry says, of the tree that it names.

That an audit found something is no fault of the evidence: it is what the entry says. Whether it looked as it says
cannot be told from a copy; that its sample was not picked can: the seed is bound to the log, and the number of records
that it was drawn from is that of the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.evidence.audit_entry import CheckLine, FindingLine, StoreAuditEntry
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.completeness_entry import parse_lines
from tasks.evidence.entry import Entry
from tasks.evidence.seal_entry import SealEntry
from tasks.verify import reasons
from tasks.verify.access import Tree
from tasks.verify.shard import Shard

MAX_REPORT_BYTES = 64 << 20


class AuditResults:
    """Follows the audits of all logs, the oldest first."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._rows: list[tuple[int, int, int]] = []
        self._broken = False

    def lose(self) -> None:
        """An entry could not be read: how many records there were cannot be told past it."""
        self._broken = True

    def seal(self, year: int, index: int, entry: SealEntry) -> None:
        """Count the records of a seal entry."""
        self._rows.append((year, index, entry["sums"]["accepted"]))

    def take(self, entry: Entry, shards: Mapping[int, Shard]) -> list[str]:
        """Check one entry under a checkpoint.

        Args:
            entry: of any type.
            shards: the logs up to the one that the entry is in.

        Returns:
            Paths of the objects that it names, if it is an audit of a store.
        """
        if entry["type"] != "audit" or entry["kind"] != "store-audit":
            return []
        self._check_tree(entry, shards)
        facts = entry["report"]
        data, as_sealed = self._tree.sealed(facts) if facts["bytes"] <= MAX_REPORT_BYTES else (None, False)
        if data is not None and as_sealed:
            try:
                lines = parse_lines(data, facts, CheckLine | FindingLine)
            except ValueError as error:
                self._wrong(entry, f"It is no report of an audit ({error}).")
            else:
                self._check_lines(entry, lines)
        return [facts["path"]]

    def _check_tree(self, entry: StoreAuditEntry, shards: Mapping[int, Shard]) -> None:
        audited = entry["checkpoint"]
        shard = shards.get(audited["shard"])
        if shard is None or shard.checkpoint is None:
            return  # what is lacking is reported where it is looked for
        origin = shard.checkpoint.origin
        if not shard.begins_with(Checkpoint(origin, audited["size"], bytes.fromhex(audited["root"]))):
            self._wrong(entry, "The tree that it says was audited is no beginning of the log.")
        end = (audited["shard"], audited["size"])
        rows = sum(count for year, index, count in self._rows if (year, index) < end)
        whole = self._tree.bundle is None and not self._broken
        if whole and rows != entry["sample"]["population"]:
            sentence = (
                f"Its sample was drawn from {entry['sample']['population']} records; there were {rows}."
            )
            self._wrong(entry, sentence)

    def _check_lines(self, entry: StoreAuditEntry, lines: list[Any]) -> None:
        checks = {(line["name"], line["state"]) for line in lines if line["type"] == "check"}
        if checks != {(check["name"], check["state"]) for check in entry["checks"]}:
            self._wrong(entry, "Its checks are not those of its entry.")
        names = ("check", "code", "count", "verdict")
        found = sorted(tuple(line[name] for name in names) for line in lines if line["type"] == "finding")
        if found != sorted((f["check"], f["code"], f["count"], f["verdict"]) for f in entry["findings"]):
            self._wrong(entry, "Its findings are not those of its entry.")

    def _wrong(self, entry: StoreAuditEntry, sentence: str) -> None:
        self._tree.findings.changed(reasons.AUDIT_REPORT, entry["report"]["path"], sentence)
