"""Seal entries one after the other: how much of them is looked at, by which hasher, and what is known already."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.evidence import merkle
from tasks.evidence.entry import SealEntry
from tasks.verify.access import Tree
from tasks.verify.leaves import RowHasher, plain_leaves
from tasks.verify.objects import check_object, check_objects, named_paths
from tasks.verify.state import Journal


@dataclass(frozen=True, slots=True)
class How:
    """How objects are checked.

    Attributes:
        rows: whether Parquet files are opened.
        hasher: how leaves of their rows are made.
        only: the only object to check; None for all.
        journal: what an interrupted run has checked; takes what this one checks.
    """

    rows: bool = True
    hasher: RowHasher = plain_leaves
    only: str | None = None
    journal: Journal | None = None


class Batches:
    """Checks what seal entries name, each batch apart."""

    def __init__(self, tree: Tree, how: How) -> None:
        self._tree, self._how = tree, how

    def take(self, data: bytes, entry: SealEntry) -> None:
        """Check the objects of one entry under a checkpoint; `data` are the entry's bytes."""
        how = self._how
        if how.only is not None:
            if how.only in named_paths(entry):
                check_object(self._tree, entry, how.only, rows=how.rows, hasher=how.hasher)
            return
        if how.journal is None:
            check_objects(self._tree, entry, rows=how.rows, hasher=how.hasher)
            return
        leaf = merkle.leaf_hash(data).hex()
        found = how.journal.recall(leaf)
        if found is None:
            part = self._tree.part()
            check_objects(part, entry, rows=how.rows, hasher=how.hasher)
            found = part.findings
            how.journal.record(leaf, found)
        self._tree.findings.include(found)
