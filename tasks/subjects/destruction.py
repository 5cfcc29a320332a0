"""Destroying keys. What is to be sealed of it is written down in the same transaction, so no crash loses it.

The order is: destroy here; overwrite what the database still holds of it (`Database.scrub`); seal the entry. An
entry never says that a key is gone which is not, and a destruction whose entry is missing is found again
(`unsealed_destructions`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update
from sqlalchemy.sql import Select

from tasks.evidence.key_table_entry import SUBJECT
from tasks.subjects.commitments import make_batches
from tasks.subjects.schema import MONTHS, PLACES, SUBJECTS, UNSEALED
from tasks.subjects.table import KeyTable, Place


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a key is destroyed.

    Attributes:
        requested_by: who asked.
        approver: who approved; another person.
        reason: why; without personal data, since it is sealed.
    """

    requested_by: str
    approver: str
    reason: str


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What was destroyed.

    Attributes:
        commitment: of the key, 32 bytes.
        places: where the person occurs; none for a month.
    """

    commitment: bytes
    places: tuple[Place, ...] = ()


def destroy_month(table: KeyTable, purpose: str, epoch: str, cause: Cause) -> Destroyed | None:
    """Destroy the key of a month for good; no other one is ever made for it.

    Returns:
        None when there is none, or it is destroyed already.
    """
    row = (MONTHS.c.purpose == purpose) & (MONTHS.c.epoch == epoch)
    query = select(MONTHS.c.commitment, MONTHS.c.batch).where(row, MONTHS.c.wrapped.is_not(None))
    with table.database.writing() as connection:
        commitment = _note(connection, query.with_for_update(), f"{purpose}/{epoch}", cause)
        if commitment is None:
            return None
        gone = {"wrapped": None, "table_key": None, "destroyed_at": int(table.now())}
        connection.execute(update(MONTHS).where(row).values(gone))
    table.database.scrub()
    return Destroyed(commitment)


def destroy_subject(table: KeyTable, subject: str, cause: Cause) -> Destroyed | None:
    """Destroy a person's key and forget where the person occurs. If they come again, they get another key.

    Args:
        table: the key table.
        subject: subject id.
        cause: who and why.

    Returns:
        None when the person has no key.
    """
    identity = bytes.fromhex(subject)
    row: ColumnElement[bool] = SUBJECTS.c.subject == identity
    places = tuple(table.places(subject))
    query = select(SUBJECTS.c.commitment, SUBJECTS.c.batch).where(row)
    with table.database.writing() as connection:
        commitment = _note(connection, query.with_for_update(), SUBJECT, cause)
        if commitment is None:
            return None
        connection.execute(delete(PLACES).where(PLACES.c.subject == identity))
        connection.execute(delete(SUBJECTS).where(row))
    table.database.scrub()
    return Destroyed(commitment, places)


def _note(connection: Connection, query: Select[tuple[bytes, int]], name: str, cause: Cause) -> bytes | None:
    make_batches(connection)
    row = connection.execute(query).first()
    if row is None:
        return None
    who = {"requested_by": cause.requested_by, "approver": cause.approver, "reason": cause.reason}
    values = {"commitment": row.commitment, "name": name, "batch": row.batch, **who}
    connection.execute(insert(UNSEALED).values(values))
    return bytes(row.commitment)
