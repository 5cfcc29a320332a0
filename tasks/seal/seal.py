"""Sealing a batch: store its objects, then take the next index of the log, which is the commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, cast

from tasks.batch import RedactedBatch, SealedBatch
from tasks.contracts.model import Contract
from tasks.errors import AlreadyExistsError, IndelibleError, StoreRefusedError
from tasks.evidence.canonical import canonical_json
from tasks.evidence.entry import encode_entry
from tasks.evidence.rows import LEAF_FORMAT
from tasks.evidence.seal_entry import SealEntry
from tasks.evidence.terms import instant
from tasks.evidence.tiles import MAX_ENTRY_BYTES
from tasks.log import writer
from tasks.seal.objects import BatchObjects, Places, PlannedObject, build_objects
from tasks.storage.protocol import ObjectStore

FORMAT = "indelible/1"


NotePlaces = Callable[[str, Places], None]


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


PlanAgain = Callable[[], tuple[Callable[[], Position], int] | None]


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
    note_places: NotePlaces | None = None,
    plan_again: PlanAgain | None = None,
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
        note_places: writes down where persons occur, see `Keyring.note_places`.
        plan_again: when the source has grown meanwhile: `locate` and `planned_seq` anew if the batch is
            nevertheless as it would be made now, else None.

    Raises:
        OvertakenError: the source has grown, and the batch must be made again.
        EntryTooLargeError: split the batch.
    """
    check_not_overtaken(locate(), planned_seq, batch.source)
    body = store_batch(
        batch,
        contract,
        store,
        salt_key,
        retain_until=retention.data,
        sealed_at=sealed_at,
        software=software,
        note_places=note_places,
    )
    while True:
        try:
            return commit(
                store, year, body, locate=locate, planned_seq=planned_seq, retain_until=retention.log
            )
        except OvertakenError:
            again = plan_again() if plan_again is not None else None
            if again is None:
                raise
            locate, planned_seq = again


def store_batch(
    batch: RedactedBatch,
    contract: Contract,
    store: ObjectStore,
    salt_key: bytes,
    *,
    retain_until: datetime,
    sealed_at: datetime,
    software: str,
    note_places: NotePlaces | None = None,
) -> dict[str, Any]:
    """Store a batch's objects, and note where persons occur in them; nothing is sealed yet.

    Returns:
        The seal entry's body: all but its place in the source's chain.

    Raises:
        EntryTooLargeError: split the batch.
    """
    objects = build_objects(batch, contract, salt_key)
    # Refuse what cannot be committed before anything is locked for years.
    draft = _entry(
        objects,
        batch,
        {planned.path: "v" * 40 for planned in objects.all()},
        retain_until,
        sealed_at,
        software,
    )
    if len(canonical_json(draft | {"previous": None, "source_seq": 0})) > MAX_ENTRY_BYTES - 512:
        raise EntryTooLargeError("the batch spans more files than one log entry can name")
    if objects.places:
        _note(batch.source, objects.places, note_places)
    versions = {planned.path: _store(store, planned, retain_until) for planned in objects.all()}
    return _entry(objects, batch, versions, retain_until, sealed_at, software)


def _note(source: str, places: Places, note_places: NotePlaces | None) -> None:
    """Before anything is stored: a person whose places are not known could not be erased."""
    if note_places is None:
        raise IndelibleError(
            f"rows of {source} are about persons, and nobody notes where",
            next_step="Pass the keyring's note_places to seal.",
        )
    note_places(source, places)


def commit(
    store: ObjectStore,
    year: int,
    body: Mapping[str, Any],
    *,
    locate: Callable[[], Position],
    planned_seq: int,
    retain_until: datetime,
) -> SealedBatch:
    """Take the next index of the log for a body whose objects are stored: this is sealing.

    Raises:
        OvertakenError: the source has grown; plan again.
    """
    while True:
        position = locate()
        check_not_overtaken(position, planned_seq, body["source"])
        entry = placed(body, position)
        try:
            writer.append(store, year, position.size, encode_entry(cast(SealEntry, entry)), retain_until)
        except AlreadyExistsError:
            continue  # another source took the index; the log has grown, look again
        return SealedBatch(position.size, entry)


def placed(body: Mapping[str, Any], position: Position) -> dict[str, Any]:
    """The entry that `body` is at `position`."""
    previous = position.previous and {"entry": position.previous[0], "leaf": position.previous[1]}
    return {**body, "previous": previous, "source_seq": position.source_seq}


def check_not_overtaken(position: Position, planned_seq: int, source: str) -> None:
    """Refuse to seal what was planned before the source grew."""
    if position.source_seq != planned_seq:
        raise OvertakenError(f"another runner sealed drops of {source} first")


def _store(store: ObjectStore, planned: PlannedObject, retain_until: datetime) -> str:
    """Version id of the object. Paths are content addresses: if it is there, it is ours from an earlier run.

    Its lock then ends when that run asked. Every batch of one contract shares the contract's object, which
    must stay as long as the last of them.
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
        if store.worm:
            store.extend_retention(planned.path, info.version_id, retain_until)
        return info.version_id


def _entry(
    objects: BatchObjects,
    batch: RedactedBatch,
    versions: Mapping[str, str],
    retain_until: datetime,
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
        "identities": [named(p) for p in objects.identities],
        "keys": list(batch.keys),
        "leaf": LEAF_FORMAT,
        "ledger": named(objects.ledger),
        "personal": list(objects.personal),
        "quarantine": [named(p) for p in objects.quarantine],
        "redaction": named(objects.redaction),
        "rego": named(objects.rego) if objects.rego else None,
        "retain_until": instant(retain_until),
        "sealed_at": instant(sealed_at),
        "software": software,
        "source": batch.source,
        "sums": dict(objects.sums),
        "type": "seal",
    }
