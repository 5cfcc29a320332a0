"""The re-scan of what is already sealed: every data file through the second set of detectors, with newer eyes.

What was sealed had passed them when it was sealed. They may have learned since, and a contract may have been too mild
for what a sender began to write. Nothing is changed: what is locked stays, but people must know.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from flows.wiring import Runtime
from tasks.batch import DROP, LINE
from tasks.contracts.load import parse_contract
from tasks.contracts.model import Contract
from tasks.errors import RedactionLeakError
from tasks.redact import search_again

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SealedLeak:
    """What one detector found in one column of one data file. `key` and `line` are those of the first row."""

    source: str
    shard: int
    entry: int
    path: str
    field: str
    detector: str
    rows: int
    key: str
    line: int


@dataclass(frozen=True, slots=True)
class Rescan:
    """What was looked through, and what was found."""

    files: int
    rows: int
    leaks: tuple[SealedLeak, ...]

    def raise_any(self) -> None:
        """Raise an error that says where the first leak stands.

        Raises:
            RedactionLeakError: there is one.
        """
        if not self.leaks:
            return
        first = self.leaks[0]
        raise RedactionLeakError(
            f"{sum(leak.rows for leak in self.leaks):,} sealed values are personal data or credentials: the first"
            f" is of kind {first.detector} in field {first.field} of {first.source}, entry"
            f" {first.shard}-{first.entry}, line {first.line} of drop {first.key}",
            next_step="Change the treatment of these fields in the contract; what is locked cannot be changed, so"
            " limit who may read these files, and tell whoever answers for personal data.",
        )


def search_sealed(
    runtime: Runtime,
    source: str | None = None,
    since: date | None = None,
    until: date | None = None,
    progress: Progress = lambda _: None,
) -> Rescan:
    """Search sealed data files for what redaction should not have left.

    One file at a time, so memory is bounded by the largest.

    Args:
        runtime: the deployment.
        source: only this one.
        since: first event date.
        until: last event date, included.
        progress: is told what is done.
    """
    found: list[SealedLeak] = []
    files = rows = 0
    with runtime.catalog() as catalog:
        for shard, entry, name, path, version in _data_files(catalog, source, since, until):
            progress(f"{name}: entry {shard}-{entry}")
            frame = pl.read_parquet(runtime.store.read(path, version or None))
            files, rows = files + 1, rows + frame.height
            found += _search(runtime, catalog, (shard, entry, name, path), frame)
    return Rescan(files, rows, tuple(found))


def _data_files(
    catalog: Catalog, source: str | None, since: date | None, until: date | None
) -> list[tuple[int, int, str, str, str]]:
    return catalog.connection.execute(
        "SELECT shard, entry, source, path, version_id FROM files WHERE role = 'data' AND (? IS NULL OR source = ?)"
        " AND (? IS NULL OR event_date >= ?) AND (? IS NULL OR event_date <= ?) ORDER BY shard, entry, n",
        [source, source, since, since, until, until],
    ).fetchall()


def _search(
    runtime: Runtime, catalog: Catalog, place: tuple[int, int, str, str], frame: pl.DataFrame
) -> Iterator[SealedLeak]:
    shard, entry, source, path = place
    for leak in search_again(frame, _contract(runtime, catalog, shard, entry, source)):
        first = frame.row(leak.rows[0], named=True)
        sql = "SELECT key FROM drops WHERE shard = ? AND entry = ? AND index = ?"
        [(key,)] = catalog.connection.execute(sql, [shard, entry, first[DROP]]).fetchall()
        yield SealedLeak(
            source, shard, entry, path, leak.field, leak.detector, len(leak.rows), key, first[LINE]
        )


def _contract(runtime: Runtime, catalog: Catalog, shard: int, entry: int, source: str) -> Contract:
    """The contract as it was applied."""
    sql = "SELECT document->'contract' FROM entries WHERE shard = ? AND entry = ?"
    [(document,)] = catalog.connection.execute(sql, [shard, entry]).fetchall()
    facts = json.loads(document)
    return parse_contract(runtime.store.read(facts["path"], facts["version_id"] or None), source)
