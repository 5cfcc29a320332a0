"""A sealed Parquet file: bytes, name, Merkle root. See FORMAT.md, "Data files"."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from tasks.evidence import merkle
from tasks.evidence.rows import PERSONAL_SALT_SEED, SALT_SEED, SUBTREE_ROOTS, SUBTREE_ROWS, PersonalGroup
from tasks.leaves import ROW_GROUP, leaf_hashes

_SUBTREE_HEIGHT = SUBTREE_ROWS.bit_length() - 1
_ZSTD_LEVEL = 1  # three quarters of the time of level 3, and files one hundredth larger


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One Parquet file that is ready to be stored."""

    data: bytes
    sha256: str
    root: str
    rows: int


def sealed_file(frame: pl.DataFrame, seed: bytes, personal: PersonalGroup | None = None) -> SealedFile:
    """Encode a frame and compute its tree.

    The same frame, seed and library versions give the same bytes, so a run that is repeated after a
    crash finds its objects already there.

    Args:
        frame: rows in sealing order, sealable types only.
        seed: 32-byte salt seed; it is written into the file's metadata, beside the roots of its subtrees, so
            that one row can be proven from the rows of its own.
        personal: the file's personal group, if it has one; its seed is written there too.
    """
    subtrees = merkle.subtree_roots(leaf_hashes(frame, seed, personal=personal), _SUBTREE_HEIGHT)
    metadata = {SALT_SEED: seed.hex(), SUBTREE_ROOTS: subtrees.hex()}
    if personal is not None:
        metadata[PERSONAL_SALT_SEED] = personal.seed.hex()
    data = _encode(frame, metadata)
    return SealedFile(data, hashlib.sha256(data).hexdigest(), merkle.root(subtrees).hex(), frame.height)


def _encode(frame: pl.DataFrame, metadata: dict[bytes, str]) -> bytes:
    schema = frame.head(0).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    sink = io.BytesIO()
    # The Arrow schema is left out: readers get Parquet's own logical types, nothing of this writer's.
    # Schema metadata would be left out with it, so ours is added to the file's.
    with pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        store_schema=False,
        write_page_index=True,
    ) as writer:
        for start in range(0, frame.height, ROW_GROUP):
            group = frame.slice(start, ROW_GROUP)
            writer.write_table(group.to_arrow(compat_level=pl.CompatLevel.oldest()), row_group_size=ROW_GROUP)
        writer.add_key_value_metadata(metadata)
    return sink.getvalue()
