"""How keys lie in the table: under a table key, and that one under a key-encryption key outside the database.

The key-encryption key (KEK) belongs to a key management service or to a file. It is asked once a process, not once
a person: it wraps the table key, and AES-256-GCM-SIV (RFC 8452) under the table key wraps the rest, each bound to
its row. Destroying a key deletes its row. Copies of the database that are older than that (backups, write-ahead
logs) end when the table key is replaced (`rewrap`) and the KEK's old version is destroyed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from sqlalchemy import Connection, Table, func, select

from tasks.errors import KeyUnavailableError
from tasks.subjects.engine import WRAPPING, Database, insert_new
from tasks.subjects.schema import LINES, SUBJECTS, TABLE_KEYS, UNUSED

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_CONTEXT: Final = b"indelible/1/table-key/"


class KeyEncryptionKey(Protocol):
    """A key that never leaves where it is kept. `context` is authenticated, and must be the same both ways."""

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """`key` under the newest version.

        Returns:
            The name of the KEK and its version, and what `unwrap` takes back.

        Raises:
            KeyUnavailableError: there is no such KEK, or it may not be used.
            KeyServiceUnreachableError: nobody answers now.
        """
        ...

    def unwrap(self, kek: str, wrapped: bytes, context: bytes) -> bytes:
        """The key again; raises as `wrap`, also when that version was destroyed."""
        ...

    def rotate(self) -> None:
        """Begin a new version, where that is not the business of a service."""
        ...

    def retire(self, used: Collection[str]) -> None:
        """Destroy all versions but the newest and those `used`, where that is not the business of a service."""
        ...


class TableKey:
    """Wraps the keys of rows.

    Attributes:
        id: its row.
    """

    def __init__(self, number: int, key: bytes, random_bytes: Callable[[int], bytes]) -> None:
        self.id = number
        self._aead, self._random_bytes = AESGCMSIV(key), random_bytes

    def wrap(self, key: bytes, row: bytes) -> bytes:
        """`key` for the row that `row` names."""
        nonce = self._random_bytes(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, key, row)

    def unwrap(self, wrapped: bytes, row: bytes) -> bytes:
        """The key of that row.

        Raises:
            KeyUnavailableError: the row was changed, or moved.
        """
        try:
            return self._aead.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], row)
        except InvalidTag:
            raise KeyUnavailableError(
                "a key in the key table does not open: its row was changed, or moved there from another one",
                next_step="Restore the key table from its backup, and find out who wrote to its database.",
            ) from None


class TableKeys:
    """The table keys of one database, each unwrapped once.

    Args:
        database: where they lie.
        kek: wraps them.
        random_bytes: source of keys and nonces.
        now: Unix seconds.
    """

    def __init__(
        self,
        database: Database,
        kek: KeyEncryptionKey,
        random_bytes: Callable[[int], bytes],
        now: Callable[[], float],
    ) -> None:
        self._database, self._kek = database, kek
        self._random_bytes, self._now = random_bytes, now
        self._open: dict[int, TableKey] = {}

    def current(self) -> TableKey:
        """The newest one, made when there is none; of two processes that race, both use one."""
        newest = select(func.max(TABLE_KEYS.c.id))
        with self._database.reading() as connection:
            number = connection.scalar(newest)
        return self.add(1) if number is None else self.get(number)

    @contextmanager
    def using(self) -> Iterator[tuple[Connection, TableKey]]:
        """A transaction that writes, and the newest table key, which is not replaced before it ends."""
        self.current()  # made in a transaction of its own: this one may yet be undone
        with self._database.writing() as connection:
            self._database.lock(connection, WRAPPING, shared=True)
            yield (
                connection,
                self.get(connection.scalars(select(func.max(TABLE_KEYS.c.id))).one(), connection),
            )

    def add(self, number: int) -> TableKey:
        """Make table key `number`, unless it is there."""
        kek, wrapped = self._kek.wrap(self._random_bytes(KEY_BYTES), _context(number))
        row = {"id": number, "kek": kek, "wrapped": wrapped, "created_at": int(self._now())}
        with self._database.writing() as connection:
            insert_new(connection, TABLE_KEYS, [row])
        return self.get(number)

    def get(self, number: int, connection: Connection | None = None) -> TableKey:
        """Table key `number`, read in the transaction of `connection` if given.

        Raises:
            KeyUnavailableError: it is not there, or the KEK does not unwrap it.
        """
        if number not in self._open:
            self._open[number] = TableKey(number, self._unwrap(number, connection), self._random_bytes)
        return self._open[number]

    def _unwrap(self, number: int, connection: Connection | None) -> bytes:
        query = select(TABLE_KEYS.c.kek, TABLE_KEYS.c.wrapped).where(TABLE_KEYS.c.id == number)
        if connection is None:
            with self._database.reading() as own:
                row = own.execute(query).one()
        else:
            row = connection.execute(query).one()
        return self._kek.unwrap(row.kek, bytes(row.wrapped), _context(number))


def _context(number: int) -> bytes:
    return _CONTEXT + str(number).encode()


def month_row(purpose: str, epoch: str) -> bytes:
    """What binds a month's wrapped key to its row."""
    return f"{purpose}/{epoch}".encode()


def subject_row(subject: bytes) -> bytes:
    """What binds a person's wrapped key to its row."""
    return b"subject/" + subject


def unused_row(commitment: bytes) -> bytes:
    """What binds the wrapped key of nobody yet to its row."""
    return b"unused/" + commitment


def line_row(drop: bytes) -> bytes:
    """What binds the wrapped keys of a drop's lines to their row."""
    return b"lines/" + drop


def row_name(table: Table, row: Mapping[str, Any]) -> bytes:
    """What binds what is wrapped to a row of any table."""
    if table is SUBJECTS:
        return subject_row(row["subject"])
    if table is UNUSED:
        return unused_row(row["commitment"])
    return line_row(row["drop"]) if table is LINES else month_row(row["purpose"], row["epoch"])
