"""Keys of lines that were set aside: one tree a drop, in the key table, from which single keys can be destroyed.

The same bytes have the same keys, however often and under whatever name they land; so a repeated run encrypts them
alike, and what was destroyed stays destroyed when they come again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update

from tasks.subjects.engine import Database, chunks, insert_new
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
        with table.table_keys.using() as (connection, table_key):
            row = {
                "drop": name,
                "table_key": table_key.id,
                "wrapped": table_key.wrap(LineTree.grow(table.random_key()).encode(), line_row(name)),
                "created_at": int(table.now()),
            }
            insert_new(connection, LINES, [row])
            found = _read(table, connection, name)
    return {} if found is None else found[1].keys(lines)


def read_line_keys(table: KeyTable, drop: str, lines: Collection[int]) -> dict[int, bytes]:
    """See `tasks.keyring.Keyring.known_line_keys`."""
    with table.database.reading() as connection:
        found = _read(table, connection, bytes.fromhex(drop))
    return {} if found is None else found[1].keys(lines)


def without_line_keys(database: Database, drops: Sequence[str]) -> list[str]:
    """Those of the drops, named by SHA-256, of whose lines there are no keys here."""
    known = set[bytes]()
    with database.reading() as connection:
        for part in chunks(drops):
            names = [bytes.fromhex(drop) for drop in part]
            known.update(connection.scalars(select(LINES.c.drop).where(LINES.c.drop.in_(names))))
    return [drop for drop in drops if bytes.fromhex(drop) not in known]


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
