"""The directory adapter: the same create-only guarantees in a local file system, but no retention.

For tests, for machines where no S3 server runs, and for landing places. It is NOT write-once storage: files
are made read-only, which stops an accident and not the owner of the directory.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tasks.errors import AlreadyExistsError, NotFoundError, StoreRefusedError, StoreUnavailableError
from tasks.storage.names import check_path
from tasks.storage.protocol import ObjectInfo

TEMPORARY = ".indelible-partial"  # files under way; one file system with the rest, so that a link is atomic
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
_LATER = {errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ESTALE}


class LocalStore:
    """A directory, made at the first write. Symbolic links are not listed; one that leads out is refused.

    A process that is killed while it writes can leave a file in the hidden directory of partial files,
    and nowhere else.
    """

    worm = False

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))

    def __repr__(self) -> str:
        return f"LocalStore({str(self._root)!r})"

    @property
    def uri(self) -> str:
        """`file:///path`."""
        return self._root.as_uri()

    def create(self, path: str, data: bytes, *, retain_until: datetime | None) -> ObjectInfo:  # noqa: ARG002
        """Write aside, then link to the name: a link fails when the name is taken. No retention is kept."""
        target = self._target(path)
        with self._explained("create", path):
            with self._written_aside(data) as partial:
                _make_parents(target.parent)
                try:
                    os.link(partial, target)
                except FileExistsError as error:
                    raise AlreadyExistsError(
                        f"cannot create {path} in {self.uri}: it is there already"
                    ) from error
                _sync_directory(target.parent)
            return self._read_back(path, target, data)

    def replace(self, path: str, data: bytes) -> ObjectInfo:
        """Write aside, then rename over what is there: a reader sees all old or all new bytes."""
        target = self._target(path)
        with self._explained("replace", path):
            with self._written_aside(data) as partial:
                _make_parents(target.parent)
                os.link(partial, f"{partial}.new")
                os.replace(f"{partial}.new", target)
                _sync_directory(target.parent)
            return self._read_back(path, target, data)

    def read(self, path: str, version_id: str | None = None) -> bytes:
        """All bytes; a directory keeps no versions but the one with id ""."""
        target = self._target(path, version_id)
        with self._explained("read", path):
            return target.read_bytes()

    def read_range(self, path: str, start: int, length: int, version_id: str | None = None) -> bytes:
        """`length` bytes from `start`; fewer, or none, at the end of the file."""
        target = self._target(path, version_id)
        with self._explained("read", path), target.open("rb") as file:
            file.seek(start)
            return file.read(max(length, 0))

    def head(self, path: str, version_id: str | None = None) -> ObjectInfo:
        """Size and time of a file; it never has a retention."""
        target = self._target(path, version_id)
        with self._explained("look at", path):
            if not target.is_file():
                raise FileNotFoundError(errno.ENOENT, "no file")
            return _info(path, target.stat())

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """Files whose path begins with `prefix`, in byte order of the whole path."""
        first = prefix[: prefix.rfind("/") + 1]
        if first and not self._target(first.rstrip("/")).is_dir():
            return
        with self._explained("list", prefix or "."):
            for path, stat in _walk(
                self._root, first, prefix.encode(errors="surrogateescape"), _bytes(start_after)
            ):
                yield _info(path, stat)

    def list_versions(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """As `list`: each file is its only version."""
        return self.list(prefix)

    def delete(self, path: str, version_id: str) -> None:
        """Delete the file: nothing here refuses it."""
        target = self._target(path, version_id)
        with self._explained("delete", path):
            target.unlink()

    def extend_retention(self, path: str, version_id: str, until: datetime) -> bool:
        """A directory keeps no retention, so this is refused."""
        del version_id, until
        raise self._holds_nothing(path)

    def set_legal_hold(self, path: str, version_id: str, *, held: bool) -> None:
        """A directory keeps no legal hold, so this is refused."""
        del version_id, held
        raise self._holds_nothing(path)

    def legal_hold(self, path: str, version_id: str) -> bool:
        """Nothing in a directory is under legal hold."""
        self.head(path, version_id)
        return False

    def _holds_nothing(self, path: str) -> StoreRefusedError:
        return StoreRefusedError(
            f"{path} in {self.uri} cannot be locked or held: a directory holds nothing, its owner can delete",
            next_step="Use an S3 bucket with Object Lock.",
        )

    def now(self) -> datetime:
        """This machine's clock."""
        return datetime.now(UTC)

    def _target(self, path: str, version_id: str | None = None) -> Path:
        """The file of `path`, links followed, if it lies in this store and not among partial files."""
        parts = check_path(path).split("/")
        target = Path(os.path.realpath(self._root.joinpath(*parts)))
        if "" in parts or parts[0] == TEMPORARY or not target.is_relative_to(self._root):
            raise StoreRefusedError(
                f"{path[:80]!r} does not lie inside {self.uri}",
                next_step="remove the link, or use another path",
            )
        if version_id:
            raise NotFoundError(
                f"{path} in {self.uri} has no version {version_id[:80]}: a directory keeps no versions",
                next_step="open the bucket in which the version was sealed",
            )
        return target

    @contextmanager
    def _written_aside(self, data: bytes) -> Iterator[str]:
        aside = self._root / TEMPORARY
        aside.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(dir=aside)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), 0o444)
                os.fsync(file.fileno())
            yield partial
        finally:
            os.unlink(partial)

    def _read_back(self, path: str, target: Path, data: bytes) -> ObjectInfo:
        with target.open("rb") as file:
            stored = hashlib.file_digest(file, "sha256").digest()
            stat = os.fstat(file.fileno())
        if stored != hashlib.sha256(data).digest():
            raise StoreRefusedError(
                f"{path} in {self.uri} reads back with other bytes", next_step="check the disk"
            )
        return _info(path, stat)

    @contextmanager
    def _explained(self, verb: str, path: str) -> Iterator[None]:
        """Turn what the operating system says into the errors of `ObjectStore`."""
        try:
            yield
        except OSError as error:
            what = f"cannot {verb} {path} in {self.uri}: {os.strerror(error.errno or 0)}"
            if error.errno in _ABSENT:
                raise NotFoundError(what, next_step="check the path") from error
            if error.errno in _LATER:
                raise StoreUnavailableError(
                    what, next_step="free space or repair the disk, then run again"
                ) from error
            raise StoreRefusedError(
                what, next_step="use a directory that you may write and whose file system has hard links"
            ) from error


