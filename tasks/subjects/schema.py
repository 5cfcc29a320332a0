"""The tables. A destroyed month stays as a row without a key; of a destroyed person, nothing stays.

A key is in `UNUSED` until somebody gets it, and then in `SUBJECTS`. No row tells which person got which of them.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

METADATA: Final = MetaData()

# Raised with each change below. Tables are made as they are here and never altered: see `engine`.
VERSION: Final = 2
SCHEMA_VERSION: Final = Table(
    "schema_version",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

# Keys that wrap the others, themselves wrapped by the key-encryption key `kek`.
TABLE_KEYS: Final = Table(
    "table_keys",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("kek", String, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# Commitments of keys that were published together: 32 bytes each, in order; `root` is over them.
BATCHES: Final = Table(
    "commitment_batches",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("commitments", LargeBinary, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("sealed", Boolean, nullable=False, index=True),
)


def _key_columns() -> tuple[Column[Any], ...]:
    return (
        Column("table_key", Integer, ForeignKey("table_keys.id"), index=True),
        Column("wrapped", LargeBinary),
        Column("commitment", LargeBinary, nullable=False),
        Column("batch", Integer, ForeignKey("commitment_batches.id"), index=True),
        Column("created_at", BigInteger, nullable=False),
    )


MONTHS: Final = Table(
    "month_keys",
    METADATA,
    Column("purpose", String, primary_key=True),
    Column("epoch", String, primary_key=True),
    *_key_columns(),
    Column("destroyed_at", BigInteger),
)

SUBJECTS: Final = Table(
    "subject_keys",
    METADATA,
    Column("subject", LargeBinary, primary_key=True),
    *_key_columns(),
)

# Keys of persons to come, in the order in which they become available; see `pool`.
UNUSED: Final = Table(
    "unused_keys",
    METADATA,
    Column("id", Integer, primary_key=True),
    *_key_columns(),
)

# Keys of lines that were set aside, by the SHA-256 of their drop; see `line_tree`.
LINES: Final = Table(
    "line_keys",
    METADATA,
    Column("drop", LargeBinary, primary_key=True),
    Column("table_key", Integer, ForeignKey("table_keys.id"), nullable=False, index=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

PLACES: Final = Table(
    "subject_places",
    METADATA,
    Column("subject", LargeBinary, ForeignKey("subject_keys.subject"), primary_key=True),
    Column("path", String, primary_key=True),
    Column("source", String, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("numbers", LargeBinary, nullable=False),  # see `tasks.subjects.rows`
)

# Destructions whose entry is not in the log yet; without anything that leads to the person.
UNSEALED: Final = Table(
    "unsealed_destructions",
    METADATA,
    Column("commitment", LargeBinary, primary_key=True),
    Column("name", String, nullable=False),
    Column("batch", Integer, ForeignKey("commitment_batches.id"), nullable=False),
    Column("requested_by", String, nullable=False),
    Column("approver", String, nullable=False),
    Column("reason", String, nullable=False),
)

# Requests to be forgotten that are open; see `requests`.
REQUESTS: Final = Table(
    "erasure_requests",
    METADATA,
    Column("id", String, primary_key=True),
    Column("subjects", LargeBinary, nullable=False),
    Column("requested_by", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("created_at", String, nullable=False),
    Column("plan", LargeBinary),
)

# Backups that were written: until they expire, keys that were destroyed since live on in them.
BACKUPS: Final = Table(
    "backups",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("created_at", String, nullable=False),
    Column("expires_at", String, nullable=False),
)
