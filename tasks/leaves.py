"""Row leaves for a whole frame at once: the fast path of `tasks.evidence.rows`.

Polars writes each row's canonical JSON (RFC 8785) in one pass. That is byte-exact only for the types
that `check_sealable` allows and for integers within 2**53-1, and it rests on how one library version
escapes strings; so some rows of every row group are encoded again by the plain path and compared.
"""

from __future__ import annotations

import hashlib
import random

import polars as pl
import pyarrow as pa

from tasks.errors import IndelibleError
from tasks.evidence.rows import SALT_SIZE, row_leaf, salts

SALT = "_s"
ROW_GROUP = 65_536
_GUARD_ROWS = 4
# Rows encoded at once: their text still lies in the processor's cache when it is hashed.
_BLOCK_ROWS = 2_048
_SEALABLE = (pl.String, pl.Boolean, pl.Int64, pl.Int32, pl.List(pl.String), pl.Datetime("us", "UTC"))


def check_sealable(frame: pl.DataFrame) -> None:
    """Refuse a frame whose canonical JSON would not be exact.

    Raises:
        IndelibleError: a column has another type than the sealed format allows.
    """
    wrong = {name: str(dtype) for name, dtype in frame.schema.items() if dtype not in _SEALABLE}
    if wrong:
        raise IndelibleError(f"columns of types that the sealed format does not have: {wrong}")


def leaf_hashes(frame: pl.DataFrame, seed: bytes, first_row: int = 0) -> bytes:
    """Leaf hashes of all rows, packed: 32 bytes a row.

    Args:
        frame: rows in sealing order.
        seed: 32-byte salt seed of the file.
        first_row: place of the frame's first row in the file.

    Raises:
        IndelibleError: a column has a type that the sealed format does not have, or the encoders disagree.
    """
    check_sealable(frame)
    packed = []
    for start in range(0, frame.height, ROW_GROUP):
        group = frame.slice(start, ROW_GROUP)
        salt = salts(seed, first_row + start, group.height)
        blocks = range(0, group.height, _BLOCK_ROWS)
        hashes = b"".join(
            [
                _hash_rows(group.slice(at, _BLOCK_ROWS), salt[SALT_SIZE * at :][: SALT_SIZE * _BLOCK_ROWS])
                for at in blocks
            ]
        )
        _guard(group, salt, hashes)
        packed.append(hashes)
    return b"".join(packed)


def plain_row(row: dict[str, object]) -> dict[str, object]:
    """A row dict in leaf terms: timestamps as Int64 microseconds."""
    from datetime import datetime

    return {k: _microseconds(v) if isinstance(v, datetime) else v for k, v in row.items()}


def _microseconds(value: object) -> int:
    from datetime import UTC, datetime, timedelta

    assert isinstance(value, datetime)
    return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _hash_rows(group: pl.DataFrame, salt: bytes) -> bytes:
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), group.height, [None, pa.py_buffer(salt)])
    salt_column = pl.Series(SALT, pl.from_arrow(fixed.cast(pa.binary()))).bin.encode("hex").rename(SALT)
    times = [name for name, dtype in group.schema.items() if isinstance(dtype, pl.Datetime)]
    row = group.with_columns(pl.col(times).cast(pl.Int64), salt_column)
    encoded = row.select(pl.struct(sorted(row.columns)).struct.json_encode())[:, 0].cast(pl.Binary)
    sha256 = hashlib.sha256
    return b"".join([sha256(b"\x00" + line).digest() for line in encoded.to_list()])


def _guard(group: pl.DataFrame, salt: bytes, hashes: bytes) -> None:
    picks = random.Random(hashes[:8]).sample(range(group.height), min(_GUARD_ROWS, group.height))  # noqa: S311
    for i in picks:
        again = row_leaf(plain_row(group.row(i, named=True)), salt[16 * i : 16 * i + 16])
        if again != hashes[32 * i : 32 * i + 32]:
            raise IndelibleError(
                "the fast and the plain encoder disagree on a row; nothing was sealed or proven",
                next_step="Pin polars to the version in uv.lock and report this.",
            )
