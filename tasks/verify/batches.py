"""Seal entries one after the other: how much of them is looked at, by which hasher, and what is known already."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from tasks.evidence import merkle
from tasks.evidence.seal_entry import SealEntry
from tasks.verify.access import Tree
from tasks.verify.leaves import RowHasher, plain_leaves
from tasks.verify.objects import check_object, check_objects, named_paths
from tasks.verify.report import Findings
from tasks.verify.state import Journal


@dataclass(frozen=True, slots=True)
class How:
    """How objects are checked.

    Attributes:
        rows: whether Parquet files are opened.
        hasher: how leaves of their rows are made.
        only: the only object to check; None for all.
        chosen: which objects of batches to check, by path; None for all. A path is always chosen or never.
        journal: what an interrupted run has checked; takes what this one checks.
        at_once: entries that are checked at the same time; more than one needs a reader and a hasher that may be
            called from several threads.
    """

    rows: bool = True
    hasher: RowHasher = plain_leaves
    only: str | None = None
    chosen: Callable[[str], bool] | None = None
    journal: Journal | None = None
    at_once: int = 1


class Batches:
    """Checks what seal entries name, each batch apart; what is found is reported in the order of the entries."""

    def __init__(self, tree: Tree, how: How) -> None:
        self._tree, self._how = tree, how
        self._pool = ThreadPoolExecutor(how.at_once) if how.at_once > 1 else None
        self._waiting: deque[tuple[str, Future[Findings]]] = deque()

    def take(self, data: bytes, entry: SealEntry) -> None:
        """Check the objects of one entry under a checkpoint; `data` are the entry's bytes."""
        if self._how.only is not None:
            if self._how.only in named_paths(entry):
                check_object(self._tree, entry, self._how.only, rows=self._how.rows, hasher=self._how.hasher)
            return
        leaf = merkle.leaf_hash(data).hex()
        known = None if self._how.journal is None else self._how.journal.recall(leaf)
        if known is not None:
            self._tree.findings.include(known)
        elif self._pool is None:
            self._keep(leaf, self._check(entry))
        else:
            self._waiting.append((leaf, self._pool.submit(self._check, entry)))
            self._collect(self._how.at_once)

    def finish(self) -> None:
        """Wait for what is not done yet."""
        self._collect(0)

    def _check(self, entry: SealEntry) -> Findings:
        part, how = self._tree.part(), self._how
        if how.chosen is None:
            check_objects(part, entry, rows=how.rows, hasher=how.hasher)
            return part.findings
        for path in filter(how.chosen, named_paths(entry)):
            check_object(part, entry, path, rows=how.rows, hasher=how.hasher)
        return part.findings

    def _collect(self, left: int) -> None:
        while len(self._waiting) > left:
            leaf, checked = self._waiting.popleft()
            self._keep(leaf, checked.result())

    def _keep(self, leaf: str, found: Findings) -> None:
        if self._how.journal is not None:
            self._how.journal.record(leaf, found)
        self._tree.findings.include(found)
