"""Sealing a batch: store its objects, then take the next index of the log, which is the commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

from tasks.batch import RedactedBatch, SealedBatch
from tasks.contracts.model import Contract
from tasks.errors import AlreadyExistsError, IndelibleError, StoreRefusedError
from tasks.evidence.canonical import canonical_json
from tasks.evidence.entry import SealEntry, encode_entry
from tasks.evidence.tiles import MAX_ENTRY_BYTES
from tasks.log import writer
from tasks.seal.objects import BatchObjects, PlannedObject, build_objects
from tasks.storage.protocol import ObjectStore

FORMAT = "indelible/1"
LEAF = "jcs-salted/1"


class OvertakenError(IndelibleError):
    """Another runner sealed drops of this source first: what is new must be decided again."""

    transient = True


class EntryTooLargeError(IndelibleError):
    """The batch spans more event dates than one entry can name: split it by drops."""


class Position(Protocol):
    """Where the next entry of a source goes, as of the end of the log."""

    @property
    def size(self) -> int:
        """Entries in the log; the index of the next one."""
        ...

    @property
    def source_seq(self) -> int:
        """Entries of the source."""
        ...

    @property
    def previous(self) -> tuple[int, str] | None:
        """Index and leaf hash (hex) of the source's last entry."""
        ...


@dataclass(frozen=True, slots=True)
class Retention:
    """Until when what is written stays locked."""

    data: datetime
    log: datetime


def seal(
    batch: RedactedBatch,
    contract: Contract,
    store: ObjectStore,
    salt_key: bytes,
    *,
    year: int,
    locate: Callable[[], Position],
    planned_seq: int,
    retention: Retention,
    sealed_at: datetime,
    software: str,
) -> SealedBatch:
    """Store a batch and commit it.

    Args:
        batch: what to seal.
        contract: the contract that judged it.
        store: where it goes.
        salt_key: secret for the salt seeds.
        year: the log shard.
        locate: reads the log to its end and says where the source's next entry goes.
        planned_seq: the source's entry count when the batch's drops were found to be new. If it has
            grown since, those drops, or records in them, may have been sealed by another runner.
        retention: lock dates.
        sealed_at: the store's time.
        software: name and version, for the record.

    Raises:
        OvertakenError: the source has grown; plan again.
        EntryTooLargeError: split the batch.
    """
    _check_not_overtaken(locate(), planned_seq, batch.source)
    objects = build_objects(batch, contract, salt_key)
    # Refuse what cannot be committed before anything is locked for years.
    draft = _entry(objects, batch, dict.fromkeys(_paths(objects), "v" * 40), retention, sealed_at, software)
    if len(canonical_json(draft | {"previous": None, "source_seq": planned_seq})) > MAX_ENTRY_BYTES - 512:
        raise EntryTooLargeError("the batch spans more files than one log entry can name")
    versions = {
        planned.path: _store(store, planned, retention.data)
        for planned in (*objects.files, *objects.quarantine, objects.ledger, objects.gate, objects.contract)
    }
    body = _entry(objects, batch, versions, retention, sealed_at, software)
    while True:
        position = locate()
        _check_not_overtaken(position, planned_seq, batch.source)
        previous = position.previous and {"entry": position.previous[0], "leaf": position.previous[1]}
        entry = body | {"previous": previous, "source_seq": position.source_seq}
        try:
            writer.append(store, year, position.size, encode_entry(cast(SealEntry, entry)), retention.log)
        except AlreadyExistsError:
            continue  # another source took the index; the log has grown, look again
        return SealedBatch(position.size, entry)


def _check_not_overtaken(position: Position, planned_seq: int, source: str) -> None:
    if position.source_seq != planned_seq:
        raise OvertakenError(f"another runner sealed drops of {source} first")


def retention_for(now: datetime, contract_days: int, extra_log_days: int) -> Retention:
    """Lock dates from now: data as the contract asks, the log for longer."""
    return Retention(
        now + timedelta(days=contract_days), now + timedelta(days=contract_days + extra_log_days)
    )


def _paths(objects: BatchObjects) -> list[str]:
    return [
        p.path for p in (*objects.files, *objects.quarantine, objects.ledger, objects.gate, objects.contract)
    ]


def _store(store: ObjectStore, planned: PlannedObject, retain_until: datetime) -> str:
    """Version id of the object. Paths are content addresses: if it is there, it is ours from an earlier run.

    Its lock then ends when that run asked; a lock that ends too early is extended where retention is
    managed, not here.
    """
    try:
        return store.create(planned.path, planned.data, retain_until=retain_until).version_id
    except AlreadyExistsError:
        info = store.head(planned.path)
        if (
            info.size != len(planned.data)
            or store.read(planned.path, info.version_id or None) != planned.data
        ):
            raise StoreRefusedError(
                f"{planned.path} exists, and its content does not fit its name",
                next_step="Run `indelible verify`; an object was replaced under a name that is its digest.",
            ) from None
        return info.version_id


def _entry(
    objects: BatchObjects,
    batch: RedactedBatch,
    versions: Mapping[str, str],
    retention: Retention,
    sealed_at: datetime,
    software: str,
) -> dict[str, Any]:
    def named(planned: PlannedObject) -> dict[str, Any]:
        return {**planned.facts, "path": planned.path, "version_id": versions[planned.path]}

    return {
        "contract": named(objects.contract),
        "files": [named(p) for p in objects.files],
        "format": FORMAT,
        "gate": named(objects.gate),
        "keys": list(batch.keys),
        "leaf": LEAF,
        "ledger": named(objects.ledger),
        "quarantine": [named(p) for p in objects.quarantine],
        "retain_until": _rfc3339(retention.data),
        "sealed_at": _rfc3339(sealed_at),
        "software": software,
        "source": batch.source,
        "sums": dict(objects.sums),
        "type": "seal",
    }


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
