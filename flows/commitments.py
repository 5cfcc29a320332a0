"""What the log says of the key table: keys are bound before they are used, and that a key is gone.

    commit     sealed before the first seal entry that depends on a new key
    shred      sealed after a key is gone; one that a crash prevented is sealed with the next

Put here: which entry follows which change of the key table. Do not put here: how keys lie there
(`tasks.subjects`), who may have one destroyed (`flows.subject_keys`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from flows.entries import append_unless
from flows.wiring import Runtime
from tasks.errors import KeyUnavailableError
from tasks.evidence.key_table_entry import SUBJECT
from tasks.subjects import Committed, Destruction
from tasks.subjects.commitments import (
    forget_destruction,
    mark_sealed,
    unsealed_batches,
    unsealed_destructions,
)

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog


def commit_keys(runtime: Runtime, catalog: Catalog, names: Iterable[str]) -> None:
    """Seal the commitments of all new keys of the key table. Safe to repeat and to race.

    Args:
        runtime: the deployment.
        catalog: is read up to the end of the log.
        names: keys that a seal entry is about to name.

    Raises:
        KeyUnavailableError: a month has another key in the log than here, none, or a destroyed one.
    """
    database, months = runtime.key_table.database, set(names) - {SUBJECT}
    new = {name for name in months if not _sealed(catalog, "commit", name)}
    for batch in unsealed_batches(database, new):
        body = {"action": "commit", "count": batch.count, "name": batch.name, "root": batch.root.hex()}
        append_unless(runtime, catalog, "key", body, partial(_is_committed, catalog, batch))
        mark_sealed(database, batch.id)
    catalog.sync()
    for name in sorted(months):
        if not _sealed(catalog, "commit", name):
            raise KeyUnavailableError(
                f"the log does not commit to the key {name}, and the key table here does not know it",
                next_step="Let all who deliver and seal use one key table: set [key_table] url everywhere.",
            )
        if _sealed(catalog, "shred", name):
            raise KeyUnavailableError(
                f"the key {name} was destroyed while this batch was made",
                next_step="Records of that month come too late to be sealed; keep the drop, and ask who destroyed it.",
            )


def seal_destructions(runtime: Runtime, catalog: Catalog) -> None:
    """Seal all destructions of which no entry is in the log. Safe to repeat and to race."""
    database = runtime.key_table.database
    commit_keys(runtime, catalog, ())
    destructions = unsealed_destructions(database)
    if destructions:
        database.scrub()  # a crash may have kept whoever destroyed the keys from doing so
    for gone in destructions:
        body = {
            "action": "shred",
            "approver": gone.approver,
            "commitment": gone.commitment.hex(),
            "count": gone.count,
            "index": gone.index,
            "name": gone.name,
            "proof": [digest.hex() for digest in gone.proof],
            "reason": gone.reason,
            "requested_by": gone.requested_by,
            "root": gone.root.hex(),
        }
        append_unless(runtime, catalog, "key", body, partial(_is_shredded, catalog, gone))
        forget_destruction(database, gone.commitment)


def shredded(catalog: Catalog) -> frozenset[str]:
    """Commitments, in hex, of all keys that the log says were destroyed."""
    rows = catalog.connection.execute(
        "SELECT document->>'commitment' FROM entries WHERE type = 'key' AND (document->>'action') = 'shred'"
    ).fetchall()
    return frozenset(commitment for (commitment,) in rows)


def claimable_keys(catalog: Catalog, requested_by: str, approver: str, reason: str) -> frozenset[str]:
    """Commitments, in hex, of keys that were destroyed by these and for this, and that no erasure has claimed."""
    rows = catalog.connection.execute(
        "SELECT document->>'commitment' FROM entries WHERE type = 'key' AND (document->>'action') = 'shred'"
        " AND (document->>'requested_by', document->>'approver', document->>'reason') = (?, ?, ?)"
        " EXCEPT SELECT unnest((document->'keys')::VARCHAR[]) FROM entries"
        " WHERE type = 'erasure' AND (document->>'action') = 'erase'",
        [requested_by, approver, reason],
    ).fetchall()
    return frozenset(commitment for (commitment,) in rows)


def erased_lines(catalog: Catalog) -> dict[str, set[int]]:
    """Lines whose keys the log says were destroyed, by the SHA-256 of their drop."""
    rows = catalog.connection.execute(
        "SELECT sha256, list(line) FROM (SELECT part->>'drop' AS sha256, unnest((part->'lines')::BIGINT[]) AS line"
        "   FROM (SELECT unnest((document->'lines')::JSON[]) AS part FROM entries"
        "     WHERE type = 'erasure' AND (document->>'action') = 'erase')) GROUP BY sha256"
    ).fetchall()
    return {sha256: set(lines) for sha256, lines in rows}


def _is_committed(catalog: Catalog, batch: Committed) -> bool:
    roots = _sealed(catalog, "commit", batch.name)
    if roots and batch.of_month and batch.root.hex() not in roots:
        raise KeyUnavailableError(
            f"the log commits to another key {batch.name} than the key table holds",
            next_step="Two key tables are in use, or one was lost: set [key_table] url to the one that all use, "
            "or restore its backup.",
        )
    return batch.root.hex() in roots


def _is_shredded(catalog: Catalog, gone: Destruction) -> bool:
    return gone.commitment.hex() in shredded(catalog)


def _sealed(catalog: Catalog, action: str, name: str) -> set[str]:
    """Roots that entries of an action name for a key."""
    rows = catalog.connection.execute(
        "SELECT document->>'root' FROM entries"
        " WHERE type = 'key' AND (document->>'action') = ? AND (document->>'name') = ?",
        [action, name],
    ).fetchall()
    return {root for (root,) in rows}
