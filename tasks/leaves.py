"""Row leaves for a whole frame at once: the fast path of `tasks.evidence.rows`.

Polars writes each row's canonical JSON (RFC 8785) in one pass, and polars-hash hashes it where it stands, so
no row becomes a Python object. The text is byte-exact only for the types that `check_sealable` allows and for
integers within 2**53-1, and it rests on how one library version escapes strings; so some rows of every row
group are encoded and hashed again by the plain path and compared.
"""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import groupby
from json.encoder import encode_basestring

import polars as pl
import polars_hash as plh
import pyarrow as pa

from tasks.errors import IndelibleError
from tasks.evidence import rows
from tasks.evidence.canonical import MAX_SAFE_INTEGER
from tasks.evidence.rows import SALT, SALT_SIZE, WITHHELD, WITHHELD_PREFIX, PersonalGroup, row_leaf, salts

ROW_GROUP = 65_536
_HASH_SIZE = 32
_LEAF_PREFIX = "\x00"
_GUARD_ROWS = 4
# Rows encoded at once. Fewer, and calls cost more than texts; more, and a file of long rows takes much memory.
_BLOCK_ROWS = 4_096
# A cut costs a pass over the texts on both its sides; fewer null columns than this cost less when encoded.
_FOLDED_COLUMNS = 4
# Sorted as code points or as UTF-16, and written with or without escapes, these are the same.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_SEALABLE = (pl.String, pl.Boolean, pl.Int64, pl.Int32, pl.List(pl.String), pl.Datetime("us", "UTC"))


def check_sealable(frame: pl.DataFrame) -> None:
    """Refuse a frame whose canonical JSON would not be exact.

    Raises:
        IndelibleError: a column has another type or name than the sealed format allows.
    """
    wrong = {name: str(dtype) for name, dtype in frame.schema.items() if dtype not in _SEALABLE}
    if wrong:
        raise IndelibleError(f"columns of types that the sealed format does not have: {wrong}")
    if SALT in frame.columns:
        raise IndelibleError(f"the sealed format keeps the name {SALT} for itself")


def leaf_hashes(
    frame: pl.DataFrame, seed: bytes, first_row: int = 0, personal: PersonalGroup | None = None
) -> bytes:
    """Leaf hashes of all rows, packed: 32 bytes a row.

    Args:
        frame: rows in sealing order.
        seed: 32-byte salt seed of the file's leaves.
        first_row: place of the frame's first row in the file.
        personal: the file's personal group; None where it has none, or where `frame` has it withheld.

    Raises:
        IndelibleError: a column has a type that the sealed format does not have, or the encoders disagree.
    """
    check_sealable(frame)
    packed = []
    for start in range(0, frame.height, ROW_GROUP):
        group, at = frame.slice(start, ROW_GROUP), first_row + start
        public = group if personal is None else withhold(group, personal, at)
        digests = _digests(public, salts(seed, at, group.height), _LEAF_PREFIX)
        hashes = bytes.fromhex(digests.str.join().item())
        _guard(group, seed, at, personal, hashes)
        packed.append(hashes)
    return b"".join(packed)


def parquet_leaves(
    data: bytes, seed: bytes, personal: PersonalGroup | None, seen: Callable[[int], None] = lambda _: None
) -> bytes:
    """Leaf hashes of all rows of a sealed Parquet file, packed. One row group is decoded at a time.

    Args:
        data: the file.
        seed: 32-byte salt seed of the file's leaves.
        personal: the file's personal group; None where it has none, or has it withheld.
        seen: called with the number of rows done so far.

    Raises:
        IndelibleError: the file cannot be read, or holds what this path is not exact about.
    """
    packed = []
    try:
        rows = pl.scan_parquet(io.BytesIO(data))
        height = rows.select(pl.len()).collect().item()
        for start in range(0, height, ROW_GROUP):
            frame = rows.slice(start, ROW_GROUP).collect()
            _check_exact(frame)
            packed.append(leaf_hashes(frame, seed, start, personal))
            seen(start + frame.height)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise IndelibleError("the file's rows cannot be read") from error
    return b"".join(packed)


def _check_exact(frame: pl.DataFrame) -> None:
    """Refuse names and integers whose canonical JSON takes more than the fast path does."""
    numbers = frame.select(pl.col(pl.Int64, pl.Datetime).cast(pl.Int64))
    bounds = [*numbers.min().row(0), *numbers.max().row(0)]
    if not all(_PLAIN_NAME.fullmatch(name) for name in frame.columns) or any(
        bound is not None and abs(bound) > MAX_SAFE_INTEGER for bound in bounds
    ):
        raise IndelibleError("the rows hold integers or names that need the plain path")


