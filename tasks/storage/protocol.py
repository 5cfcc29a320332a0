"""The one interface to bytes that lie elsewhere, and the guarantees that the rest of Indelible rests on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What the store says of one version of one object.

    Attributes:
        path: relative to the store's root, with `/` separators, no leading slash.
        version_id: the version, or "" where the store keeps none.
        size: bytes.
        etag: opaque; changes when content changes.
        modified: last modification, aware UTC.
        retain_until: end of the COMPLIANCE lock as the server reports it; None when there is none
            or when a listing does not tell. `head` always tells.
        is_delete_marker: only ever true in `list_versions`.
        is_latest: only meaningful in `list_versions`.
    """

    path: str
    version_id: str
    size: int
    etag: str
    modified: datetime
    retain_until: datetime | None = None
    is_delete_marker: bool = False
    is_latest: bool = True


class Readable(Protocol):
    """What a landing place must offer."""

    def read(self, path: str, version_id: str | None = None) -> bytes:
        """All bytes of the latest, or of the named, version."""
        ...

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """Latest versions under `prefix`, sorted by path (bytewise), streamed page by page."""
        ...


class ObjectStore(Readable, Protocol):
    """Create-only object storage.

    Guarantees every adapter gives:

    1. `create` never changes an existing object: of any number of concurrent creators of one path,
       exactly one returns; the others raise `AlreadyExistsError`.
    2. `create` returns only after the version was read back and its size and SHA-256 (and, where
       `worm` is true, its COMPLIANCE mode and date) were as asked; otherwise it raises
       `StoreRefusedError`. It never leaves a half-written object visible.
    3. `read` with a version id returns that version, whatever stands above it.
    4. Errors are `StoreUnavailableError` (try again), `NotFoundError`, `AlreadyExistsError` or
       `StoreRefusedError`; nothing else escapes. Messages hold no credentials.

    A path has no leading slash, no `.` or `..` part and at most 1,024 bytes of UTF-8.
    """

    @property
    def worm(self) -> bool:
        """Whether the store enforces retention; where it does not, that is said openly."""
        ...

    @property
    def uri(self) -> str:
        """Where the store is, for people; without credentials."""
        ...

    def create(self, path: str, data: bytes, *, retain_until: datetime | None) -> ObjectInfo:
        """Store `data` at `path` if nothing is there."""
        ...

    def replace(self, path: str, data: bytes) -> ObjectInfo:
        """Store `data` at `path`, over what is there. Only for the mutable `checkpoint` pointer."""
        ...

    def read_range(self, path: str, start: int, length: int, version_id: str | None = None) -> bytes:
        """`length` bytes from `start`; fewer at the end of the object."""
        ...

    def head(self, path: str, version_id: str | None = None) -> ObjectInfo:
        """What the store says of one version, with its retention."""
        ...

    def list_versions(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every version and delete marker under `prefix`."""
        ...

    def delete(self, path: str, version_id: str) -> None:
        """Try to delete one version. Indelible calls it only to show that the store refuses."""
        ...

    def extend_retention(self, path: str, version_id: str, until: datetime) -> bool:
        """Let the COMPLIANCE lock of one version end no earlier than `until`, and read it back.

        A lock that ends later is left as it is: nothing here shortens one.

        Returns:
            Whether the lock was changed.
        """
        ...

    def set_legal_hold(self, path: str, version_id: str, *, held: bool) -> None:
        """Put a legal hold on one version or lift it, and read it back. It is independent of retention."""
        ...

    def legal_hold(self, path: str, version_id: str) -> bool:
        """Whether one version is under legal hold."""
        ...

    def now(self) -> datetime:
        """The store's own clock (an S3 server's `Date`), aware UTC."""
        ...
