"""Reading a log shard from the store, up to its end: what is integrated, then what is only in sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tasks.errors import NotFoundError
from tasks.evidence import paths
from tasks.evidence.checkpoint import Checkpoint, parse_checkpoint
from tasks.evidence.note import NoteVerifier, open_note
from tasks.evidence.tiles import TileReader
from tasks.storage.protocol import ObjectStore

FIRST_YEAR = 2026  # no log of this format is older


def shards(store: ObjectStore) -> list[int]:
    """Years that have a log, oldest first. Costs one small request a year, however large the logs are."""
    years = range(FIRST_YEAR, store.now().year + 1)
    return [year for year in years if has_shard(store, year)]


def has_shard(store: ObjectStore, year: int) -> bool:
    """Whether the year's log has begun."""
    genesis = paths.sequence(year, 0)
    return any(info.path == genesis for info in store.list(genesis))


def tile_source(store: ObjectStore, year: int) -> Callable[[str], bytes]:
    """Reads log objects by their path relative to the shard."""
    prefix = paths.log_prefix(year)
    return lambda path: store.read(prefix + path)


def newest_note(store: ObjectStore, year: int) -> bytes | None:
    """The newest signed checkpoint, or None before the first one.

    The pointer may lag behind (a process died between the two writes), so the listing decides.
    """
    after = ""
    try:
        pointer = store.read(paths.checkpoint(year))
        after = paths.checkpoint_at(year, _claimed_size(pointer))
    except NotFoundError:
        pointer = None
    newer = [info.path for info in store.list(paths.checkpoints_prefix(year), start_after=after)]
    return store.read(newer[-1]) if newer else pointer


def newest_checkpoint(
    store: ObjectStore, year: int, verifier: NoteVerifier
) -> tuple[Checkpoint, bytes] | None:
    """The newest checkpoint under our own key, with its note.

    Raises:
        VerificationError: the note is not signed by `verifier`.
    """
    note = newest_note(store, year)
    return None if note is None else (parse_checkpoint(open_note(note, [verifier]).text), note)


def integrated(store: ObjectStore, year: int) -> int:
    """Size that the newest checkpoint claims; 0 before the first one."""
    note = newest_note(store, year)
    return _claimed_size(note) if note else 0


def entries(store: ObjectStore, year: int, start: int) -> Iterator[tuple[int, bytes]]:
    """Index and bytes of every entry from `start` to the end of the sequence."""
    size, index = integrated(store, year), start
    if start < size:
        for data in TileReader(tile_source(store, year), size).entries(start):
            yield index, data
            index += 1
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
