"""Local files that are whole or not there, whoever else writes them at the same time."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def whole_file(path: Path, mode: int = 0o666) -> Iterator[IO[bytes]]:
    """A file to write that appears under its name when the block ends, and not at all when it fails.

    Each writer has a draft of its own, so of several that write one file at once the last one's stays, whole.

    Args:
        path: replaced if it is there.
        mode: of the file, less the process's mask.

    Raises:
        OSError: it cannot be written there.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(draft, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
