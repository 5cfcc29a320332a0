"""The database that keys lie in: SQLite on this machine, or PostgreSQL.

SQLite is opened so that what is deleted is overwritten (`secure_delete`), its file is its owner's only, and a
commit is on disk when it returns. Connections are not pooled: few are made, and none may cross a fork.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import NullPool

from tasks.errors import KeyServiceUnreachableError, KeyTableBusyError, KeyUnavailableError, UsageError
from tasks.subjects.schema import METADATA, SCHEMA_VERSION, VERSION

CHUNK: Final = 2_000  # rows of a statement
SQLITE: Final = "sqlite"
_POSTGRESQL: Final = "postgresql"
_BUSY_MS: Final = 60_000
_TRIES: Final = 100
_PAUSE_S: Final = 0.05
_PRAGMAS: Final = (
    f"busy_timeout={_BUSY_MS}",
    "synchronous=FULL",
    "secure_delete=ON",
    "foreign_keys=ON",
    "temp_store=MEMORY",
)
# Advisory locks of PostgreSQL.
_MAKING_TABLES: Final = 0x1DE11B1E  # once, however many processes start
WRAPPING: Final = 0x1DE11B1F  # shared: the newest table key is in use; alone: older ones go
DRAWING: Final = 0x1DE11B20  # unused keys are given to persons
_WHOLE: Final = 0x1DE11B21  # see `Database.alone`


class Database:
    """Transactions on the key table, and errors that say what to do.

    Args:
        engine: see `open_database`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ready = False

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the table.

        Raises:
            KeyServiceUnreachableError: the database does not answer, or is locked for longer than a minute.
            KeyUnavailableError: the database refuses, or its tables are those of another version.
        """
        with self._transaction(write=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction; all of it is kept or none. Raises as `reading`."""
        with self._transaction(write=True) as connection:
            yield connection

    def lock(self, connection: Connection, key: int, *, shared: bool = False) -> None:
        """Wait for a lock, and hold it until the transaction ends. In SQLite, whoever writes is alone already."""
        if self.dialect == _POSTGRESQL:
            function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
            connection.execute(text(f"SELECT {function}(:key)"), {"key": key})

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Work on the whole table, which one process does at a time; it is free again when that process ends.

        PostgreSQL: an advisory lock of a session. SQLite: a lock on a file beside the database (flock).

        Raises:
            KeyTableBusyError: another one is at it.
        """
        hold = self._session_lock if self.dialect == _POSTGRESQL else self._file_lock
        with hold() as held:
            if not held:
                raise KeyTableBusyError(
                    "another process wraps all keys anew, or backs the key table up or restores it",
                    next_step="Run again when it has ended.",
                )
            yield

    @contextmanager
    def _session_lock(self) -> Iterator[bool]:
        # Errors of this connection alone are translated: what is done under the lock has its own.
        with _translated():
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            with _translated():
                query = text("SELECT pg_try_advisory_lock(:key)")
                held = bool(connection.scalar(query, {"key": _WHOLE}))
            yield held
        finally:
            connection.close()  # not pooled: the session ends, and the lock with it

    @contextmanager
    def _file_lock(self) -> Iterator[bool]:
        with _translated():
            self._make_tables()  # and with them the directory
            file = os.open(f"{self._engine.url.database}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = True
        except BlockingIOError:
            held = False
        try:
            yield held
        finally:
            os.close(file)

    def scrub(self) -> None:
        """Overwrite what was deleted, as far as the database can; raises as `reading`.

        SQLite: deleted bytes are zeros already, and here its write-ahead log is emptied. PostgreSQL: dead rows
        are vacuumed; its own write-ahead log and archives keep copies until they expire.
        """
        with _translated(), self._engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            if self.dialect == SQLITE:
                busy = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0]
                if busy:
                    raise KeyServiceUnreachableError(
                        "the key table's write-ahead log is in use, and still holds what was deleted",
                        next_step="Run again when no other process reads the key table.",
                    )
                return
            for table in METADATA.sorted_tables:
                connection.execute(text(f"VACUUM {table.name}"))

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        with _translated():
            self._make_tables()
            options: dict[str, Any] = {"write": write}
            if not write and self.dialect == _POSTGRESQL:
                options["isolation_level"] = "REPEATABLE READ"
            with self._engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection

    def _make_tables(self) -> None:
        if self._ready:
            return
        with self._engine.connect().execution_options(write=True) as connection, connection.begin():
            if self.dialect == _POSTGRESQL:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MAKING_TABLES})
            _make_or_check(connection)
        self._ready = True


def open_database(url: str) -> Database:
    """The database of a URL, which is not touched before it is used.

    Args:
        url: `sqlite:///file` or `postgresql+psycopg://user@host/database`.

    Raises:
        UsageError: it is another kind of database, or its driver is not installed.
    """
    address = _address(url)
    if address is None or address.get_backend_name() not in {SQLITE, _POSTGRESQL}:
        raise UsageError(
            "[key_table] url names no database that can hold the key table",
            next_step="Set it to `postgresql+psycopg://user@host/database`, or leave it out for SQLite.",
        )
    try:
        engine = create_engine(address, poolclass=NullPool)
    except NoSuchModuleError:
        raise UsageError(
            "[key_table] url names an unknown driver of its database",
            next_step="Use `postgresql+psycopg://`.",
        ) from None
    except ModuleNotFoundError as error:
        raise UsageError(
            "the key table's database driver is not installed", next_step="Install `indelible[postgres]`."
        ) from error
    if engine.dialect.name == SQLITE:
        _prepare_sqlite(engine, address)
    return Database(engine)


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; those whose primary key is there already stay as they are."""
    if rows:
        insert = sqlite.insert if connection.dialect.name == SQLITE else postgresql.insert
        connection.execute(insert(table).on_conflict_do_nothing(), list(rows))


