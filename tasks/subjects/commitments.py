"""Which commitments wait to be published, and which destructions. The log's entries are made of these.

A batch is the key of a month, or a pool of keys for persons to come (`pool`). Its commitments stay here for ever, so
that each key's destruction can be tied to what was published; no row says to whom one of them belonged.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, select, union_all, update

from tasks.evidence import merkle
from tasks.evidence.key_table_entry import SUBJECT
from tasks.subjects.engine import Database, insert_new
from tasks.subjects.schema import BATCHES, MONTHS, SUBJECTS, UNSEALED, UNUSED

_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class Committed:
    """Keys whose commitments are published together.

    Attributes:
        id: its row.
        name: of the keys.
        count: of the keys.
        root: over their commitments.
    """

    id: int
    name: str
    count: int
    root: bytes

    @property
    def of_month(self) -> bool:
        """Whether it is the key of a month, of which there is one."""
        return self.name != SUBJECT


@dataclass(frozen=True, slots=True)
class Destruction:
    """A key that was destroyed, and how its commitment follows from what was published.

    Attributes:
        name: of the key.
        commitment: 32 bytes.
        index: of the commitment in its batch.
        count: of its batch.
        root: of its batch.
        proof: from the commitment to the root.
        requested_by: who asked.
        approver: who approved.
        reason: why.
    """

    name: str
    commitment: bytes
    index: int
    count: int
    root: bytes
    proof: tuple[bytes, ...]
    requested_by: str
    approver: str
    reason: str


def unsealed_batches(database: Database, names: Collection[str] = ()) -> list[Committed]:
    """Batches to publish, oldest first. New keys of months come into new batches.

    Args:
        database: the key table.
        names: of keys that the log does not commit to, whatever is noted here: it may be another log.

    Returns:
        Those of which no entry is known to be in the log, and those of `names`.
    """
    with database.reading() as connection:
        fresh = connection.scalar(select(MONTHS.c.commitment).where(MONTHS.c.batch.is_(None)).limit(1))
    if fresh is not None:
        with database.writing() as connection:
            make_batches(connection)
    query = select(BATCHES).where(BATCHES.c.sealed.is_(False) | BATCHES.c.name.in_(list(names)))
    with database.reading() as connection:
        return [
            Committed(row.id, row.name, len(row.commitments) // _SIZE, bytes(row.root))
            for row in connection.execute(query.order_by(BATCHES.c.id))
        ]


def mark_all_unsealed(database: Database) -> None:
    """Forget which entries are in the log, after a part of it was given up; what is there is not sealed twice."""
    with database.writing() as connection:
        connection.execute(update(BATCHES).values(sealed=False))


def mark_sealed(database: Database, batch: int) -> None:
    """Remember that the batch's entry is in the log."""
    with database.writing() as connection:
        connection.execute(update(BATCHES).where(BATCHES.c.id == batch).values(sealed=True))


def unsealed_destructions(database: Database) -> list[Destruction]:
    """Destructions of which no entry is known to be in the log."""
    query = select(UNSEALED, BATCHES.c.commitments, BATCHES.c.root).join_from(UNSEALED, BATCHES)
    with database.reading() as connection:
        rows = connection.execute(query.order_by(UNSEALED.c.commitment)).all()
    found = []
    for row in rows:
        own, commitments = bytes(row.commitment), _split(row.commitments)
        index = bisect_left(commitments, own)
        proof = merkle.inclusion_proof([merkle.leaf_hash(leaf) for leaf in commitments], index)
        found.append(
            Destruction(
                row.name,
                own,
                index,
                len(commitments),
                bytes(row.root),
                tuple(proof),
                row.requested_by,
                row.approver,
                row.reason,
            )
        )
    return found


def forget_destruction(database: Database, commitment: bytes) -> None:
    """Remember that the destruction's entry is in the log."""
    with database.writing() as connection:
        connection.execute(delete(UNSEALED).where(UNSEALED.c.commitment == commitment))


def note_destruction(
    database: Database, name: str, commitment: bytes, root: bytes, cause: Mapping[str, str]
) -> None:
    """Have a destruction sealed again whose entry was given up, if the key was one of this table and is gone.

    Args:
        database: the key table.
        name: of the key.
        commitment: 32 bytes.
        root: of the batch that the commitment is in.
        cause: `requested_by`, `approver` and `reason`.
    """
    living = union_all(
        *(
            select(keys.c.commitment).where(keys.c.commitment == commitment, keys.c.wrapped.is_not(None))
            for keys in (SUBJECTS, UNUSED, MONTHS)
        )
    )
    batch = select(BATCHES).where(BATCHES.c.root == root, BATCHES.c.name == name)
    with database.writing() as connection:
        found = connection.execute(batch.order_by(BATCHES.c.id).limit(1)).first()
        if found is None or commitment not in _split(found.commitments):
            return
        if connection.execute(living).first() is not None:
            return
        row = {"commitment": commitment, "name": name, "batch": found.id, **cause}
        insert_new(connection, UNSEALED, [row])


def make_batches(connection: Connection) -> None:
    """Put every key of a month that is in no batch into one of its own."""
    fresh = select(MONTHS.c.purpose, MONTHS.c.epoch, MONTHS.c.commitment).where(MONTHS.c.batch.is_(None))
    for purpose, epoch, own in connection.execute(fresh.with_for_update()).all():
        batch = add_batch(connection, f"{purpose}/{epoch}", [bytes(own)])
        month = (MONTHS.c.purpose == purpose) & (MONTHS.c.epoch == epoch)
        connection.execute(update(MONTHS).where(month).values(batch=batch))


def add_batch(connection: Connection, name: str, commitments: Collection[bytes]) -> int:
    """Commitments that are to be published together; the number of their row."""
    ordered = sorted(commitments)
    root = merkle.root([merkle.leaf_hash(leaf) for leaf in ordered])
    values = {"name": name, "commitments": b"".join(ordered), "root": root, "sealed": False}
    number: int = connection.execute(insert(BATCHES).values(values).returning(BATCHES.c.id)).scalar_one()
    return number


def _split(commitments: bytes) -> Sequence[bytes]:
    return [bytes(commitments[at : at + _SIZE]) for at in range(0, len(commitments), _SIZE)]
