"""Encrypted identities as they are sealed: the values that one key opens, of batches that are known already."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl

from flows.wiring import Runtime
from tasks.export.facts import load_object
from tasks.keyring.derived import subject_key_id
from tasks.redact import decrypt_identity

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

Batch = tuple[int, int]
"""Log shard and entry."""


def own_values(
    runtime: Runtime, catalog: Catalog, source: str, batches: Iterable[Batch], key: bytes
) -> dict[tuple[str, str], str]:
    """(column, pseudonym) -> the value that a person's key opens, of a source's batches.

    One object a batch is read, and checked against what the entry says of it.

    Raises:
        VerificationError: an object is not what was sealed.
        KeyUnavailableError: a ciphertext that names this key does not open with it.
    """
    found: dict[tuple[str, str], str] = {}
    for shard, entry in sorted(set(batches)):
        rows = catalog.connection.execute(
            "SELECT path, version_id, sha256 FROM files"
            " WHERE role = 'identities' AND shard = ? AND entry = ? ORDER BY n",
            [shard, entry],
        ).fetchall()
        for path, version_id, sha256 in rows:
            facts = {"path": path, "version_id": version_id, "sha256": sha256}
            table = pl.read_parquet(io.BytesIO(load_object(runtime.store, facts)))
            mine = table.filter(kid=subject_key_id(key)).select("field", "pseudonym", "ciphertext")
            for column, pseudonym, ciphertext in mine.iter_rows():
                value = decrypt_identity(source, column, pseudonym, ciphertext, key)
                found[column, pseudonym] = value
    return found
