"""Where the rows of one sealed file stand: order, drops and lines, times. Works on columns, never row by row.

Each kind of fault is reported at its first row only. Format: FORMAT.md, "Data files" and "Quarantine files".
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.verify import reasons
from tasks.verify.lines import ACCEPTED, LineIndex
from tasks.verify.report import Findings
from tasks.verify.table import SealedTable, UnreadableError

if TYPE_CHECKING:
    import pyarrow as pa

SET_ASIDE = ("quarantined", "duplicate", "blank")
_DAY_US = 86_400_000_000


class Coordinates:
    """Takes a file's batches in order, enters its lines into an index and checks what the format says of them."""

    def __init__(self, table: SealedTable, index: LineIndex, findings: Findings) -> None:
        self._table, self._index, self._findings = table, index, findings
        self._last = (-1, -1)
        self._times: tuple[int, int] | None = None
        self._told: set[str] = set()

    @property
    def columns(self) -> list[str]:
        """The columns that are looked at."""
        return ["_drop", "_line", "disposition" if self._table.file is None else "_time"]

    def take(self, batch: pa.RecordBatch, start: int) -> None:
        """Look at one batch that begins at row `start`.

        Raises:
            UnreadableError: a row has no coordinates, or a disposition that the format does not have.
        """
        drops, lines = _integers(batch["_drop"]), _integers(batch["_line"])
        if drops is None or lines is None or drops.null_count or lines.null_count:
            raise UnreadableError("a row has no drop or line number")
        if batch.num_rows == 0:
            return
        self._check_order(drops, lines, start)
        if self._table.file is None:
            self._take_set_aside(drops, lines, batch["disposition"])
        else:
            self._take_records(drops, lines, start, self._table.file)
            self._check_times(_integers(batch["_time"]), drops, lines, start)

    def close(self, rows: int) -> None:
        """Compare totals when all rows were seen."""
        facts, path = self._table.facts, self._table.path
        if rows != facts["rows"]:
            sentence = f"The file has {rows} rows, the entry says {facts['rows']}."
            self._findings.changed(reasons.ROW_COUNT, path, sentence)
        if self._table.file is not None and self._times != (facts["min_time"], facts["max_time"]):
            sentence = "The earliest or latest time among the rows is not the one in the entry."
            self._findings.changed(reasons.TIME_RANGE, path, sentence)

    def _check_order(self, drops: pa.Array, lines: pa.Array, start: int) -> None:
        import pyarrow.compute as pc

        before, self._last = self._last, (drops[-1].as_py(), lines[-1].as_py())
        if before >= (drops[0].as_py(), lines[0].as_py()):
            self._out_of_order(drops, lines, start, 0)
            return
        same_drop = pc.equal(drops[1:], drops[:-1])
        rises = pc.or_(
            pc.greater(drops[1:], drops[:-1]), pc.and_(same_drop, pc.greater(lines[1:], lines[:-1]))
        )
        if (place := pc.index(rises, False).as_py()) >= 0:
            self._out_of_order(drops, lines, start, place + 1)

    def _out_of_order(self, drops: pa.Array, lines: pa.Array, start: int, place: int) -> None:
        sentence = "This row is not in the order of drop and line."
        self._tell(reasons.ROW_ORDER, sentence, start + place, drops[place].as_py(), lines[place].as_py())

    def _take_set_aside(self, drops: pa.Array, lines: pa.Array, dispositions: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = dispositions.type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if not is_text or not pc.all(pc.is_in(dispositions, pa.array(SET_ASIDE, kind))).as_py():
            raise UnreadableError("a row has a disposition that the format does not have")
        for name in SET_ASIDE:
            chosen = pc.equal(dispositions, name)
            of_name, numbers = drops.filter(chosen), lines.filter(chosen)
            for drop, first, count in _runs(of_name):
                self._index.add(drop, _packed(numbers[first : first + count]), name)

    def _take_records(self, drops: pa.Array, lines: pa.Array, start: int, file: int) -> None:
        for drop, first, count in _runs(drops):
            self._index.add(drop, _packed(lines[first : first + count]), ACCEPTED)
            self._index.add_run(file, drop, start + first, count)

    def _check_times(self, times: pa.Array | None, drops: pa.Array, lines: pa.Array, start: int) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        date = self._table.facts["event_date"]
        first = _day_start(date)
        known = pa.nulls(len(drops), pa.int64()) if times is None else times
        least, greatest = pc.min_max(known).values()
        if least.is_valid:
            before = self._times or (least.as_py(), greatest.as_py())
            self._times = min(least.as_py(), before[0]), max(greatest.as_py(), before[1])
        fits = pc.and_(pc.greater_equal(known, first), pc.less(known, first + _DAY_US))
        if (place := pc.index(pc.fill_null(fits, False), False).as_py()) >= 0:
            sentence = f"This row's time is not on {date}, the event date of its file."
            self._tell(
                reasons.EVENT_DATE, sentence, start + place, drops[place].as_py(), lines[place].as_py()
            )

    def _tell(self, reason: str, sentence: str, row: int, drop: int, line: int) -> None:
        if reason not in self._told:
            self._told.add(reason)
            record, path = self._table.record(row), self._table.path
            self._findings.changed(reason, path, sentence, record_id=record, drop=drop, line=line)


def _integers(column: pa.Array) -> pa.Array | None:
    """A column of whole numbers or timestamps as 64-bit integers; None for any other."""
    import pyarrow as pa

    if not (pa.types.is_integer(column.type) or pa.types.is_timestamp(column.type)):
        return None
    return column.cast(pa.int64())


def _packed(numbers: pa.Array) -> memoryview:
    """The bytes of a column of 64-bit integers without nulls."""
    first = 8 * numbers.offset
    return memoryview(numbers.buffers()[1]).cast("B")[first : first + 8 * len(numbers)]


def _runs(drops: pa.Array) -> Iterator[tuple[int, int, int]]:
    """Drop, first place and number of rows of each run of rows of one drop."""
    import pyarrow.compute as pc

    encoded: Any = pc.run_end_encode(drops)
    first = 0
    for drop, end in zip(encoded.values.to_pylist(), encoded.run_ends.to_pylist(), strict=True):
        yield drop, first, end - first
        first = end


def _day_start(date: str) -> int:
    """First microsecond of a day in UTC; an entry may spell a day that no calendar has."""
    try:
        return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()) * 1_000_000
    except ValueError:
        raise UnreadableError("its event date is no day of the calendar", reasons.EVENT_DATE) from None
