"""Keys of persons to come. They are made and committed to ahead, many at once, so that a commitment tells nobody's.

A person who is new draws one of the `DRUM` oldest unused keys at random, and the next one takes its place: a lottery
drum, which is how a mix delays letters (pool mix; Serjantov, Dingledine, Syverson: From a Trickle to a Flood, 2002).
So keys of a pool that was just committed to come into the drum one by one while those of the pool before it are
still drawn. If instead each pool were emptied in turn, or a new one were drawn from at once, the first and the last
person of a pool could be told by who came when.

Put here: making unused keys and drawing them. Do not put here: what a key is wrapped with (`wrapping`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, delete, insert, select

from tasks.evidence.key_table_entry import SUBJECT, commitment
from tasks.subjects.commitments import add_batch
from tasks.subjects.engine import chunks
from tasks.subjects.schema import SUBJECTS, UNUSED
from tasks.subjects.wrapping import TableKey, subject_row, unused_row

if TYPE_CHECKING:
    from tasks.subjects.table import KeyTable

DRUM: Final = 1_024


@dataclass(frozen=True, slots=True)
class _Key:
    secret: bytes
    commitment: bytes
    batch: int


def draw(
    table: KeyTable, connection: Connection, table_key: TableKey, subjects: Sequence[bytes]
) -> dict[bytes, bytes]:
    """Give each person an unused key; more are made first where the drum would not be full.

    Args:
        table: the key table.
        connection: a transaction that holds the lock `DRAWING`.
        table_key: wraps what is written.
        subjects: of persons who have no key, distinct.

    Returns:
        The key of each.
    """
    if not subjects:
        return {}
    needed = len(subjects) + DRUM - 1
    queue = connection.scalars(select(UNUSED.c.id).order_by(UNUSED.c.id).limit(needed)).all()
    fresh = _make(table, connection, needed - len(queue)) if len(queue) < needed else []
    places = drum_places(len(subjects), DRUM, table.random_below)
    taken = _take(table, connection, [queue[place] for place in places if place < len(queue)])
    found, left = {}, set(range(len(fresh)))
    for subject, place in zip(subjects, places, strict=True):
        if place < len(queue):
            found[subject] = taken[queue[place]]
        else:
            found[subject] = fresh[place - len(queue)]
            left.discard(place - len(queue))
    for part in chunks(list(found.items())):
        rows = [{"subject": s, **_row(table, table_key, key, subject_row(s))} for s, key in part]
        connection.execute(insert(SUBJECTS), rows)
    for some in chunks([fresh[at] for at in sorted(left)]):
        rows = [_row(table, table_key, key, unused_row(key.commitment)) for key in some]
        connection.execute(insert(UNUSED), rows)
    return {subject: key.secret for subject, key in found.items()}


def drum_places(count: int, drum: int, random_below: Callable[[int], int]) -> list[int]:
    """Places in the queue of unused keys, from 0, that `count` draws take one after the other."""
    held, drawn = list(range(drum)), []
    for following in range(drum, drum + count):
        at = random_below(drum)
        drawn.append(held[at])
        held[at] = following
    return drawn


def _make(table: KeyTable, connection: Connection, short: int) -> list[_Key]:
    """At least `DRUM` keys, and a power of two of them; what they are bound to waits to be sealed."""
    count = max(DRUM, 1 << (short - 1).bit_length())
    secrets = [table.random_key() for _ in range(count)]
    commitments = [commitment(SUBJECT, secret) for secret in secrets]
    batch = add_batch(connection, SUBJECT, commitments)
    return [_Key(secret, leaf, batch) for secret, leaf in zip(secrets, commitments, strict=True)]


def _take(table: KeyTable, connection: Connection, numbers: Sequence[int]) -> dict[int, _Key]:
    """The keys of these rows, which are gone then."""
    found = {}
    for part in chunks(numbers):
        rows = connection.execute(select(UNUSED).where(UNUSED.c.id.in_(part)).with_for_update()).all()
        for row in rows:
            table_key = table.table_keys.get(row.table_key, connection)
            secret = table_key.unwrap(bytes(row.wrapped), unused_row(bytes(row.commitment)))
            found[row.id] = _Key(secret, bytes(row.commitment), row.batch)
        connection.execute(delete(UNUSED).where(UNUSED.c.id.in_(part)))
    return found


def _row(table: KeyTable, table_key: TableKey, key: _Key, place: bytes) -> dict[str, object]:
    return {
        "table_key": table_key.id,
        "wrapped": table_key.wrap(key.secret, place),
        "commitment": key.commitment,
        "batch": key.batch,
        "created_at": int(table.now()),
    }
