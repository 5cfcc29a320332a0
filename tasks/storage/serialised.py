"""Create-if-absent for servers that ignore `If-None-Match`: writers take turns by a lock they all agreed on.

It binds the processes of one machine (or of machines that share the lock's file system with working
`flock`), and nobody else; so it has to be declared, and is never assumed.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import UsageError


@contextmanager
def turn(lock_file: Path) -> Iterator[None]:
    """Hold the lock, alone among processes and threads; it ends with the process that holds it.

    Raises:
        UsageError: the file cannot be opened for writing.
    """
    try:
        file = lock_file.open("ab")
    except OSError as error:
        raise UsageError(
            f"create_lock {lock_file} cannot be opened: {error.strerror}",
            next_step="name a file in a directory that every runner of this store can write",
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
