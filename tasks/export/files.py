"""Files that are whole or not there, and archives whose bytes depend on nothing but their content."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from tasks import files
from tasks.errors import UsageError

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_READABLE = 0o644 << 16


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive; its bytes are loaded only when they are written.

    Attributes:
        path: with `/` separators.
        sha256: hex.
        size: bytes.
        load: gives the bytes.
    """

    path: str
    sha256: str
    size: int
    load: Callable[[], bytes]

    @classmethod
    def of(cls, path: str, data: bytes) -> Self:
        """A member whose bytes are at hand."""
        return cls(path, hashlib.sha256(data).hexdigest(), len(data), lambda: data)


def write_zip(target: IO[bytes], members: Iterable[Member]) -> None:
    """Write an archive: members in the order given, one fixed time stamp, nothing compressed.

    Parquet is compressed already, and a compressor's output would tie the archive's bytes to its version.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for member in members:
            info = zipfile.ZipInfo(member.path, _EPOCH)
            info.create_system, info.external_attr = _UNIX, _READABLE
            archive.writestr(info, member.load())


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that appears under its name when the block ends, and not at all when it fails.

    Raises:
        UsageError: it cannot be written there.
    """
    try:
        with files.whole_file(path) as file:
            yield file
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}",
            next_step="Give -o a file in a directory that you may write.",
        ) from error
