"""The key table as the pipeline uses it: keys of months and persons, made on first use, and where persons occur.

Statements take a bounded number of rows, whatever a batch holds. Rows are written in the order of their subject
ids, so that two processes that write the same ones wait for each other instead of blocking each other.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from tasks.errors import KeyDestroyedError, KeyUnavailableError
from tasks.evidence.key_table_entry import commitment
from tasks.subjects.engine import DRAWING, Database, chunks, insert_new
from tasks.subjects.line_keys import line_keys, read_line_keys
from tasks.subjects.pool import draw
from tasks.subjects.rows import pack, unpack
from tasks.subjects.schema import MONTHS, PLACES, SUBJECTS
from tasks.subjects.wrapping import (
    KEY_BYTES,
    KeyEncryptionKey,
    TableKeys,
    month_row,
    subject_row,
)

_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Place:
    """A data file with rows about a person.

    Attributes:
        source: whose file.
        path: in the store.
        rows: how many.
    """

    source: str
    path: str
    rows: int


class KeyTable:
    """Random keys that can be destroyed.

    Args:
        database: where they lie; see `open_database`.
        kek: wraps the keys that wrap them.
        index_key: makes subject ids of identifiers.
        random_bytes: source of keys and nonces.
        random_below: a number from 0 to below another one; decides which key a person gets.
        now: Unix seconds.
    """

    def __init__(
        self,
        database: Database,
        kek: KeyEncryptionKey,
        index_key: bytes,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        random_below: Callable[[int], int] = secrets.randbelow,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.database, self.kek = database, kek
        self._index = hmac.new(index_key, digestmod="sha256")
        self._random_bytes, self.random_below, self.now = random_bytes, random_below, now
        self.table_keys = TableKeys(database, kek, random_bytes, now)

    def month_key(self, purpose: str, epoch: str) -> bytes:
        """See `tasks.keyring.Keyring.secret`."""
        name = f"{purpose}/{epoch}"
        with self.database.reading() as connection:
            key = self._month(connection, purpose, epoch)
        if key is not None:
            return key
        with self.table_keys.using() as (connection, table_key):
            secret = self.random_key()
            row = {
                "purpose": purpose,
                "epoch": epoch,
                "table_key": table_key.id,
                "wrapped": table_key.wrap(secret, month_row(purpose, epoch)),
                "commitment": commitment(name, secret),
                "created_at": int(self.now()),
            }
            insert_new(connection, MONTHS, [row])
            key = self._month(connection, purpose, epoch)
        if key is None:
            raise KeyUnavailableError(f"the key {name} was not stored", next_step="See the database's log.")
        return key

    def subject_ids(self, identifiers: Sequence[str]) -> list[str]:
        """See `tasks.keyring.Keyring.subject_ids`."""
        return [subject.hex() for subject in self._subjects(identifiers)]

    def subject_keys(self, identifiers: Sequence[str]) -> list[bytes]:
        """See `tasks.keyring.Keyring.subject_keys`."""
        subjects = self._subjects(identifiers)
        with self.database.reading() as connection:
            found = self._read(connection, subjects)
        missing = sorted(set(subjects) - found.keys())
        if missing:
            with self.table_keys.using() as (connection, table_key):
                self.database.lock(connection, DRAWING)
                found |= self._read(connection, missing)  # another process may have been first
                new = [subject for subject in missing if subject not in found]
                found |= draw(self, connection, table_key, new)
        return [found[subject] for subject in subjects]

    def line_keys(self, drop: str, lines: Collection[int]) -> dict[int, bytes]:
        """See `tasks.keyring.Keyring.line_keys`."""
        return line_keys(self, drop, lines)

    def known_line_keys(self, drop: str, lines: Collection[int]) -> dict[int, bytes]:
        """See `tasks.keyring.Keyring.known_line_keys`."""
        return read_line_keys(self, drop, lines)

    def known_key(self, subject: str) -> bytes | None:
        """The key of a person whose subject id is given, or None; makes none."""
        identity = bytes.fromhex(subject)
        with self.database.reading() as connection:
            return self._read(connection, [identity]).get(identity)

    def note_places(self, source: str, rows: Mapping[str, Mapping[str, Sequence[int]]]) -> None:
        """See `tasks.keyring.Keyring.note_places`."""
        noted = sorted(
            (bytes.fromhex(subject), path, len(numbers), pack(numbers))
            for path, of_path in rows.items()
            for subject, numbers in of_path.items()
        )
        with self.database.writing() as connection:
            for part in chunks(noted):
                values = [
                    {"subject": s, "path": p, "source": source, "rows": n, "numbers": packed}
                    for s, p, n, packed in part
                ]
                insert_new(connection, PLACES, values)

    def places(self, subject: str) -> list[Place]:
        """Where a person occurs, in order of sources and paths; also in files that no entry names."""
        columns = PLACES.c.source, PLACES.c.path, PLACES.c.rows
        query = select(*columns).where(PLACES.c.subject == bytes.fromhex(subject)).order_by(*columns)
        with self.database.reading() as connection:
            return [Place(*row) for row in connection.execute(query)]

    def row_numbers(self, subject: str) -> Iterator[tuple[Place, list[int]]]:
        """As `places`, each with the 0-based numbers of the rows.

        Raises:
            KeyUnavailableError: what the table holds of a file was changed.
        """
        for place in self.places(subject):
            here = (PLACES.c.subject == bytes.fromhex(subject)) & (PLACES.c.path == place.path)
            with self.database.reading() as connection:
                packed = connection.scalar(select(PLACES.c.numbers).where(here))
            if packed is None:
                continue  # the person was erased meanwhile
            try:
                yield place, unpack(packed, place.rows)
            except ValueError as error:
                raise KeyUnavailableError(
                    f"the key table's note on {place.path} is damaged: {error}",
                    next_step="Restore the key table from its backup.",
                ) from error

    def keys_in(self, paths: Sequence[str]) -> Iterator[bytes]:
        """The keys of all persons who have rows in one of the files; makes none."""
        subjects: set[bytes] = set()
        with self.database.reading() as connection:
            for part in chunks(paths):
                query = select(PLACES.c.subject).where(PLACES.c.path.in_(part)).distinct()
                subjects.update(bytes(subject) for (subject,) in connection.execute(query))
            for some in chunks(sorted(subjects)):
                yield from self._read(connection, some).values()

    def random_key(self) -> bytes:
        """32 bytes from the table's source of key material."""
        return self._random_bytes(KEY_BYTES)

    def _subjects(self, identifiers: Sequence[str]) -> list[bytes]:
        found = []
        for identifier in identifiers:
            index = self._index.copy()
            index.update(identifier.encode())
            found.append(index.digest()[:_ID_BYTES])
        return found

    def _month(self, connection: Connection, purpose: str, epoch: str) -> bytes | None:
        query = select(MONTHS.c.table_key, MONTHS.c.wrapped)
        row = connection.execute(query.where(MONTHS.c.purpose == purpose, MONTHS.c.epoch == epoch)).first()
        if row is None:
            return None
        if row.wrapped is None:
            raise KeyDestroyedError(f"{purpose}/{epoch}")
        table_key = self.table_keys.get(row.table_key, connection)
        return table_key.unwrap(bytes(row.wrapped), month_row(purpose, epoch))

    def _read(self, connection: Connection, subjects: Sequence[bytes]) -> dict[bytes, bytes]:
        columns = SUBJECTS.c.subject, SUBJECTS.c.table_key, SUBJECTS.c.wrapped
        found = {}
        for part in chunks(subjects):
            query = select(*columns).where(SUBJECTS.c.subject.in_(part))
            for subject, number, wrapped in connection.execute(query):
                table_key = self.table_keys.get(number, connection)
                found[bytes(subject)] = table_key.unwrap(bytes(wrapped), subject_row(subject))
        return found
