"""A copy of a store in a directory: what an auditor, a second site or a drill works on."""

from __future__ import annotations

from pathlib import Path

from tasks.evidence import paths
from tasks.storage.protocol import ObjectStore


def copy_store(store: ObjectStore, directory: Path) -> int:
    """Copy everything but the derived catalogs, at the paths that FORMAT.md gives.

    Returns:
        The number of objects copied.
    """
    count = 0
    for info in store.list():
        if info.path.startswith(paths.CATALOG_PREFIX):
            continue
        target = directory.joinpath(*info.path.split("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(store.read(info.path))
        count += 1
    return count
