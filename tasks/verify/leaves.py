"""Leaf hashes of the rows of a file: the plain way, and how another way is plugged in.

The plain way is `tasks.evidence.rows` over columns of Python values, short enough to be read. The operator's
command plugs in a vectorised one, which may only say yes: where its leaves do not lead to the sealed root, or
it does not take a file, the plain way decides. So no finding ever rests on it, and both commands say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tasks.errors import IndelibleError
from tasks.evidence import merkle
from tasks.evidence.rows import PersonalGroup, column_leaves, salts, withhold_columns
from tasks.verify.table import Salting, UnreadableError, batches, parquet_file

if TYPE_CHECKING:
    import pyarrow as pa

# From a Parquet file, the seed of its leaves, its personal group, and what takes the number of rows done so far, to
# 32 bytes a row. Raises `IndelibleError` for a file that it cannot be exact about.
RowHasher = Callable[[bytes, bytes, PersonalGroup | None, Callable[[int], None]], bytes]

_BATCH_ROWS = 8_192


def plain_leaves(
    data: bytes, seed: bytes, personal: PersonalGroup | None, seen: Callable[[int], None]
) -> bytes:
    """Leaf hashes of a file's rows, by the standard library and pyarrow alone.

    Raises:
        VerificationError: `unrepresentable-value`: a row has no leaf.
        UnreadableError: the file is damaged.
    """
    leaves = bytearray()
    for row, batch in batches(parquet_file(data), _BATCH_ROWS):
        columns, count = _python_columns(batch), batch.num_rows
        if personal is not None:
            columns = withhold_columns(columns, personal.columns, salts(personal.seed, row, count))
        leaves += column_leaves(columns, salts(seed, row, count))
        seen(row + count)
    return bytes(leaves)


def leads_to(
    root: str, data: bytes, salting: Salting, hasher: RowHasher, seen: Callable[[int], None]
) -> bool:
    """Whether a file's rows hash to `root` (hex).

    Raises:
        VerificationError: `unrepresentable-value`: a row has no leaf.
        UnreadableError: the file is damaged.
    """
    try:
        if merkle.root(hasher(data, salting.seed, salting.personal, seen)).hex() == root:
            return True
    except (IndelibleError, UnreadableError):
        if hasher is plain_leaves:
            raise
    return hasher is not plain_leaves and leads_to(root, data, salting, plain_leaves, seen)


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
