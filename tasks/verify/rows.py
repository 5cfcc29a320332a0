"""The rows of one sealed Parquet file: types, order, dates, salts and Merkle root, from the file alone.

Rows are read in small batches, so memory does not grow with the file; row groups may have any size.
Format: FORMAT.md, "Data files" and "Quarantine files".
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from tasks.errors import VerificationError
from tasks.evidence import merkle, paths
from tasks.evidence.rows import column_leaves, salts
from tasks.verify import reasons
from tasks.verify.lines import ACCEPTED, LineIndex
from tasks.verify.report import Findings

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SALT_SEED = b"indelible.salt_seed"
DATA_COLUMNS = ("_drop", "_line", "_offset", "_time")
QUARANTINE_COLUMNS = ("_drop", "_line", "_offset", "_length", "disposition", "rules", "raw")
SET_ASIDE = ("quarantined", "duplicate", "blank")

_SEED = re.compile(rb"[0-9a-f]{64}")
_BATCH_ROWS = 8_192
_MAX_GROUP_BYTES = 2 << 30
_DAY_US = 86_400_000_000


class UnreadableError(Exception):
    """The bytes are no file of rows that may be read. Never leaves this module."""

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
    """

    file: int | None
    facts: Mapping[str, Any]
    as_sealed: bool = True

    @property
    def path(self) -> str:
        """Path of the object."""
        return str(self.facts["path"])

    def record(self, row: int) -> str | None:
        """Record id of a row; only data files have records."""
        return None if self.file is None else str(paths.record_id(self.facts["sha256"], row))


def check_rows(
    data: bytes, table: SealedTable, index: LineIndex, findings: Findings, seen: Callable[[int], None]
) -> bool | None:
    """Read all rows, check them, and enter their coordinates into `index`.

    Args:
        data: the file.
        table: what it should be.
        index: takes the coordinates.
        findings: takes the findings.
        seen: called with the number of rows read so far.

    Returns:
        Whether the rows hash to the sealed root; None when the file's rows cannot be read.
    """
    try:
        file = _open(data, table)
        seed = _seed(file, table, findings)
        return _check(file, table, seed, index, findings, seen)
    except UnreadableError as error:
        if table.as_sealed:
            findings.changed(error.reason, table.path, f"The file's rows cannot be read: {error}.")
        return None
    except VerificationError as error:
        if table.as_sealed:
            findings.changed(error.reason, table.path, f"A row has no leaf hash ({error}).")
        return None


def _open(data: bytes, table: SealedTable) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise UnreadableError("its footer is damaged") from error
    if any(group.total_byte_size > _MAX_GROUP_BYTES for group in groups):
        raise UnreadableError("a row group claims to be larger than 2 GiB")
    names = file.schema_arrow.names
    required = DATA_COLUMNS if table.file is not None else QUARANTINE_COLUMNS
    if len(set(names)) != len(names) or not set(required) <= set(names) or "_s" in names:
        raise UnreadableError("its columns are not those of the format", reasons.COLUMNS)
    if not table.as_sealed and file.metadata.num_rows > 2 * table.facts["rows"] + _BATCH_ROWS:
        raise UnreadableError("it claims far more rows than were sealed")
    return file


def _seed(file: pq.ParquetFile, table: SealedTable, findings: Findings) -> bytes | None:
    text = (file.metadata.metadata or {}).get(SALT_SEED, b"")
    if _SEED.fullmatch(text):
        return bytes.fromhex(text.decode("ascii"))
    if table.as_sealed:
        findings.changed(reasons.SALT_SEED, table.path, "The salt seed in the file's metadata is unusable.")
    return None


def _check(
    file: pq.ParquetFile,
    table: SealedTable,
    seed: bytes | None,
    index: LineIndex,
    findings: Findings,
    seen: Callable[[int], None],
) -> bool:
    _check_types(file.schema_arrow)
    walk = _Walk(table, index, findings)
    leaves = bytearray()
    row = 0
    for columns, count in _batches(file):
        walk.take(columns, row)
        if seed is not None:
            leaves += column_leaves(columns, salts(seed, row, count))
        row += count
        seen(row)
    findings.counted["rows"] += row
    walk.close(row)
    holds = seed is not None and merkle.root(bytes(leaves)).hex() == table.facts["root"]
    if table.as_sealed and seed is not None and not holds:
        sentence = (
            "The rows do not hash to the root in the entry, although the file's bytes are as named there."
        )
        findings.changed(reasons.FILE_ROOT, table.path, sentence)
    return holds


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