def _walk(root: Path, below: str, prefix: bytes, after: bytes) -> Iterator[tuple[str, os.stat_result]]:
    """Paths in byte order: a directory sorts as its name with a slash, as its files do in a bucket."""
    try:
        with os.scandir(root / below) as entries:
            found = [
                (f"{below}{e.name}/" if e.is_dir(follow_symlinks=False) else below + e.name, e)
                for e in entries
            ]
    except FileNotFoundError:
        return
    for path, entry in sorted(found, key=lambda item: _bytes(item[0])):
        name = _bytes(path)
        if path.endswith("/"):
            reaches = name.startswith(prefix) or prefix.startswith(name)
            passed = name < after and not after.startswith(name)
            if reaches and not passed and path != f"{TEMPORARY}/":
                yield from _walk(root, path, prefix, after)
        elif name.startswith(prefix) and name > after and entry.is_file(follow_symlinks=False):
            try:
                yield path, entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # deleted since the directory was read
                continue


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _info(path: str, stat: os.stat_result) -> ObjectInfo:
    modified = datetime.fromtimestamp(stat.st_mtime_ns // 1000 / 1e6, UTC)
    return ObjectInfo(path, "", stat.st_size, f"{stat.st_size}-{stat.st_mtime_ns}", modified)


def _make_parents(directory: Path) -> None:
    """Make what is missing, and make each new name durable in its parent."""
    missing = [d for d in (directory, *directory.parents) if not d.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        _sync_directory(made.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
