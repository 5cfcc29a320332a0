"""One row of a sealed Parquet file, with the way from it to the file's root, from one row group.

A row group is a complete subtree of 65,536 leaves, and the file's metadata holds the roots of all of them.
That metadata is not signed by itself: it is used only after it led to the root in the signed entry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import IndelibleError, VerificationError
from tasks.evidence import merkle
from tasks.evidence.entry import DataFile
from tasks.evidence.reasons import FILE_ROOT_MISMATCH, failure
from tasks.evidence.rows import PersonalGroup, salts
from tasks.export.ranges import RangeFile
from tasks.leaves import ROW_GROUP, leaf_hashes, plain_row
from tasks.storage.protocol import ObjectStore

SALT_SEED: Final = b"indelible.salt_seed"
PERSONAL_SALT_SEED: Final = b"indelible.personal_salt_seed"
SUBTREE_ROOTS: Final = b"indelible.subtree_roots"
_HEX: Final = re.compile(rb"(?:[0-9a-f]{64})+")


@dataclass(frozen=True, slots=True)
class ProvenRow:
    """A row in leaf terms (timestamps as integer microseconds), its salts and its inclusion path."""

    record: Mapping[str, Any]
    salt: bytes
    personal_salt: bytes | None
    path: tuple[bytes, ...]


def read_row(store: ObjectStore, facts: DataFile, personal: Sequence[str], row: int) -> ProvenRow:
    """Read a row and the path from its leaf to the file's root.

    Args:
        store: where the file lies.
        facts: what the signed entry says of the file.
        personal: the columns of its personal group, as the entry names them.
        row: 0-based, below the entry's number of rows.

    Raises:
        VerificationError: `file-root-mismatch`; the file's rows or metadata are not those that were sealed.
    """
    source = RangeFile(store, facts["path"], facts["version_id"], facts["bytes"])
    group, offset = divmod(row, ROW_GROUP)
    try:
        file = pq.ParquetFile(pa.PythonFile(source, mode="r"))
        metadata = file.metadata.metadata or {}
        rows = _row_group(file, group, facts)
    except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise mismatch(facts, "it cannot be read as Parquet") from error
    subtrees = metadata_hashes(metadata, SUBTREE_ROOTS, facts)
    if merkle.root(subtrees).hex() != facts["root"]:
        raise mismatch(facts, "the subtree roots in its metadata do not lead to the sealed root")
    seed, first = metadata_hashes(metadata, SALT_SEED, facts), group * ROW_GROUP
    secret = None
    if personal:
        secret = PersonalGroup(tuple(personal), metadata_hashes(metadata, PERSONAL_SALT_SEED, facts))
    try:
        leaves = leaf_hashes(rows, seed, first, secret)
    except VerificationError:
        raise
    except IndelibleError as error:
        raise mismatch(facts, "its columns are not those of the sealed format") from error
    if merkle.root(leaves) != subtrees[32 * group : 32 * group + 32]:
        raise mismatch(facts, f"the rows of row group {group} do not hash to its sealed subtree")
    path = (*merkle.inclusion_proof(leaves, offset), *merkle.inclusion_proof(subtrees, group))
    personal_salt = None if secret is None else salts(secret.seed, row, 1)
    return ProvenRow(plain_row(rows.row(offset, named=True)), salts(seed, row, 1), personal_salt, path)


def _row_group(file: pq.ParquetFile, group: int, facts: DataFile) -> pl.DataFrame:
    expected = min(ROW_GROUP, facts["rows"] - group * ROW_GROUP)
    if group >= file.metadata.num_row_groups or file.metadata.row_group(group).num_rows != expected:
        raise mismatch(facts, f"it has no row group {group} of {expected} rows")
    return pl.DataFrame(file.read_row_group(group))


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
