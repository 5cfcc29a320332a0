"""Encrypted identities by their pseudonyms.

Files are ordered by column and pseudonym, so of each batch little more than the footer is read; but the footers of
all batches of the source are.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tasks.catalog.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Identity:
    """One row of an identities file; what it says is authenticated when it is decrypted."""

    shard: int
    entry: int
    field: str
    pseudonym: str
    kid: str
    ciphertext: str


def find_identities(catalog: Catalog, source: str, pseudonyms: Collection[str]) -> list[Identity]:
    """The newest row of each column and pseudonym; none for a pseudonym whose value is not kept."""
    files = catalog.connection.execute(
        "SELECT path FROM files WHERE role = 'identities' AND source = ? ORDER BY ALL", [source]
    ).fetchall()
    if not files:
        return []
    rows = catalog.connection.execute(
        "SELECT f.shard, f.entry, i.field, i.pseudonym, i.kid, i.ciphertext"
        " FROM read_parquet($1, filename = true, hive_partitioning = false) i"
        " JOIN files f ON f.sha256 = regexp_extract(i.filename, '([0-9a-f]{64})[.]parquet$', 1)"
        " AND f.role = 'identities' AND f.source = $2"
        " WHERE list_contains($3, i.pseudonym)"
        " QUALIFY row_number() OVER (PARTITION BY i.field, i.pseudonym ORDER BY f.shard DESC, f.entry DESC) = 1"
        " ORDER BY i.pseudonym, i.field",
        [[catalog.locate(path) for (path,) in files], source, sorted(pseudonyms)],
    ).fetchall()
    return [Identity(*row) for row in rows]
