"""Everything that one seal entry names: its objects, their rows, its ledger, and that no line is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.evidence.seal_entry import SealEntry, sealed_objects
from tasks.verify import reasons
from tasks.verify.access import Tree
from tasks.verify.identities import check_identities
from tasks.verify.leaves import RowHasher, plain_leaves
from tasks.verify.ledger import LedgerLine, check_ledger
from tasks.verify.lines import LineIndex, check_lines
from tasks.verify.redaction import check_redaction
from tasks.verify.report import Finding, Verdict
from tasks.verify.rows import check_rows
from tasks.verify.table import SealedTable


def named_paths(entry: SealEntry) -> list[str]:
    """Paths of all objects that a seal entry names."""
    return [facts["path"] for facts in sealed_objects(entry)]


def check_objects(tree: Tree, entry: SealEntry, *, rows: bool, hasher: RowHasher = plain_leaves) -> None:
    """Check a seal entry's objects, each against the entry and all against each other.

    Args:
        tree: where to read and to report.
        entry: the entry, which the signed log contains.
        rows: whether to open the Parquet files; otherwise only their size and SHA-256 are checked.
        hasher: how leaves of rows are made.
    """
    _check_sums(tree, entry)
    tree.sealed_once(entry["contract"])
    if entry["rego"] is not None:
        tree.sealed_once(entry["rego"])
    tree.sealed_once(entry["gate"])
    check_redaction(tree, entry)
    for facts in entry["identities"]:
        check_identities(tree, facts, rows=rows)
    ledger = _ledger(tree, entry)
    index = LineIndex()
    readable = [_table(tree, index, table, rows=rows, hasher=hasher) for table in _tables(entry)]
    if not rows:
        return
    if ledger is not None and all(readable):
        check_lines(ledger, index, entry, tree.findings)
        tree.findings.counted["drops"] += len(ledger)
        tree.findings.counted["lines"] += sum(line.lines for line in ledger)
    elif not tree.is_outside(entry["ledger"]["path"]):
        sentence = (
            "Whether each line of each drop is there once cannot be told: the ledger or a file is of no use."
        )
        tree.findings.unmeasured(reasons.LINES_SKIPPED, entry["ledger"]["path"], sentence)


def check_object(
    tree: Tree, entry: SealEntry, path: str, *, rows: bool, hasher: RowHasher = plain_leaves
) -> None:
    """Check one of a seal entry's objects against the entry, and nothing else; see `check_objects`."""
    tables = [table for table in _tables(entry) if table.path == path]
    for table in tables:
        _table(tree, LineIndex(), table, rows=rows, hasher=hasher)
    if path == entry["ledger"]["path"]:
        _ledger(tree, entry)
    elif path == entry["redaction"]["path"]:
        check_redaction(tree, entry)
    elif not tables:
        for facts in sealed_objects(entry):
            if facts["path"] == path:
                tree.sealed_once(facts)


def _tables(entry: SealEntry) -> list[SealedTable]:
    personal = tuple(entry["personal"])
    files = [SealedTable(i, facts, personal=personal) for i, facts in enumerate(entry["files"])]
    return files + [SealedTable(None, facts) for facts in entry["quarantine"]]


def _check_sums(tree: Tree, entry: SealEntry) -> None:
    sums = entry["sums"]
    if sums["accepted"] + sums["blank"] + sums["duplicate"] + sums["quarantined"] != sums["lines"]:
        sentence = "The entry's outcomes do not add up to its number of lines."
        tree.findings.changed(reasons.ENTRY_SUMS, entry["ledger"]["path"], sentence)


def _ledger(tree: Tree, entry: SealEntry) -> list[LedgerLine] | None:
    data, as_sealed = tree.sealed(entry["ledger"])
    return check_ledger(data, entry, tree.findings) if data is not None and as_sealed else None


def _table(tree: Tree, index: LineIndex, table: SealedTable, *, rows: bool, hasher: RowHasher) -> bool:
    """Check one Parquet file; whether its rows could be read."""
    data, as_sealed = tree.sealed(table.facts)
    if data is None or not rows:
        return False
    table = replace(table, as_sealed=as_sealed)
    total = table.facts["rows"]
    stage = f"rows of {table.path.split('/')[-1][:8]}"
    holds = check_rows(
        data, table, index, tree.findings, lambda row: tree.progress(stage, row, total), hasher
    )
    if not as_sealed:
        _explain(tree, table.facts, holds)
    return holds is not None


def _explain(tree: Tree, facts: Mapping[str, Any], holds: bool | None) -> None:
    """Say how far damage to a file can be narrowed down. No list of leaf hashes is kept to compare with."""
    findings, path = tree.findings, facts["path"]
    if holds:
        sentence = "Its rows still hash to the sealed root: no record was altered, only the file around them."
        findings.add(Finding(reasons.RECORDS_INTACT, Verdict.OK, path, sentence))
    elif holds is None:
        sentence = "Its rows cannot be read any more, so the damage cannot be narrowed down to records."
        findings.changed(reasons.PARQUET, path, sentence)
    else:
        sentence = (
            "Its rows do not hash to the sealed root. Lines that were removed, added or moved are listed by "
            "drop and line; an altered value cannot be narrowed down below the file."
        )
        findings.changed(reasons.FILE_ROOT, path, sentence)
