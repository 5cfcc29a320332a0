"""Backups of the key table that expire, and that bring no destroyed key back.

A backup is one file: a header line, and encrypted frames with all rows, keys in them as they are. Its own key is
wrapped by the key-encryption key, with the times of the header as context: who changes the expiry can open nothing.
When the KEK's old version is destroyed, the backups that it wrapped are gone as well.

Expiry is kept by whoever restores with this software. What enforces it against everybody else is to delete the file,
or to destroy the KEK's version.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final

from sqlalchemy import Connection, Row, Table, insert, select

from tasks.errors import KeyUnavailableError, UsageError, VerificationError
from tasks.evidence.canonical import canonical_json, parse_canonical
from tasks.evidence.terms import instant
from tasks.subjects.engine import CHUNK
from tasks.subjects.frames import MAX_FRAME_BYTES, read_frames, write_frames
from tasks.subjects.schema import BACKUPS, BATCHES, LINES, METADATA, MONTHS, PLACES, SUBJECTS, UNSEALED
from tasks.subjects.table import KeyTable
from tasks.subjects.wrapping import row_name

_FORMAT: Final = "indelible-key-backup/2"
_CONTEXT: Final = "indelible/1/key-backup/"
_MAX_HEADER_BYTES: Final = 65_536
_PLACES_CHUNK: Final = 100  # row numbers of a person take up to 250 KB a file
# Each after those that it refers to. Not keys that nobody has yet: in a table that was put back, one of them could be
# given to a second person.
_TABLES: Final = (BATCHES, MONTHS, SUBJECTS, LINES, PLACES, UNSEALED, BACKUPS)


@dataclass(frozen=True, slots=True)
class Header:
    """What a backup says before it is opened. Times are `YYYY-MM-DDThh:mm:ssZ`."""

    created_at: str
    expires_at: str
    kek: str
    wrapped: bytes

    @property
    def context(self) -> bytes:
        """What binds the wrapped key to the times."""
        return f"{_CONTEXT}{self.created_at}/{self.expires_at}".encode()

    def line(self) -> bytes:
        """As the file's first line."""
        wrapped = base64.b64encode(self.wrapped).decode()
        times = {"created_at": self.created_at, "expires_at": self.expires_at}
        return canonical_json({**times, "format": _FORMAT, "kek": self.kek, "wrapped": wrapped}) + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Header:
        """Of the first line.

        Raises:
            ValueError, TypeError, VerificationError: it is no backup's.
        """
        document = parse_canonical(line.removesuffix(b"\n"))
        fields = {"created_at", "expires_at", "format", "kek", "wrapped"}
        if not isinstance(document, dict) or document.keys() != fields or document["format"] != _FORMAT:
            raise ValueError("the first line is not that of a key backup")
        wrapped = base64.b64decode(document["wrapped"], validate=True)
        return cls(document["created_at"], document["expires_at"], document["kek"], wrapped)


def write_backup(table: KeyTable, file: BinaryIO, created: datetime, expires: datetime) -> int:
    """Write all rows as they are at one moment.

    Returns:
        How many rows.
    """
    key = table.random_key()
    times = Header(instant(created), instant(expires), "", b"")
    kek, wrapped = table.kek.wrap(key, times.context)
    line = Header(times.created_at, times.expires_at, kek, wrapped).line()
    file.write(line)
    count = 0

    def chunks(connection: Connection) -> Iterator[bytes]:
        nonlocal count
        for source in _TABLES:
            size = _PLACES_CHUNK if source is PLACES else CHUNK
            result = connection.execution_options(yield_per=size).execute(select(source))
            for rows in result.partitions():
                count += len(rows)
                values = [_pack(table, connection, source, row) for row in rows]
                yield zlib.compress(json.dumps([source.name, values]).encode())

    with table.database.reading() as connection:
        write_frames(file, key, line, chunks(connection))
    return count


def read_backup(
    table: KeyTable, file: BinaryIO, now: datetime
) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    """The rows of a backup, keys unwrapped.

    Raises:
        UsageError: it is no backup, or it has expired.
        KeyUnavailableError: the KEK does not open it, or it was changed.
    """
    line = file.readline(_MAX_HEADER_BYTES)
    try:
        header = Header.parse(line)
    except (ValueError, TypeError, VerificationError):
        raise UsageError("the file is no backup of a key table", next_step="Choose another file.") from None
    if header.expires_at <= instant(now):
        raise UsageError(
            f"the backup expired at {header.expires_at}",
            next_step="Restore a newer one, and delete this one: it holds keys that were destroyed since.",
        )
    try:
        key = table.kek.unwrap(header.kek, header.wrapped, header.context)
        for chunk in read_frames(file, key, line):
            name, rows = json.loads(_inflate(chunk))
            yield METADATA.tables[name], [_unpack(row) for row in rows]
    except (ValueError, zlib.error):
        raise KeyUnavailableError(
            "the backup was changed or is cut off", next_step="Restore another copy of it."
        ) from None


def note_backup(table: KeyTable, created: datetime, expires: datetime) -> None:
    """Remember that a backup was written: who is told that a key is gone must be told of this copy, too."""
    times = {"created_at": instant(created), "expires_at": instant(expires)}
    with table.database.writing() as connection:
        connection.execute(insert(BACKUPS).values(times))


def living_backups(table: KeyTable, now: datetime) -> list[tuple[str, str]]:
    """When each backup was written and when it expires, of those that may still be restored."""
    query = select(BACKUPS.c.created_at, BACKUPS.c.expires_at).where(BACKUPS.c.expires_at > instant(now))
    with table.database.reading() as connection:
        return [(row.created_at, row.expires_at) for row in connection.execute(query.order_by(BACKUPS.c.id))]


def _pack(table: KeyTable, connection: Connection, source: Table, row: Row[Any]) -> dict[str, Any]:
    values = dict(row._mapping)
    if "wrapped" in values and values["wrapped"] is not None:
        table_key = table.table_keys.get(row.table_key, connection)
        values["wrapped"] = table_key.unwrap(bytes(row.wrapped), row_name(source, values))
    return {
        key: {"b": base64.b64encode(v).decode()} if isinstance(v, bytes) else v for key, v in values.items()
    }


def _unpack(row: dict[str, Any]) -> dict[str, Any]:
    return {key: base64.b64decode(v["b"]) if isinstance(v, dict) else v for key, v in row.items()}


def _inflate(chunk: bytes) -> bytes:
    inflater = zlib.decompressobj()
    data = inflater.decompress(chunk, MAX_FRAME_BYTES)
    if not inflater.eof:
        raise ValueError("a chunk is too large")
    return data
