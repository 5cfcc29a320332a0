"""The rows of one sealed Parquet file: where they stand, and whether they hash to the sealed root.

Rows are read in batches, so memory does not grow with the file; row groups may have any size.
Format: FORMAT.md, "Data files" and "Quarantine files".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tasks.errors import VerificationError
from tasks.verify import reasons
from tasks.verify.coordinates import Coordinates
from tasks.verify.leaves import RowHasher, leads_to, plain_leaves
from tasks.verify.lines import LineIndex
from tasks.verify.report import Findings
from tasks.verify.table import Salting, SealedTable, UnreadableError, batches, open_table, salting

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_BATCH_ROWS = 65_536


def check_rows(
    data: bytes,
    table: SealedTable,
    index: LineIndex,
    findings: Findings,
    seen: Callable[[int], None],
    hasher: RowHasher = plain_leaves,
) -> bool | None:
    """Read all rows, check them, and enter their coordinates into `index`.

    Args:
        data: the file.
        table: what it should be.
        index: takes the coordinates.
        findings: takes the findings.
        seen: called with the number of rows hashed so far.
        hasher: how leaves are made.

    Returns:
        Whether the rows hash to the sealed root; None when the file's rows cannot be read.
    """
    try:
        file = open_table(data, table)
        _check_coordinates(file, table, index, findings)
        salted = salting(file, table, findings)
        return salted is not None and _check_root(data, table, salted, findings, seen, hasher)
    except UnreadableError as error:
        if table.as_sealed:
            findings.changed(error.reason, table.path, f"The file's rows cannot be read: {error}.")
        return None
    except VerificationError as error:
        if table.as_sealed:
            findings.changed(error.reason, table.path, f"A row has no leaf hash ({error}).")
        return None


def _check_coordinates(
    file: pq.ParquetFile, table: SealedTable, index: LineIndex, findings: Findings
) -> None:
    coordinates = Coordinates(table, index, findings)
    rows = 0
    for start, batch in batches(file, _BATCH_ROWS, coordinates.columns):
        coordinates.take(batch, start)
        rows = start + batch.num_rows
    findings.counted["rows"] += rows
    coordinates.close(rows)


def _check_root(
    data: bytes,
    table: SealedTable,
    salted: Salting,
    findings: Findings,
    seen: Callable[[int], None],
    hasher: RowHasher,
) -> bool:
    # A vectorised reader is not let near bytes that nobody sealed.
    chosen = hasher if table.as_sealed else plain_leaves
    holds = leads_to(table.facts["root"], data, salted, chosen, seen)
    if table.as_sealed and not holds:
        sentence = (
            "The rows do not hash to the root in the entry, although the file's bytes are as named there."
        )
        findings.changed(reasons.FILE_ROOT, table.path, sentence)
    return holds
