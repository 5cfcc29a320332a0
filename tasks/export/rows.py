"""Rows of a sealed Parquet file, each with the way from it to the file's root, from as few rows as will do.

The file's metadata holds the roots of its subtrees of 1,024 rows. That metadata is not signed by itself: it is used
only after it led to the root in the signed entry. Then a row needs the other rows of its own subtree and no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import VerificationError
from tasks.evidence import merkle
from tasks.evidence.reasons import FILE_ROOT_MISMATCH, failure
from tasks.evidence.rows import (
    PERSONAL_SALT_SEED,
    SALT_SEED,
    SALT_SIZE,
    SUBTREE_ROOTS,
    SUBTREE_ROWS,
    PersonalGroup,
    column_leaves,
    salts,
    withhold_columns,
)
from tasks.evidence.seal_entry import DataFile
from tasks.export.ranges import RangeFile
from tasks.storage.protocol import ObjectStore

_HEX: Final = re.compile(rb"(?:[0-9a-f]{64})+")
_HASH_SIZE: Final = 32
_DAMAGE: Final = (pa.ArrowException, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class ProvenRow:
    """A row in leaf terms (timestamps as integer microseconds), its salts and its inclusion path."""

    number: int
    record: Mapping[str, Any]
    salt: bytes
    personal_salt: bytes | None
    path: tuple[bytes, ...]


def read_rows(
    store: ObjectStore, facts: DataFile, personal: Sequence[str], rows: Sequence[int]
) -> Iterator[ProvenRow]:
    """Read rows and the paths from their leaves to the file's root. Each row group is read once.

    Args:
        store: where the file lies.
        facts: what the signed entry says of the file.
        personal: the columns of its personal group, as the entry names them.
        rows: 0-based, ascending, below the entry's number of rows.

    Raises:
        VerificationError: `file-root-mismatch`; the file's rows or metadata are not those that were sealed.
    """
    source = RangeFile(store, facts["path"], facts["version_id"], facts["bytes"])
    try:
        file = pq.ParquetFile(pa.PythonFile(source, mode="r"), pre_buffer=True)
        metadata = file.metadata.metadata or {}
    except _DAMAGE as error:
        raise mismatch(facts, "it cannot be read as Parquet") from error
    subtrees = metadata_hashes(metadata, SUBTREE_ROOTS, facts)
    whole = len(subtrees) == _HASH_SIZE * -(-facts["rows"] // SUBTREE_ROWS)
    if not whole or merkle.root(subtrees).hex() != facts["root"]:
        raise mismatch(facts, "the subtree roots in its metadata do not lead to the sealed root")
    seed, group = metadata_hashes(metadata, SALT_SEED, facts), None
    if personal:
        group = PersonalGroup(tuple(personal), metadata_hashes(metadata, PERSONAL_SALT_SEED, facts))
    wanted = {subtree: list(of) for subtree, of in groupby(rows, key=lambda row: row // SUBTREE_ROWS)}
    for subtree, batch in _subtrees(file, facts, list(wanted)):
        yield from _Subtree(facts, subtree, batch, seed, group, subtrees).rows(wanted[subtree])


def metadata_hashes(metadata: Mapping[bytes, bytes], key: bytes, facts: DataFile) -> bytes:
    """Packed 32-byte values from a file's metadata.

    Raises:
        VerificationError: `file-root-mismatch`; they are not there.
    """
    text = metadata.get(key, b"")
    if not _HEX.fullmatch(text):
        raise mismatch(facts, f"its metadata has no usable {key.decode()}")
    return bytes.fromhex(text.decode())


def mismatch(facts: DataFile, why: str) -> VerificationError:
    """The error for a file that is not what was sealed."""
    return failure(FILE_ROOT_MISMATCH, f"{facts['path']} is not what was sealed: {why}")


def _subtrees(
    file: pq.ParquetFile, facts: DataFile, wanted: Sequence[int]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows of each wanted subtree. A row group is decoded up to the last one in it, and never held whole."""
    first = 0
    for number in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(number).num_rows
        here = {subtree for subtree in wanted if first <= subtree * SUBTREE_ROWS < first + rows}
        if here and first % SUBTREE_ROWS:
            raise mismatch(facts, "its row groups do not begin where subtrees do")
        if here:
            yield from _of_group(file, facts, number, first // SUBTREE_ROWS, here)
        first += rows
    if first != facts["rows"]:
        raise mismatch(facts, f"it has {first} rows, not {facts['rows']}")


def _of_group(
    file: pq.ParquetFile, facts: DataFile, number: int, subtree: int, wanted: set[int]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    try:
        batches = iter(file.iter_batches(batch_size=SUBTREE_ROWS, row_groups=[number], use_threads=False))
        while wanted:
            batch = next(batches, None)
            if batch is None:
                raise mismatch(facts, f"row group {number} has fewer rows than its footer says")
            if subtree in wanted:
                wanted.remove(subtree)
                yield subtree, batch
            subtree += 1
    except _DAMAGE as error:
        raise mismatch(facts, "it cannot be read as Parquet") from error


class _Subtree:
    """The rows of one subtree, which are those that were sealed."""

    def __init__(
        self,
        facts: DataFile,
        number: int,
        batch: pa.RecordBatch,
        seed: bytes,
        personal: PersonalGroup | None,
        subtrees: bytes,
    ) -> None:
        self._first = number * SUBTREE_ROWS
        self._salts = salts(seed, self._first, batch.num_rows)
        self._personal = None if personal is None else salts(personal.seed, self._first, batch.num_rows)
        try:
            self._columns = _python_columns(batch)
            columns: Mapping[str, Sequence[object]] = self._columns
            if personal is not None and self._personal is not None:
                columns = withhold_columns(columns, personal.columns, self._personal)
            self._leaves = column_leaves(columns, self._salts)
        except (VerificationError, *_DAMAGE) as error:
            raise mismatch(facts, "its columns are not those of the sealed format") from error
        if merkle.root(self._leaves) != subtrees[_HASH_SIZE * number :][:_HASH_SIZE]:
            raise mismatch(facts, f"the rows from {self._first} on do not hash to their sealed subtree")
        self._above = tuple(merkle.inclusion_proof(subtrees, number))

    def rows(self, numbers: Sequence[int]) -> Iterator[ProvenRow]:
        for number in numbers:
            place = number - self._first
            salt = slice(SALT_SIZE * place, SALT_SIZE * place + SALT_SIZE)
            yield ProvenRow(
                number=number,
                record={name: values[place] for name, values in self._columns.items()},
                salt=self._salts[salt],
                personal_salt=None if self._personal is None else self._personal[salt],
                path=(*merkle.inclusion_proof(self._leaves, place), *self._above),
            )


def _python_columns(batch: pa.RecordBatch) -> dict[str, list[Any]]:
    return {
        field.name: (column.cast(pa.int64()) if pa.types.is_timestamp(field.type) else column).to_pylist()
        for field, column in zip(batch.schema, batch.columns, strict=True)
    }
