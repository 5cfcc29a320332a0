"""Reading a log shard from the store, up to its end: what is integrated, then what is only in sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tasks.errors import NotFoundError
from tasks.evidence import paths
from tasks.evidence.checkpoint import Checkpoint, parse_checkpoint
from tasks.evidence.entry import RecoveryEntry
from tasks.evidence.keys import recovery_entry
from tasks.evidence.note import NoteVerifier, open_note
from tasks.evidence.tiles import TileReader
from tasks.storage.protocol import ObjectStore

FIRST_YEAR = 2026  # no log of this format is older


def shards(store: ObjectStore) -> list[int]:
    """Years that have a log, oldest first. Costs one small request a year, however large the logs are."""
    newest = newest_shard(store)
    years = range(FIRST_YEAR, newest)
    return [year for year in [*years, newest] if has_shard(store, year)]


def newest_shard(store: ObjectStore) -> int:
    """The log in which entries are sealed now: this year's, or a later number after a recovery."""
    year = store.now().year
    while recovery(store, year) is not None:
        year += 1
    return year


def recovery(store: ObjectStore, year: int) -> RecoveryEntry | None:
    """The genesis entry of the log that took this one's place, if this one's key was compromised."""
    try:
        return recovery_entry(store.read(paths.sequence(year + 1, 0)))
    except NotFoundError:
        return None


def has_shard(store: ObjectStore, year: int) -> bool:
    """Whether the year's log has begun."""
    try:
        store.head(paths.sequence(year, 0))  # not a listing: one that is cut would hide a whole log
    except NotFoundError:
        return False
    return True


def tile_source(store: ObjectStore, year: int) -> Callable[[str], bytes]:
    """Reads log objects by their path relative to the shard."""
    prefix = paths.log_prefix(year)
    return lambda path: store.read(prefix + path)


def newest_note(store: ObjectStore, year: int) -> bytes | None:
    """The newest signed checkpoint, or None before the first one.

    The pointer may lag behind (a process died between the two writes), so the listing decides. A log whose
    key was compromised ends with the last good checkpoint, whatever else lies there.
    """
    closing = recovery(store, year)
    if closing is not None:
        return closing["previous_shard"].encode()
    after = ""
    try:
        pointer = store.read(paths.checkpoint(year))
        after = paths.checkpoint_at(year, _claimed_size(pointer))
    except NotFoundError:
        pointer = None
    newer = [info.path for info in store.list(paths.checkpoints_prefix(year), start_after=after)]
    return store.read(newer[-1]) if newer else pointer


def newest_checkpoint(
    store: ObjectStore, year: int, *verifiers: NoteVerifier
) -> tuple[Checkpoint, bytes] | None:
    """The newest checkpoint under one of our own keys, with its note.

    Raises:
        VerificationError: the note is signed by none of `verifiers`.
    """
    note = newest_note(store, year)
    return None if note is None else (parse_checkpoint(open_note(note, verifiers).text), note)


def newest_cosigned(store: ObjectStore, year: int) -> bytes | None:
    """The newest checkpoint that a quorum of witnesses has cosigned, or None when there is none."""
    return next(cosigned_notes(store, year), None)


def cosigned_notes(store: ObjectStore, year: int) -> Iterator[bytes]:
    """The checkpoints that a quorum has cosigned, newest first."""
    try:
        near = paths.cosigned_at(year, max(0, _claimed_size(store.read(paths.checkpoint(year))) - 1))
    except NotFoundError:
        return
    # The newest one is nearly always that of the pointer; only after an outage all have to be listed.
    newest = [info.path for info in store.list(paths.cosigned_prefix(year), start_after=near)]
    yield from map(store.read, reversed(newest))
    older = [info.path for info in store.list(paths.cosigned_prefix(year)) if info.path <= near]
    yield from map(store.read, reversed(older))


def integrated(store: ObjectStore, year: int) -> int:
    """Size that the newest checkpoint claims; 0 before the first one."""
    note = newest_note(store, year)
    return _claimed_size(note) if note else 0


def entries(store: ObjectStore, year: int, start: int) -> Iterator[tuple[int, bytes]]:
    """Index and bytes of every entry from `start` to the end of the sequence, or of what is to be believed."""
    size, index = integrated(store, year), start
    if start < size:
        for data in TileReader(tile_source(store, year), size).entries(start):
            yield index, data
            index += 1
    if recovery(store, year) is None:
        yield from sequence(store, year, index)


def sequence(store: ObjectStore, year: int, start: int) -> Iterator[tuple[int, bytes]]:
    """Index and bytes of every object in `seq/` from `start` on, without a gap."""
    index = start
    after = paths.sequence(year, start - 1) if start else ""
    for info in store.list(paths.sequence_prefix(year), start_after=after):
        if paths.parse_number(info.path) != index:
            return
        yield index, store.read(info.path)
        index += 1


def _claimed_size(note: bytes) -> int:
    return int(note.split(b"\n", 2)[1])