def withhold(frame: pl.DataFrame, personal: PersonalGroup, first_row: int = 0) -> pl.DataFrame:
    """The frame with one salted hash a row in place of its personal columns, as column `_p`.

    Args:
        frame: rows in sealing order.
        personal: the file's personal group.
        first_row: place of the frame's first row in the file.

    Raises:
        IndelibleError: the frame lacks a personal column.
    """
    if WITHHELD in frame.columns or not set(personal.columns) <= set(frame.columns):
        raise IndelibleError("the rows lack a personal column, or have theirs withheld already")
    salt = salts(personal.seed, first_row, frame.height)
    hashes = _digests(frame.select(personal.columns), salt, WITHHELD_PREFIX.decode())
    return frame.drop(personal.columns).with_columns(hashes.alias(WITHHELD))


def plain_row(row: dict[str, object]) -> dict[str, object]:
    """A row dict in leaf terms: timestamps as Int64 microseconds."""
    return {k: _microseconds(v) if isinstance(v, datetime) else v for k, v in row.items()}


def _microseconds(value: datetime) -> int:
    return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _digests(frame: pl.DataFrame, salt: bytes, prefix: str) -> pl.Series:
    """SHA-256 of `prefix` and each row's canonical JSON with its salt, in hex."""
    times = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
    rows = frame.with_columns(pl.col(times).cast(pl.Int64), _hex_column(SALT, salt, SALT_SIZE))
    hashed = _row_text(rows, prefix).chash.sha2_256()
    blocks = [
        rows.slice(start, _BLOCK_ROWS).select(hashed).to_series()
        for start in range(0, max(rows.height, 1), _BLOCK_ROWS)
    ]
    return pl.concat(blocks)


def _row_text(rows: pl.DataFrame, prefix: str) -> plh.HExpr:
    """`prefix` and each row's canonical JSON. What is null in all rows is written once, not row by row."""
    runs = _runs(rows)
    pieces = [pl.lit(prefix)]
    for place, (is_null, names) in enumerate(runs):
        if is_null:
            fields = pl.lit("{" + ",".join(f"{encode_basestring(name)}:null" for name in names) + "}")
        else:
            fields = pl.struct(names).struct.json_encode()
        if place > 0:
            pieces.append(pl.lit(","))
            fields = fields.str.strip_prefix("{")
        if place < len(runs) - 1:
            fields = fields.str.strip_suffix("}")
        pieces.append(fields)
    return plh.concat_str(pieces)


def _runs(rows: pl.DataFrame) -> list[tuple[bool, list[str]]]:
    """Columns in key order, cut where a run of columns that are null in all rows begins or ends."""
    nulls = {
        name for name, count in rows.null_count().row(0, named=True).items() if count and count == rows.height
    }
    runs: list[tuple[bool, list[str]]] = []
    for is_null, group in groupby(sorted(rows.columns), nulls.__contains__):
        names = list(group)
        folds = is_null and len(names) >= _FOLDED_COLUMNS
        if runs and not folds and not runs[-1][0]:
            runs[-1][1].extend(names)
        else:
            runs.append((folds, names))
    return runs


def _hex_column(name: str, packed: bytes, size: int) -> pl.Series:
    fixed = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(size), len(packed) // size, [None, pa.py_buffer(packed)]
    )
    return pl.Series(name, pl.from_arrow(fixed.cast(pa.binary()))).bin.encode("hex").rename(name)


def _guard(
    group: pl.DataFrame, seed: bytes, first_row: int, personal: PersonalGroup | None, hashes: bytes
) -> None:
    """Compare some rows with the plain path."""
    picks = random.Random(hashes[:8]).sample(range(group.height), min(_GUARD_ROWS, group.height))  # noqa: S311
    for i in picks:
        row = plain_row(group.row(i, named=True))
        if personal is not None:
            row = rows.withhold(row, personal.columns, salts(personal.seed, first_row + i, 1))
        if row_leaf(row, salts(seed, first_row + i, 1)) != hashes[_HASH_SIZE * i :][:_HASH_SIZE]:
            raise IndelibleError(
                "the fast and the plain encoder disagree on a row; nothing was sealed or proven",
                next_step="Pin polars to the version in uv.lock and report this.",
            )
