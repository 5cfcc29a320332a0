"""What may be a path in a store. Not here: the layout of paths, which is `tasks.evidence.paths`."""

from __future__ import annotations

from tasks.errors import StoreRefusedError

MAX_PATH_BYTES = 1024  # the limit of S3, kept everywhere so that a directory can move to a bucket


def check_path(path: str) -> str:
    """Return `path` when it names something inside the store.

    Raises:
        StoreRefusedError: empty, absolute, too long, with a NUL, or with a `.` or `..` part.
    """
    if (
        not path
        or path.startswith("/")
        or "\0" in path
        or len(path.encode("utf-8", "surrogateescape")) > MAX_PATH_BYTES
        or not {".", ".."}.isdisjoint(path.split("/"))
    ):
        raise StoreRefusedError(
            f"{path[:80]!r} is not a path inside a store",
            next_step=f"use a relative path without . and .. of at most {MAX_PATH_BYTES} bytes",
        )
    return path
