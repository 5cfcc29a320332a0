"""Where data files are sealed, as the published catalog has it: a hint, for readers that check the log anyway."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import duckdb


def entries_of(catalog: Path, files: Collection[str]) -> dict[str, tuple[int, int]]:
    """Year and index of the entry that names each file.

    A catalog that is not there, cannot be read or lags behind only gives fewer hints.

    Args:
        catalog: the local copy of the published catalog.
        files: beginnings of the files' SHA-256, as record ids have them.
    """
    try:
        with duckdb.connect(str(catalog), read_only=True) as connection:
            found = connection.execute(
                "SELECT left(sha256, 32), shard, entry FROM files "
                "WHERE role = 'data' AND list_contains(?, left(sha256, 32))",
                [sorted(files)],
            ).fetchall()
    except duckdb.Error:
        return {}
    return {file: (shard, entry) for file, shard, entry in found}
