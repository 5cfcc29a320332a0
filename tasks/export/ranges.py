"""An object as a file that reads only the bytes it is asked for, by ranges of one version."""

from __future__ import annotations

import io
from collections.abc import Callable

from tasks.storage.protocol import ObjectStore


class RangeFile(io.RawIOBase):
    """A read-only, seekable view of one version of an object.

    Args:
        store: where it lies.
        path: the object.
        version_id: the version, or "" where the store keeps none.
        size: bytes of that version, as its seal entry says.
    """

    def __init__(self, store: ObjectStore, path: str, version_id: str, size: int) -> None:
        super().__init__()
        self._fetch: Callable[[int, int], bytes] = lambda start, length: store.read_range(
            path, start, length, version_id or None
        )
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read anywhere."""
        return True

    def tell(self) -> int:
        """The position of the next read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is fetched."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, in one request."""
        rest = max(0, self._size - self._position)
        length = rest if size < 0 else min(size, rest)
        data = self._fetch(self._position, length) if length else b""
        self._position += len(data)
        return data
