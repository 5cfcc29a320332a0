"""Files that hold keys: whole or not there, and readable by their owner only."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from tasks.errors import KeyUnavailableError

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
# Every key file is far smaller; whatever is larger is not one of them.
_MAX_KEY_FILE: Final = 16_384


def write_new(path: Path, content: bytes) -> None:
    """Writes a private file whole or not at all; a file that is already there wins."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def read_private(path: Path) -> bytes:
    """The bytes of a key file.

    Raises:
        KeyUnavailableError: it is missing, unreadable, or others than its owner may use it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_KEY_FILE + 1)
    except FileNotFoundError:
        raise KeyUnavailableError(
            f"the key file {path} does not exist",
            next_step="Restore it from your key backup, or create a keyring if nothing was sealed yet.",
        ) from None
    except OSError as error:
        raise KeyUnavailableError(
            f"the key file {path} cannot be read: {error.strerror}",
            next_step="Run as the user who owns the keys, or correct the configured key directory.",
        ) from None
    if mode & _OTHERS:
        raise KeyUnavailableError(
            f"the key file {path} can be used by others than its owner (mode {stat.S_IMODE(mode):04o})",
            next_step=f"Run `chmod 600 {path}`, and replace the keys if somebody may have read them.",
        )
    return content
