"""Writing a log shard. One commit point: creating `seq/<index>` is sealing; all the rest follows from it.

    Parquet, ledger, gate, contract        died here: unreferenced objects; the next run makes the same bytes
        |                                  again and finds them in place
    seq/<index>                            died here: sealed, not yet provable; the next run integrates it
        |
    tiles, entry bundles                   died here: some tiles stand; they are pure functions of seq/, so
        |                                  the next run finds equal bytes or writes what is missing
    checkpoints/<size>                     died here: provable; only the pointer is old, and readers list
        |                                  beyond it
    checkpoint (pointer)

Recovery is the normal path: `integrate` always starts from the newest checkpoint and whatever `seq/` holds.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from tasks.errors import AlreadyExistsError, StoreRefusedError, VerificationError
from tasks.evidence import paths
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.entry import GenesisEntry, encode_entry
from tasks.evidence.note import NoteSigner, make_note
from tasks.evidence.tiles import TileReader, new_tiles
from tasks.log import reader
from tasks.storage.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class Integrated:
    """A shard's newest signed state.

    Attributes:
        size: entries under the checkpoint.
        root: hex.
        note: the signed checkpoint.
        advanced: whether this call made the checkpoint.
    """

    size: int
    root: str
    note: bytes
    advanced: bool


def append(store: ObjectStore, year: int, index: int, entry: bytes, retain_until: datetime) -> None:
    """Take index `index` for `entry`.

    Raises:
        AlreadyExistsError: another writer has it. Read the log to its end, then decide again.
    """
    store.create(paths.sequence(year, index), entry, retain_until=retain_until)


def open_shard(
    store: ObjectStore, year: int, signer: NoteSigner, retain_until: datetime, *, sealed_at: str
) -> None:
    """Write a shard's genesis entry, unless another process has just done so.

    It embeds the newest checkpoint of the year before, so the shards form one chain: integrate that first.
    """
    # Before the genesis entry: afterwards nobody would look whether the policy is there.
    _create_equal(store, paths.policy(year), f"log {signer.vkey}\nquorum none\n".encode(), retain_until)
    earlier = [y for y in reader.shards(store) if y < year]
    previous = reader.newest_note(store, earlier[-1]) if earlier else None
    genesis: GenesisEntry = {
        "format": "indelible/1",
        "origin": signer.verifier.name,
        "previous_shard": previous.decode() if previous else None,
        "sealed_at": sealed_at,
        "type": "genesis",
    }
    with suppress(AlreadyExistsError):
        append(store, year, 0, encode_entry(genesis), retain_until)


def integrate(store: ObjectStore, year: int, signer: NoteSigner, retain_until: datetime) -> Integrated:
    """Bring tiles and checkpoint up to the end of `seq/`. Any number of processes may do so at once.

    Raises:
        VerificationError: the tiles do not give the root of our own last checkpoint. Nothing is signed.
        StoreRefusedError: an object stands where ours belongs and differs from it.
    """
    newest = reader.newest_checkpoint(store, year, signer.verifier)
    old = newest[0] if newest else Checkpoint(signer.verifier.name, 0, TileReader(lambda _: b"", 0).root())
    source = reader.tile_source(store, year)
    if TileReader(source, old.size).root() != old.root:
        raise VerificationError(
            "root-mismatch",
            f"the tiles of log/{year} do not give the root of its checkpoint of size {old.size}",
            next_step="Do not deliver. Run `indelible verify` and compare with a copy or a witness.",
        )
    fresh = [data for _, data in reader.sequence(store, year, old.size)]
    if not fresh and newest:
        _point(store, year, newest[1])
        return Integrated(old.size, old.root.hex(), newest[1], advanced=False)
    size = old.size + len(fresh)
    made = new_tiles(source, old.size, fresh)
    for path, data in made.items():
        _create_equal(store, paths.log_prefix(year) + path, data, retain_until)
    checkpoint = Checkpoint(signer.verifier.name, size, TileReader(source, size).root())
    text = checkpoint.text()
    note = make_note(text, signer.sign(text))
    _create_equal(store, paths.checkpoint_at(year, size), note, retain_until)
    _point(store, year, note)
    return Integrated(size, checkpoint.root.hex(), note, advanced=True)


def _create_equal(store: ObjectStore, path: str, data: bytes, retain_until: datetime) -> None:
    try:
        store.create(path, data, retain_until=retain_until)
    except AlreadyExistsError:
        if store.read(path) != data:
            raise StoreRefusedError(
                f"{path} exists with other content than this log gives it",
                next_step="Do not deliver. Run `indelible verify`: the log was changed or has two signers.",
            ) from None


def _point(store: ObjectStore, year: int, note: bytes) -> None:
    """Move the pointer forward. A slower process may move it back: harmless, readers list beyond it."""
    path = paths.checkpoint(year)
    existing = next(iter(store.list(path)), None)
    if existing is not None and existing.path == path and store.read(path) == note:
        return
    store.replace(path, note)
