"""Putting a backup's rows into the key table. Rows that are there win; destroyed keys stay destroyed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from sqlalchemy import Connection, Table, insert, select

from tasks.subjects.backup import read_backup
from tasks.subjects.engine import insert_new
from tasks.subjects.line_tree import LineTree
from tasks.subjects.schema import BACKUPS, BATCHES, LINES, MONTHS, PLACES, SUBJECTS, UNSEALED
from tasks.subjects.table import KeyTable
from tasks.subjects.wrapping import TableKey, line_row, month_row, subject_row


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restoration did.

    Attributes:
        keys: how many keys of the backup may be used.
        destroyed: how many were left out, since the log says that they were destroyed.
        unreadable_drops: of how many drops there are lines in quarantine whose keys are in no row now: a newer backup
            may have them.
    """

    keys: int
    destroyed: int
    unreadable_drops: int = 0


def restore_backup(
    table: KeyTable,
    file: BinaryIO,
    now: datetime,
    shredded: Collection[str],
    erased: Mapping[str, Collection[int]],
) -> Restored:
    """Restore what a backup holds. Interrupted, it goes on when repeated.

    Args:
        table: the key table, usually an empty one.
        file: the backup.
        now: time of the store.
        shredded: commitments, in hex, of all keys that the log says were destroyed.
        erased: lines whose keys the log says were destroyed, by the SHA-256 of their drop.

    Raises:
        UsageError: it is no backup, or it has expired.
        KeyUnavailableError: the KEK does not open it, or it was changed.
        KeyTableBusyError: another process works on the whole table.
    """
    with table.database.alone():
        run = _Run(table, {bytes.fromhex(commitment) for commitment in shredded}, erased)
        for source, rows in read_backup(table, file, now):
            with table.database.writing() as connection:
                run.take(connection, source, rows)
    return Restored(run.keys, run.destroyed)


class _Run:
    def __init__(self, table: KeyTable, shredded: set[bytes], erased: Mapping[str, Collection[int]]) -> None:
        self.keys = self.destroyed = 0
        self._table, self._shredded, self._erased = table, shredded, erased
        self._table_key: TableKey = table.table_keys.current()
        self._batches: dict[int, int] = {}
        self._left_out: set[bytes] = set()

    def take(self, connection: Connection, source: Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows of one table."""
        if source is BATCHES:
            self._take_batches(connection, rows)
        elif source is MONTHS:
            insert_new(connection, source, [self._month(row) for row in rows])
        elif source is SUBJECTS:
            insert_new(connection, source, list(self._subjects(rows)))
        elif source is LINES:
            insert_new(connection, source, [self._lines(row) for row in rows])
        elif source is PLACES:
            known = self._known(connection, {row["subject"] for row in rows})
            insert_new(connection, source, [row for row in rows if row["subject"] in known])
        elif source is UNSEALED:
            waiting = [row for row in rows if row["commitment"] not in self._shredded]
            insert_new(connection, source, [row | {"batch": self._batches[row["batch"]]} for row in waiting])
        elif source is BACKUPS:
            self._take_backups(connection, rows)

    def _take_batches(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        """Batches are told by their roots: the table may have other ones under the same number."""
        for row in rows:
            number = row.pop("id")
            known = connection.scalar(select(BATCHES.c.id).where(BATCHES.c.root == row["root"]))
            if known is None:
                added = insert(BATCHES).values(row | {"sealed": False}).returning(BATCHES.c.id)
                known = connection.execute(added).scalar_one()
            self._batches[number] = known

    def _take_backups(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        """Who is told that a key is gone must be told of copies that the lost table had noted, too."""
        times = connection.execute(select(BACKUPS.c.created_at, BACKUPS.c.expires_at))
        known = {(row.created_at, row.expires_at) for row in times}
        new = sorted({(row["created_at"], row["expires_at"]) for row in rows} - known)
        if new:
            values = [{"created_at": created, "expires_at": expires} for created, expires in new]
            connection.execute(insert(BACKUPS), values)

    def _month(self, row: dict[str, Any]) -> dict[str, Any]:
        if row["wrapped"] is None or row["commitment"] in self._shredded:
            gone = row["destroyed_at"] or int(self._table.now())
            self.destroyed += 1
            return self._row(row, None) | {"destroyed_at": gone}
        return self._row(row, month_row(row["purpose"], row["epoch"]))

    def _subjects(self, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rows:
            if row["commitment"] in self._shredded:
                self.destroyed += 1
                self._left_out.add(row["subject"])
            else:
                yield self._row(row, subject_row(row["subject"]))

    def _lines(self, row: dict[str, Any]) -> dict[str, Any]:
        gone = self._erased.get(row["drop"].hex(), ())
        self.destroyed += len(gone)
        tree = LineTree.decode(row["wrapped"]).without(gone)
        wrapped = self._table_key.wrap(tree.encode(), line_row(row["drop"]))
        return row | {"table_key": self._table_key.id, "wrapped": wrapped}

    def _row(self, row: dict[str, Any], place: bytes | None) -> dict[str, Any]:
        batch = None if row["batch"] is None else self._batches[row["batch"]]
        if place is None:
            return row | {"batch": batch, "table_key": None, "wrapped": None}
        self.keys += 1
        wrapped = self._table_key.wrap(row["wrapped"], place)
        return row | {"batch": batch, "table_key": self._table_key.id, "wrapped": wrapped}

    def _known(self, connection: Connection, subjects: set[bytes]) -> set[bytes]:
        query = select(SUBJECTS.c.subject).where(SUBJECTS.c.subject.in_(list(subjects - self._left_out)))
        return {bytes(subject) for (subject,) in connection.execute(query)}
