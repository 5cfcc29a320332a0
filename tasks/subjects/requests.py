"""Requests of persons to be forgotten, from when they are made until they are carried out or refused.

A row holds subject ids, which only a holder of the index key can make, and what is to be done, so that a crash in the
middle is taken up where it was. When it is done, the row goes: the log and the certificate tell the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from tasks.subjects.engine import Database
from tasks.subjects.schema import REQUESTS

_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is open.

    Attributes:
        id: 32 random hex digits.
        subjects: subject ids of the person's identifiers, in order.
        requested_by: who handed it in.
        reason: why, in one line.
        created_at: `YYYY-MM-DDThh:mm:ssZ`.
        plan: what is being done, once it has begun; a JSON document.
    """

    id: str
    subjects: tuple[str, ...]
    requested_by: str
    reason: str
    created_at: str
    plan: bytes | None = None


def add_request(database: Database, request: Request) -> None:
    """Write a request down."""
    values = {
        "id": request.id,
        "subjects": b"".join(map(bytes.fromhex, request.subjects)),
        "requested_by": request.requested_by,
        "reason": request.reason,
        "created_at": request.created_at,
    }
    with database.writing() as connection:
        connection.execute(insert(REQUESTS).values(values))


def open_requests(database: Database) -> Sequence[Request]:
    """All open requests, the oldest first."""
    with database.reading() as connection:
        rows = connection.execute(select(REQUESTS).order_by(REQUESTS.c.created_at, REQUESTS.c.id)).all()
    return [_request(row) for row in rows]


def keep_plan(database: Database, request: str, plan: bytes, stale: bytes | None = None) -> bytes | None:
    """Write down what is to be done; of two who do so, the first one's stays.

    Args:
        database: the key table.
        request: its id.
        plan: a JSON document.
        stale: the plan that it takes the place of, if any.

    Returns:
        The plan that is to be followed; None when the request is not open any more.
    """
    row, known = REQUESTS.c.id == request, REQUESTS.c.plan.is_not_distinct_from(stale)
    with database.writing() as connection:
        connection.execute(update(REQUESTS).where(row, known).values(plan=plan))
        kept = connection.scalar(select(REQUESTS.c.plan).where(row))
    return None if kept is None else bytes(kept)


def forget_request(database: Database, request: str) -> None:
    """Forget a request that was carried out or refused, and overwrite it."""
    with database.writing() as connection:
        connection.execute(delete(REQUESTS).where(REQUESTS.c.id == request))
    database.scrub()


def _request(row: Row[Any]) -> Request:
    subjects = bytes(row.subjects).hex()
    split = tuple(subjects[at : at + 2 * _ID_BYTES] for at in range(0, len(subjects), 2 * _ID_BYTES))
    plan = None if row.plan is None else bytes(row.plan)
    return Request(row.id, split, row.requested_by, row.reason, row.created_at, plan)
