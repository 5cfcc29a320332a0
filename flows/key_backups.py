"""Backups of the key table, and bringing one back without the keys that the log says were destroyed."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commitments import erased_lines, seal_destructions, shredded
from flows.wiring import Runtime
from tasks.errors import UsageError
from tasks.evidence.terms import instant
from tasks.subjects.backup import note_backup, write_backup
from tasks.subjects.line_keys import without_line_keys
from tasks.subjects.restore import Restored, restore_backup

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was written.

    Attributes:
        path: the file.
        rows: how many rows of the key table it holds.
        bytes: its size.
        expires_at: from then on it cannot be restored, and must have been deleted.
    """

    path: Path
    rows: int
    bytes: int
    expires_at: str


def back_up(runtime: Runtime, path: Path, days: int | None = None) -> Backup:
    """Write a backup, whole or not at all.

    Args:
        runtime: the deployment.
        path: a file that does not exist; only its owner may read it.
        days: until it expires; default: `[key_table] backup_days`.

    Raises:
        UsageError: the file exists, or cannot be written.
        KeyUnavailableError: the key table cannot be had, or another process works on the whole of it.
    """
    created = runtime.store.now()
    expires = created + timedelta(days=days or runtime.settings.key_table.backup_days)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(draft, "xb", opener=_private) as file, runtime.key_table.database.alone():
            note_backup(runtime.key_table, created, expires)
            rows = write_backup(runtime.key_table, file, created, expires)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already", next_step="Choose another name.") from error
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", next_step="Choose another directory."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return Backup(path, rows, path.stat().st_size, instant(expires))


def restore(runtime: Runtime, path: Path) -> Restored:
    """Bring a backup back. Keys whose destruction the log knows are left out; keys that are there stay.

    Raises:
        UsageError: it is no backup, or it has expired.
        KeyUnavailableError: the key-encryption key does not open it, or it was changed.
    """
    with runtime.catalog() as catalog:
        seal_destructions(runtime, catalog)
        catalog.sync()
        gone, lines = shredded(catalog), erased_lines(catalog)
        drops = _set_aside(catalog)
    try:
        with path.open("rb") as file:
            done = restore_backup(runtime.key_table, file, runtime.store.now(), gone, lines)
        return replace(done, unreadable_drops=len(without_line_keys(runtime.key_table.database, drops)))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", next_step="Choose another file."
        ) from error


def _set_aside(catalog: Catalog) -> list[str]:
    """SHA-256 of the drops of which lines are in quarantine."""
    rows = catalog.connection.execute(
        "SELECT DISTINCT sha256 FROM drops WHERE quarantined > 0 ORDER BY sha256"
    )
    return [sha256 for (sha256,) in rows.fetchall()]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