_T = TypeVar("_T")


def chunks(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Runs of at most `CHUNK` values."""
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))


def _make_or_check(connection: Connection) -> None:
    """Make all tables where there is none; refuse those of another version, which a query would fail on halfway."""
    there = METADATA.tables.keys() & set(inspect(connection).get_table_names())
    if not there:
        METADATA.create_all(connection)
        connection.execute(SCHEMA_VERSION.insert().values(version=VERSION))
        return
    known = SCHEMA_VERSION.name in there
    found = connection.scalar(select(SCHEMA_VERSION.c.version)) if known else None
    if found != VERSION:
        is_of = "no version" if found is None else f"version {found}"
        raise KeyUnavailableError(
            f"the key table has {is_of}, and this program knows version {VERSION} alone",
            next_step="Use the release of Indelible that made the table. Nothing was changed in it.",
        )


def _address(url: str) -> URL | None:
    try:
        return make_url(url)
    except ArgumentError:
        return None


def _prepare_sqlite(engine: Engine, address: URL) -> None:
    path = Path(address.database or "")

    @event.listens_for(engine, "do_connect")
    def private_file(*_: Any) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its write-ahead log the mode of the database. A file that is there is not touched: closing it
        # would end the locks that other threads of this process hold on it (POSIX).
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's own BEGIN, below, instead of the driver's
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        _write_ahead(connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("write") else "BEGIN")


def _write_ahead(connection: Any) -> None:
    """Two who open a new file at once may both be changing its mode; SQLite does not wait for the other one then."""
    for left in reversed(range(_TRIES)):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if not left:
                raise
            time.sleep(_PAUSE_S)


@contextmanager
def _translated() -> Iterator[None]:
    """The driver's errors without its statements, parameters and addresses, which hold what is secret."""
    try:
        yield
    except DBAPIError as error:
        kind = type(error.orig).__name__
        if isinstance(error, IntegrityError):
            raise KeyServiceUnreachableError(
                "the key table changed while this was done: a key was destroyed, or all were wrapped anew",
                next_step="Run again.",
            ) from None
        if isinstance(error, OperationalError):
            raise KeyServiceUnreachableError(
                f"the key table's database does not answer ({kind})",
                next_step="See that it runs and that [key_table] url reaches it, then run again.",
            ) from None
        raise KeyUnavailableError(
            f"the key table's database refuses ({kind})",
            next_step="See the database's own log, and what the user of [key_table] url may do.",
        ) from None
    except OSError as error:
        raise KeyUnavailableError(
            f"the key table's file cannot be opened: {error.strerror}",
            next_step="Run as the user who owns the state directory, or set [key_table] url.",
        ) from None
