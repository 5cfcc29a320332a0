"""Both sides of completeness, as they are now: the landing place and what is sealed; and lists in the store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from flows.shards import log_until
from flows.wiring import Runtime
from tasks.batch import Drop
from tasks.catalog.completeness import sealed_drops
from tasks.completeness.intervals import Interval, drop_time, key_time
from tasks.completeness.inventory import SealedByKey, by_key
from tasks.contracts.rhythm import Rhythm
from tasks.errors import AlreadyExistsError, UsageError, VerificationError
from tasks.evidence import paths
from tasks.evidence.completeness_entry import LineList, encode_lines, parse_lines
from tasks.evidence.terms import instant
from tasks.ingest.listing import list_drops
from tasks.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

_PIECE: Final = 8 << 20


def expected(runtime: Runtime, source: str) -> Rhythm:
    """The rhythm in a source's contract.

    Raises:
        UsageError: it has none.
    """
    rhythm = runtime.contract(source).rhythm
    if rhythm is None:
        raise UsageError(
            f"the contract of {source} says nothing of the rhythm that is expected",
            next_step="Add frequency, latency and rhythm; see data_contracts/README.md.",
        )
    return rhythm


def require_appender(runtime: Runtime) -> None:
    """Refuse where batches are handed over to a sequencer: who seals there is somebody else.

    Raises:
        UsageError: this deployment is a worker.
    """
    if runtime.settings.sequencer.worker:
        raise UsageError(
            "a worker hands batches over and appends nothing to the log itself",
            next_step="Run this where the log is appended to, with leave to list the landing place and write lists/.",
        )


def landed_drops(runtime: Runtime, source: str, whole: Interval) -> list[Drop]:
    """The drops of a time that are in the landing place."""
    listed = list_drops(runtime.landing(source), runtime.contract(source))
    return [drop for drop in listed if whole.covers(drop_time(drop))]


def sealed_by_key(catalog: Catalog, source: str, keys: Sequence[str], whole: Interval) -> SealedByKey:
    """Sealed drops of a time, by key."""
    asked = frozenset(keys)
    found = by_key(sealed_drops(catalog, source, keys, whole.since, whole.until))
    return {
        key: lines
        for key, lines in found.items()
        if key in asked or whole.covers(key_time(key, lines[0].landed_at))
    }


def store_list(runtime: Runtime, lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Store a list, and say of it what an entry says."""
    data, facts = encode_lines(lines)
    digest, until = hashlib.sha256(data).hexdigest(), log_until(runtime)
    path = paths.object_list(digest)
    try:
        version_id = runtime.store.create(path, data, retain_until=until).version_id
    except AlreadyExistsError:  # a runner died before its entry; the list must last as long as the new one
        version_id = runtime.store.head(path).version_id
        if runtime.store.worm:
            runtime.store.extend_retention(path, version_id, until)
    return {**facts, "path": path, "sha256": digest, "version_id": version_id}


def read_list(runtime: Runtime, facts: LineList, form: Any) -> list[Any]:
    """The lines of a list that an entry names.

    Raises:
        VerificationError: `object-hash`; it is not as it was sealed.
    """
    data = runtime.store.read(facts["path"], facts["version_id"] or None)
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise VerificationError(
            "object-hash", f"{facts['path']} is not as it was sealed", next_step="Run: indelible verify"
        )
    return parse_lines(data, facts, form)


def landed_digest(landing: ObjectStore, drop: Drop) -> str:
    """SHA-256 of a drop in the landing place, read in pieces."""
    digest = hashlib.sha256()
    for start in range(0, drop.size, _PIECE):
        digest.update(landing.read_range(drop.key, start, _PIECE))
    return digest.hexdigest()


def scope(source: str, interval: Interval) -> dict[str, str]:
    """As it stands in an entry."""
    return {"since": instant(interval.since), "source": source, "until": instant(interval.until)}
