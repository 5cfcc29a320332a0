"""What was destroyed stays destroyed when the end of a log is given up: its entries are sealed once more.

A `key` or `erasure` entry that stood beyond the last good checkpoint is no evidence any more. Yet `key restore` and
verifiers go by the log, so a backup would bring the keys of erased persons back. What these entries say is compared
with the key table first: whoever had the signing key may have written them.

Put here: which of a log's lost entries are sealed again. Do not put here: how a log is given up (`flows.keys`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flows.approvals import roll
from flows.commitments import claimable_keys, erased_lines, seal_destructions
from flows.entries import append_made
from flows.wiring import Runtime
from tasks.errors import VerificationError
from tasks.evidence.entry import Entry, parse_entry
from tasks.evidence.key_table_entry import KeyShredEntry
from tasks.evidence.privacy_entry import ErasureEntry
from tasks.log import reader
from tasks.subjects.commitments import mark_all_unsealed, note_destruction
from tasks.subjects.line_keys import without_line_keys

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

_ADDED = frozenset({"format", "sealed_at", "type"})


def mark_unsealed(runtime: Runtime, lost: int, last_good: int) -> None:
    """Have commitments and destructions of beyond the checkpoint sealed again. Safe to repeat.

    Args:
        runtime: the deployment.
        lost: the log that is given up.
        last_good: size of its last good checkpoint.
    """
    database = runtime.key_table.database
    mark_all_unsealed(database)
    for entry in _beyond(runtime, lost, last_good):
        if entry["type"] == "key" and entry["action"] == "shred":
            _note(runtime, entry)


def seal_erasures(runtime: Runtime, catalog: Catalog, lost: int, last_good: int) -> int:
    """Seal the destructions, and then the erasures that they were for, in the log that takes the lost one's place.

    Args:
        runtime: the deployment.
        catalog: is read up to the end of the log.
        lost: the log that is given up.
        last_good: size of its last good checkpoint.

    Returns:
        How many erasure entries are not sealed again: those that destroyed nothing (refusals, whose holds may be gone
        with the log, and of whom nothing was found); what the key table contradicts; and what an officer signed who
        is not enrolled in what is left of the logs.
    """
    seal_destructions(runtime, catalog)
    left = 0
    for entry in _beyond(runtime, lost, last_good):
        if entry["type"] == "erasure":
            left += entry["action"] == "refuse" or not _seal(runtime, catalog, entry)
    return left


def _beyond(runtime: Runtime, lost: int, last_good: int) -> Iterator[Entry]:
    for _, data in reader.sequence(runtime.store, lost, last_good):
        try:
            yield parse_entry(data)
        except VerificationError:
            continue  # not ours: no entry of ours is malformed


def _note(runtime: Runtime, entry: KeyShredEntry) -> None:
    cause = {key: entry[key] for key in ("requested_by", "approver", "reason")}
    note_destruction(
        runtime.key_table.database,
        entry["name"],
        bytes.fromhex(entry["commitment"]),
        bytes.fromhex(entry["root"]),
        cause,
    )


def _seal(runtime: Runtime, catalog: Catalog, entry: ErasureEntry) -> bool:
    body = {key: value for key, value in entry.items() if key not in _ADDED}
    possible = True

    def make(_: int) -> Mapping[str, Any] | None:
        nonlocal possible
        possible = _is_true(runtime, catalog, entry)
        return body if possible else None

    append_made(runtime, catalog, "erasure", make)
    return possible


def _is_true(runtime: Runtime, catalog: Catalog, entry: ErasureEntry) -> bool:
    """Whether it is the next part of its request, what it claims is gone and unclaimed, and its approval holds."""
    sealed = catalog.connection.execute(
        "SELECT count(*) FROM entries WHERE type = 'erasure' AND (document->>'request') = ?",
        [entry["request"]],
    ).fetchone()
    keys = claimable_keys(catalog, entry["requested_by"], entry["approver"], entry["reason"])
    return (
        sealed == (entry["part"] - 1,)
        and bool(entry["keys"] or entry["lines"])
        and keys.issuperset(entry["keys"])
        and _are_gone(runtime, catalog, entry)
        and roll(runtime, catalog).fault(runtime.settings.log.origin, entry) is None
    )


def _are_gone(runtime: Runtime, catalog: Catalog, entry: ErasureEntry) -> bool:
    """Whether the key table had keys of these drops, none of these lines, and nobody has claimed the lines."""
    claimed, table = erased_lines(catalog), runtime.key_table
    drops = {erased["drop"]: erased["lines"] for erased in entry["lines"]}
    return not without_line_keys(table.database, list(drops)) and not any(
        table.known_line_keys(drop, lines) or not claimed.get(drop, set()).isdisjoint(lines)
        for drop, lines in drops.items()
    )