def _batches(file: pq.ParquetFile) -> Iterator[tuple[dict[str, list[Any]], int]]:
    """Columns of Python values in leaf terms (timestamps as integers), and their number of rows."""
    import pyarrow as pa

    try:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            columns = {
                field.name: (
                    column.cast(pa.int64()) if pa.types.is_timestamp(field.type) else column
                ).to_pylist()
                for field, column in zip(batch.schema, batch.columns, strict=True)
            }
            yield columns, batch.num_rows
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise UnreadableError("its pages are damaged") from error


class _Walk:
    """Looks at coordinates and times row by row. Each kind of fault is reported at its first row only."""

    def __init__(self, table: SealedTable, index: LineIndex, findings: Findings) -> None:
        self._table, self._index, self._findings = table, index, findings
        self._last = (-1, -1)
        self._times: tuple[int, int] | None = None
        self._told: set[str] = set()

    def take(self, columns: Mapping[str, list[Any]], start: int) -> None:
        """Look at one batch that begins at row `start`."""
        drops, lines = columns["_drop"], columns["_line"]
        if not _are_integers(drops) or not _are_integers(lines):
            raise UnreadableError("a row has no drop or line number")
        coordinates = list(zip(drops, lines, strict=True))
        self._check_order(coordinates, start)
        if self._table.file is None:
            self._take_set_aside(drops, lines, columns["disposition"])
        else:
            self._take_records(drops, lines, start, self._table.file)
            self._check_times(columns["_time"], coordinates, start)

    def close(self, rows: int) -> None:
        """Compare totals when all rows were seen."""
        facts, path = self._table.facts, self._table.path
        if rows != facts["rows"]:
            sentence = f"The file has {rows} rows, the entry says {facts['rows']}."
            self._findings.changed(reasons.ROW_COUNT, path, sentence)
        if self._table.file is not None and self._times != (facts["min_time"], facts["max_time"]):
            sentence = "The earliest or latest time among the rows is not the one in the entry."
            self._findings.changed(reasons.TIME_RANGE, path, sentence)

    def _check_order(self, coordinates: list[tuple[int, int]], start: int) -> None:
        chain = [self._last, *coordinates]
        self._last = chain[-1]
        if all(map(operator.lt, chain, coordinates)):
            return
        row = next(i for i, (before, here) in enumerate(pairwise(chain)) if here <= before)
        sentence = "This row is not in the order of drop and line."
        self._tell(reasons.ROW_ORDER, sentence, start + row, coordinates[row])

    def _take_set_aside(self, drops: list[int], lines: list[int], dispositions: list[Any]) -> None:
        for drop, line, disposition in zip(drops, lines, dispositions, strict=True):
            if disposition not in SET_ASIDE:
                raise UnreadableError("a row has a disposition that the format does not have")
            self._index.add(drop, (line,), disposition)

    def _take_records(self, drops: list[int], lines: list[int], start: int, file: int) -> None:
        first = 0
        for drop, run in groupby(drops):
            count = sum(1 for _ in run)
            self._index.add(drop, lines[first : first + count], ACCEPTED)
            self._index.add_run(file, drop, start + first, count)
            first += count

    def _check_times(self, times: list[Any], coordinates: list[tuple[int, int]], start: int) -> None:
        date = self._table.facts["event_date"]
        first = _day_start(date)
        known = [time for time in times if isinstance(time, int)]
        low, high = min(known, default=first), max(known, default=first)
        if len(known) < len(times) or low < first or high >= first + _DAY_US:
            wrong = (not isinstance(time, int) or not first <= time < first + _DAY_US for time in times)
            row = list(wrong).index(True)
            sentence = f"This row's time is not on {date}, the event date of its file."
            self._tell(reasons.EVENT_DATE, sentence, start + row, coordinates[row])
        if known:
            before = self._times or (low, high)
            self._times = (min(low, before[0]), max(high, before[1]))

    def _tell(self, reason: str, sentence: str, row: int, at: tuple[int, int]) -> None:
        if reason not in self._told:
            self._told.add(reason)
            record = self._table.record(row)
            self._findings.changed(
                reason, self._table.path, sentence, record_id=record, drop=at[0], line=at[1]
            )


def _are_integers(values: list[Any]) -> bool:
    return set(map(type, values)) <= {int}


def _day_start(date: str) -> int:
    """First microsecond of a day in UTC; an entry may spell a day that no calendar has."""
    try:
        return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()) * 1_000_000
    except ValueError:
        raise UnreadableError("its event date is no day of the calendar", reasons.EVENT_DATE) from None
