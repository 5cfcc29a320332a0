"""Wrapping all keys anew: what ends copies of the database that are older than a destruction.

A copy (a backup, a write-ahead log, an image of a disk) holds destroyed keys as they were wrapped. It can be opened
for as long as the key-encryption key exists that wrapped its table key. So: a new version of the KEK, a new table
key, all rows under that, and then the old version of the KEK is destroyed. Interrupted, it goes on when repeated.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, delete, func, select, update

from tasks.subjects.engine import CHUNK, WRAPPING
from tasks.subjects.schema import LINES, MONTHS, SUBJECTS, TABLE_KEYS, UNUSED
from tasks.subjects.table import KeyTable
from tasks.subjects.wrapping import TableKey, row_name

_TABLES: Final = (MONTHS, SUBJECTS, UNUSED, LINES)


def rewrap(table: KeyTable) -> int:
    """Wrap all keys under a new table key and the newest KEK; destroy the old ones, where that is ours to do.

    Who delivers meanwhile is not in the way and is not disturbed.

    Returns:
        How many keys were wrapped.

    Raises:
        KeyTableBusyError: another process does it, or backs the table up or restores it.
    """
    with table.database.alone():
        return _rewrap(table)


def _rewrap(table: KeyTable) -> int:
    table.kek.rotate()
    with table.database.reading() as connection:
        newest = connection.scalar(select(func.max(TABLE_KEYS.c.id))) or 0
    new, count = table.table_keys.add(newest + 1), 0
    for rows in _TABLES:
        while done := _step(table, rows, new):
            count += done
    with table.database.writing() as connection:
        table.database.lock(connection, WRAPPING)
        # What others wrapped meanwhile under the key that they had found; nobody does so any more.
        for rows in _TABLES:
            while done := _wrap_some(table, connection, rows, new):
                count += done
        connection.execute(delete(TABLE_KEYS).where(TABLE_KEYS.c.id < new.id))
        # Another process may have rotated meanwhile: the newest version need not be what wrapped the table key.
        used = connection.scalars(select(TABLE_KEYS.c.kek)).all()
    table.database.scrub()
    table.kek.retire(used)
    return count


def _step(table: KeyTable, rows: Table, new: TableKey) -> int:
    """Wrap some rows in one transaction; another process may make and destroy keys in between."""
    with table.database.writing() as connection:
        return _wrap_some(table, connection, rows, new)


def _wrap_some(table: KeyTable, connection: Connection, rows: Table, new: TableKey) -> int:
    key_columns = list(rows.primary_key.columns)
    query = select(rows).where(rows.c.table_key < new.id).limit(CHUNK)
    change = update(rows).where(*(column == bindparam(f"key_{column.name}") for column in key_columns))
    found = connection.execute(query.with_for_update()).all()
    values = [_wrapped(table, connection, rows, row, new) for row in found]
    if values:
        connection.execute(change.values(wrapped=bindparam("new"), table_key=new.id), values)
    return len(values)


def _wrapped(table: KeyTable, connection: Connection, rows: Table, row: Any, new: TableKey) -> dict[str, Any]:
    place = row_name(rows, row._mapping)
    key = table.table_keys.get(row.table_key, connection).unwrap(bytes(row.wrapped), place)
    columns = {f"key_{column.name}": getattr(row, column.name) for column in rows.primary_key.columns}
    return {**columns, "new": new.wrap(key, place)}
