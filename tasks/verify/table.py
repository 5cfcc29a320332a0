"""One sealed Parquet file from its footer: columns, salt seed, and what the entry says of it.

Nothing here trusts the file: a footer that claims more than an honest file can have is not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.evidence import paths
from tasks.evidence.rows import SALT, WITHHELD, PersonalGroup
from tasks.verify import reasons
from tasks.verify.report import Findings

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SALT_SEED = b"indelible.salt_seed"
PERSONAL_SALT_SEED = b"indelible.personal_salt_seed"
DATA_COLUMNS = ("_drop", "_line", "_offset", "_time")
QUARANTINE_COLUMNS = ("_drop", "_line", "_offset", "disposition", "rules", "raw")

_SEED = re.compile(rb"[0-9a-f]{64}")
_MORE_ROWS = 8_192
_MAX_GROUP_BYTES = 2 << 30


class UnreadableError(Exception):
    """The bytes are no file of rows that may be read. Never leaves the checks of rows."""

    def __init__(self, why: str, reason: str = reasons.PARQUET) -> None:
        super().__init__(why)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SealedTable:
    """One Parquet file that an entry names.

    Attributes:
        file: its place among the entry's data files, or None for a quarantine file.
        facts: what the entry says of it.
        as_sealed: whether its bytes have the sealed SHA-256. When not, the rows are read only to say
            where the damage is, and what the file's hash covers already is not reported again.
        personal: columns of its personal group, as the entry names them.
        withheld: whether it is the public part of a sealed file, with `_p` in place of these columns.
    """

    file: int | None
    facts: Mapping[str, Any]
    as_sealed: bool = True
    personal: tuple[str, ...] = ()
    withheld: bool = False

    @property
    def path(self) -> str:
        """Path of the object."""
        return str(self.facts["path"])

    def record(self, row: int) -> str | None:
        """Record id of a row; only data files have records."""
        return None if self.file is None else str(paths.record_id(self.facts["sha256"], row))

    def fits(self, names: list[str]) -> bool:
        """Whether a file of these columns can be the table."""
        required = set(DATA_COLUMNS if self.file is not None else QUARANTINE_COLUMNS)
        refused = {SALT, WITHHELD}
        if self.withheld:
            required, refused = required - set(self.personal) | {WITHHELD}, {SALT, *self.personal}
        else:
            required |= set(self.personal)
        return len(set(names)) == len(names) and required <= set(names) and refused.isdisjoint(names)


@dataclass(frozen=True, slots=True)
class Salting:
    """The salt seed of a file's leaves, and its personal group where that is in the file."""

    seed: bytes
    personal: PersonalGroup | None


def open_table(data: bytes, table: SealedTable) -> pq.ParquetFile:
    """The file, if its footer is that of a file of this format.

    Raises:
        UnreadableError: it is not.
    """
    file = parquet_file(data)
    if not table.fits(file.schema_arrow.names):
        raise UnreadableError("its columns are not those of the format", reasons.COLUMNS)
    if not table.as_sealed and file.metadata.num_rows > 2 * table.facts["rows"] + _MORE_ROWS:
        raise UnreadableError("it claims far more rows than were sealed")
    _check_types(file.schema_arrow)
    return file


def parquet_file(data: bytes) -> pq.ParquetFile:
    """The file.

    Raises:
        UnreadableError: its footer is damaged, or claims too much.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise UnreadableError("its footer is damaged") from error
    if any(group.total_byte_size > _MAX_GROUP_BYTES for group in groups):
        raise UnreadableError("a row group claims to be larger than 2 GiB")
    return file


def salting(file: pq.ParquetFile, table: SealedTable, findings: Findings) -> Salting | None:
    """How the file's rows are salted; None, and a finding, when a seed is unusable."""
    metadata = file.metadata.metadata or {}
    seed = _seed(metadata, SALT_SEED)
    if seed is not None and (table.withheld or not table.personal):
        return Salting(seed, None)
    personal = _seed(metadata, PERSONAL_SALT_SEED)
    if seed is not None and personal is not None:
        return Salting(seed, PersonalGroup(table.personal, personal))
    if table.as_sealed:
        findings.changed(reasons.SALT_SEED, table.path, "A salt seed in the file's metadata is unusable.")
    return None


def batches(
    file: pq.ParquetFile, rows: int, columns: Sequence[str] | None = None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """First row and content of each run of at most `rows` rows.

    Raises:
        UnreadableError: a page is damaged.
    """
    import pyarrow as pa

    start = 0
    try:
        for batch in file.iter_batches(batch_size=rows, columns=columns, use_threads=False):
            yield start, batch
            start += batch.num_rows
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise UnreadableError("its pages are damaged") from error


def _seed(metadata: Mapping[bytes, bytes], key: bytes) -> bytes | None:
    text = metadata.get(key, b"")
    return bytes.fromhex(text.decode("ascii")) if _SEED.fullmatch(text) else None


def _check_types(schema: pa.Schema) -> None:
    wrong = sorted(field.name for field in schema if not _is_sealable(field.type))
    if wrong:
        names = ", ".join(wrong)[:500]
        raise UnreadableError(f"columns of types that the format does not have: {names}", reasons.COLUMNS)


def _is_sealable(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_int32(kind)
        or pa.types.is_int64(kind)
        or kind == pa.timestamp("us", "UTC")
    )
