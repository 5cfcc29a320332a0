"""Leaf hashes of the rows of a file: the plain way, and how another way is plugged in.

The plain way is `tasks.evidence.rows` over columns of Python values, short enough to be read. The operator's
command plugs in a vectorised one, which may only say yes: where its leaves do not lead to the sealed root, or
it does not take a file, the plain way decides. So no finding ever rests on it, and both commands say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.errors import IndelibleError
from tasks.evidence import merkle
from tasks.evidence.rows import PersonalGroup, column_leaves, salts, withhold_columns
from tasks.verify.table import Salting, UnreadableError, batches

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Leaves = Callable[["pa.RecordBatch", bytes, int, PersonalGroup | None], bytes]


@dataclass(frozen=True, slots=True)
class RowHasher:
    """A way to make leaf hashes.

    Attributes:
        leaves: from rows, the seed of their salts, the first row's place in the file, and the personal group, to
            32 bytes a row. Raises `IndelibleError` for rows that it cannot be exact about.
        rows: how many rows it is given at once, at most.
    """

    leaves: Leaves
    rows: int


def plain_leaves(batch: pa.RecordBatch, seed: bytes, first_row: int, personal: PersonalGroup | None) -> bytes:
    """Leaf hashes of one batch.

    Raises:
        VerificationError: `unrepresentable-value`.
        UnreadableError: a value is no value of its type.
    """
    columns: dict[str, Sequence[object]] = _python_columns(batch)
    if personal is not None:
        salt = salts(personal.seed, first_row, batch.num_rows)
        columns = withhold_columns(columns, personal.columns, salt)
    return column_leaves(columns, salts(seed, first_row, batch.num_rows))


PLAIN = RowHasher(plain_leaves, 8_192)


def leads_to(
    root: str, file: pq.ParquetFile, salting: Salting, hasher: RowHasher, seen: Callable[[int], None]
) -> bool:
    """Whether a file's rows hash to `root` (hex).

    Raises:
        VerificationError: `unrepresentable-value`: a row has no leaf.
        UnreadableError: the file is damaged.
    """
    if hasher is not PLAIN and _answers_yes(root, file, salting, hasher, seen):
        return True
    return _root(file, salting, PLAIN, seen) == root


def _answers_yes(
    root: str, file: pq.ParquetFile, salting: Salting, hasher: RowHasher, seen: Callable[[int], None]
) -> bool:
    try:
        return _root(file, salting, hasher, seen) == root
    except IndelibleError:
        return False


def _root(file: pq.ParquetFile, salting: Salting, hasher: RowHasher, seen: Callable[[int], None]) -> str:
    leaves = bytearray()
    for start, batch in batches(file, hasher.rows):
        leaves += hasher.leaves(batch, salting.seed, start, salting.personal)
        seen(start + batch.num_rows)
    return merkle.root(bytes(leaves)).hex()


def _python_columns(batch: pa.RecordBatch) -> dict[str, Sequence[object]]:
    """Columns of Python values in leaf terms: timestamps as integers."""
    import pyarrow as pa

    try:
        return {
            field.name: _python_values(
                column.cast(pa.int64()) if pa.types.is_timestamp(field.type) else column
            )
            for field, column in zip(batch.schema, batch.columns, strict=True)
        }
    except ValueError as error:
        raise UnreadableError("a text in it is not UTF-8") from error


def _python_values(column: pa.Array) -> list[Any]:
    return list(column.to_pylist())
