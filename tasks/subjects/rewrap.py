"""Wrapping all keys anew: what ends copies of the database that are older than a destruction.

A copy (a backup, a write-ahead log, an image of a disk) holds destroyed keys as they were wrapped. It can be opened
for as long as the key-encryption key exists that wrapped its table key. So: a new version of the KEK, a new table
key, all rows under that, and then the old version of the KEK is destroyed. Interrupted, it goes on when repeated.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, select, update

from tasks.subjects.schema import LINES, MONTHS, SUBJECTS, TABLE_KEYS
from tasks.subjects.table import CHUNK, KeyTable
from tasks.subjects.wrapping import TableKey, row_name


def rewrap(table: KeyTable) -> int:
    """Wrap all keys under a new table key and the newest KEK; destroy the old ones, where that is ours to do.

    Returns:
        How many keys were wrapped.
    """
    table.kek.rotate()
    with table.database.reading() as connection:
        newest = connection.scalar(select(func.max(TABLE_KEYS.c.id))) or 0
    new, count = table.table_keys.add(newest + 1), 0
    for rows in (MONTHS, SUBJECTS, LINES):
        while done := _step(table, rows, new):
            count += done
    with table.database.writing() as connection:
        connection.execute(delete(TABLE_KEYS).where(TABLE_KEYS.c.id < new.id))
        # Another process may have rotated meanwhile: the newest version need not be what wrapped the table key.
        used = connection.scalars(select(TABLE_KEYS.c.kek)).all()
    table.database.scrub()
    table.kek.retire(used)
    return count


def _step(table: KeyTable, rows: Table, new: TableKey) -> int:
    """Wrap some rows in one transaction; another process may make and destroy keys in between."""
    key_columns = list(rows.primary_key.columns)
    query = select(*key_columns, rows.c.table_key, rows.c.wrapped).where(rows.c.table_key < new.id)
    change = update(rows).where(*(column == bindparam(f"key_{column.name}") for column in key_columns))
    with table.database.writing() as connection:
        found = connection.execute(query.limit(CHUNK).with_for_update()).all()
        values = [_wrapped(table, connection, rows, row, new) for row in found]
        if values:
            connection.execute(change.values(wrapped=bindparam("new"), table_key=new.id), values)
    return len(values)


def _wrapped(table: KeyTable, connection: Connection, rows: Table, row: Any, new: TableKey) -> dict[str, Any]:
    place = row_name(rows, row._mapping)
    key = table.table_keys.get(row.table_key, connection).unwrap(bytes(row.wrapped), place)
    columns = {f"key_{column.name}": getattr(row, column.name) for column in rows.primary_key.columns}
    return {**columns, "new": new.wrap(key, place)}
