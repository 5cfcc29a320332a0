"""What may be a path in a store. Not here: the layout of paths, which is `tasks.evidence.paths`."""

from __future__ import annotations

from tasks.errors import StoreRefusedError

MAX_PATH_BYTES = 1024  # the limit of S3, kept everywhere so that a directory can move to a bucket


def check_path(path: str) -> str:
    """Return `path` when it names something inside the store.

    Raises:
        StoreRefusedError: empty, absolute, too long, not UTF-8, with a NUL, or with a `.` or `..` part.
    """
    fits = len(path.encode("utf-8", "replace")) <= MAX_PATH_BYTES
    readable = not any("\ud800" <= character <= "\udfff" for character in path)
    inside = not path.startswith("/") and {".", ".."}.isdisjoint(path.split("/"))
    if not (path and fits and readable and inside and "\0" not in path):
        raise StoreRefusedError(
            f"{path[:80]!r} is not a path inside a store",
            next_step=f"use a relative path without . and .. of at most {MAX_PATH_BYTES} bytes",
        )
    return path
