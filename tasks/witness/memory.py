"""A witness's memory: the checkpoint cosigned last of each origin, and proof of logs that contradicted it.

SQLite, one file, full synchronisation: what was answered with a cosignature is on disk. The state moves by
compare and set, so of two requests that were judged on one state only one can be cosigned.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tasks.evidence.checkpoint import Checkpoint
from tasks.witness.decision import Claim, Seen

MAX_CONTRADICTIONS: Final = 1_000  # of one origin; the first ones tell as much as any more would

_BUSY_S: Final = 10
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS seen (
  origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS contradiction (
  origin TEXT NOT NULL, kept_at INTEGER NOT NULL, cosigned BLOB NOT NULL, claimed BLOB NOT NULL,
  UNIQUE (origin, cosigned, claimed)
) STRICT;
"""
_INSERT: Final = "INSERT INTO seen (size, root, note, origin) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
_UPDATE: Final = "UPDATE seen SET size = ?, root = ?, note = ? WHERE origin = ? AND size = ? AND root = ?"
_KEEP: Final = """
INSERT INTO contradiction SELECT ?1, ?2, ?3, ?4
WHERE (SELECT count(*) FROM contradiction WHERE origin = ?1) < ?5 ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two signed notes of one log that were not shown to be one history.

    Attributes:
        origin: the log.
        kept_at: Unix seconds.
        cosigned: the note that the witness had cosigned.
        claimed: the note that it then refused.
    """

    origin: str
    kept_at: int
    cosigned: bytes
    claimed: bytes


class Memory:
    """The file in which a witness remembers. Threads and processes may share it."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            sqlite3.Error: it cannot be used.
        """
        self._path = path
        with self._open() as database:
            database.executescript(_TABLES)

    def seen(self, origin: str) -> Seen | None:
        """What was cosigned last of an origin."""
        with self._open() as database:
            row = database.execute("SELECT size, root, note FROM seen WHERE origin = ?", [origin]).fetchone()
        return None if row is None else Seen(Checkpoint(origin, row[0], row[1]), row[2])

    def advance(self, before: Seen | None, claim: Claim) -> bool:
        """Remember a claim, if what was seen last is still `before`.

        Returns:
            Whether it was remembered. If not, judge it again.
        """
        new = claim.checkpoint
        values = [new.size, new.root, claim.request.note, new.origin]
        with self._open() as database:
            if before is None:
                return database.execute(_INSERT, values).rowcount == 1
            old = before.checkpoint
            return database.execute(_UPDATE, [*values, old.size, old.root]).rowcount == 1

    def keep(self, contradiction: Contradiction) -> None:
        """Keep proof of a contradiction; the same one is kept once."""
        kept = (contradiction.origin, contradiction.kept_at, contradiction.cosigned, contradiction.claimed)
        with self._open() as database:
            database.execute(_KEEP, [*kept, MAX_CONTRADICTIONS])

    def contradictions(self) -> list[Contradiction]:
        """All that were kept, oldest first."""
        with self._open() as database:
            rows = database.execute("SELECT * FROM contradiction ORDER BY kept_at, rowid").fetchall()
        return [Contradiction(*row) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=_BUSY_S)) as database:
            database.execute("PRAGMA synchronous = FULL")
            with database:
                yield database
