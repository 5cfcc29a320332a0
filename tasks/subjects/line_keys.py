"""Keys of lines that were set aside: one tree a drop, in the key table, from which single keys can be destroyed.

The same bytes have the same keys, however often and under whatever name they land; so a repeated run encrypts them
alike, and what was destroyed stays destroyed when they come again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update

from tasks.subjects.engine import insert_new
from tasks.subjects.line_tree import LineTree
from tasks.subjects.schema import LINES
from tasks.subjects.wrapping import TableKey, line_row

if TYPE_CHECKING:
    from tasks.subjects.table import KeyTable


def line_keys(table: KeyTable, drop: str, lines: Collection[int]) -> dict[int, bytes]:
    """See `tasks.keyring.Keyring.line_keys`."""
    name = bytes.fromhex(drop)
    with table.database.reading() as connection:
        found = _read(table, connection, name)
    if found is None:
        table_key = table.table_keys.current()
        wrapped = table_key.wrap(LineTree.grow(table.random_key()).encode(), line_row(name))
        row = {
            "drop": name,
            "table_key": table_key.id,
            "wrapped": wrapped,
            "created_at": int(table.now()),
        }
        with table.database.writing() as connection:
            insert_new(connection, LINES, [row])
            found = _read(table, connection, name)
    return {} if found is None else found[1].keys(lines)


def destroy_lines(table: KeyTable, lines: Mapping[str, Collection[int]]) -> None:
    """Destroy keys of lines for good. Safe to repeat.

    Args:
        table: the key table.
        lines: SHA-256 of a drop's stored bytes, in hex -> numbers of its lines.
    """
    for drop, numbers in sorted(lines.items()):
        name = bytes.fromhex(drop)
        with table.database.writing() as connection:
            found = _read(table, connection, name, lock=True)
            if found is not None:
                table_key, tree = found
                left = table_key.wrap(tree.without(numbers).encode(), line_row(name))
                connection.execute(update(LINES).where(LINES.c.drop == name).values(wrapped=left))
    if lines:
        table.database.scrub()


def _read(
    table: KeyTable, connection: Connection, drop: bytes, *, lock: bool = False
) -> tuple[TableKey, LineTree] | None:
    query = select(LINES.c.table_key, LINES.c.wrapped).where(LINES.c.drop == drop)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        return None
    table_key = table.table_keys.get(row.table_key, connection)
    return table_key, LineTree.decode(table_key.unwrap(bytes(row.wrapped), line_row(drop)))
