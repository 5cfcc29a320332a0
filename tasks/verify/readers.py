"""Where sealed objects are read from: three read calls, and nothing else.

Put here: ways to read a copy. Do not put here: anything that knows what the bytes mean. A store is
read through an adapter of the operator's command; the auditor's command reads directories and archives.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from tasks.errors import NotFoundError, StoreRefusedError

_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)


class Reader(Protocol):
    """Read access to one sealed tree. Paths are relative to its root, with `/`."""

    def read(self, path: str, version_id: str | None = None) -> bytes:
        """All bytes of the object; of the named version, where the tree keeps versions.

        Raises:
            NotFoundError: nothing is there.
            StoreRefusedError: it is there and cannot be read.
        """
        ...

    def size(self, path: str, version_id: str | None = None) -> int | None:
        """Bytes of the object, or None when it is not there."""
        ...

    def list(self, prefix: str = "") -> Iterable[str]:
        """Paths of all objects whose path starts with `prefix`."""
        ...


class DirectoryReader:
    """A sealed tree that was copied into a directory.

    Names that start with a dot are not listed: copying tools and file managers leave such files.
    Nothing rests on it, because evidence is looked up by name and not by listing.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str, version_id: str | None = None) -> bytes:  # noqa: ARG002 - a copy has one version
        """See `Reader`."""
        try:
            return self._locate(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFoundError(f"{path} is not in the copy") from error
        except OSError as error:
            raise StoreRefusedError(f"{path} cannot be read: {error.strerror}") from error

    def size(self, path: str, version_id: str | None = None) -> int | None:  # noqa: ARG002
        """See `Reader`."""
        try:
            place = self._locate(path)
            return place.stat().st_size if place.is_file() else None
        except (NotFoundError, OSError):
            return None

    def list(self, prefix: str = "") -> Iterator[str]:
        """See `Reader`."""
        for folder, folders, files in os.walk(self._root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            base = Path(folder).relative_to(self._root)
            for name in sorted(files):
                path = (base / name).as_posix()
                if not name.startswith(".") and path.startswith(prefix):
                    yield path

    def _locate(self, path: str) -> Path:
        if not _is_plain(path):
            raise NotFoundError("a path that leaves the copy is never followed")
        return self._root / path


class ZipReader:
    """An evidence bundle: the same tree inside a zip archive. Nothing is ever extracted to disk."""

    def __init__(self, archive: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(archive)
        except _ZIP_FAULTS as error:
            raise StoreRefusedError(
                f"{archive.name} is not a zip archive that can be read",
                next_step="Fetch the bundle again; it may have been cut off.",
            ) from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            if member.filename in self._members:
                raise StoreRefusedError(
                    f"{archive.name} holds two members of one name, so what it contains is ambiguous",
                    next_step="Ask for a bundle that was written by the export command.",
                )
            if not member.is_dir():
                self._members[member.filename] = member

    def read(self, path: str, version_id: str | None = None) -> bytes:  # noqa: ARG002
        """See `Reader`. The archive's own CRC is checked on the way."""
        member = self._members.get(path)
        if member is None:
            raise NotFoundError(f"{path} is not in the bundle")
        try:
            with self._zip.open(member) as stream:
                return stream.read()
        except _ZIP_FAULTS as error:
            raise StoreRefusedError(f"{path} is damaged inside the archive") from error

    def size(self, path: str, version_id: str | None = None) -> int | None:  # noqa: ARG002
        """See `Reader`."""
        member = self._members.get(path)
        return None if member is None else member.file_size

    def list(self, prefix: str = "") -> Iterator[str]:
        """See `Reader`."""
        return (name for name in sorted(self._members) if name.startswith(prefix))

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()


def _is_plain(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\x00" not in path
