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

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from tasks.errors import AlreadyExistsError, KeyUnavailableError, StoreRefusedError, VerificationError
from tasks.evidence import paths
from tasks.evidence.checkpoint import Checkpoint, parse_checkpoint
from tasks.evidence.entry import GenesisEntry, RecoveryEntry, encode_entry
from tasks.evidence.keys import in_force
from tasks.evidence.note import NoteSigner, make_note, open_note, signature_count
from tasks.evidence.policy import policy_text
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


def recover_shard(
    store: ObjectStore, lost: int, recovery: RecoveryEntry, policy: str, retain_until: datetime
) -> None:
    """Open the log that takes the place of one whose key was compromised; what it does not embed is given up.

    Args:
        store: where the logs lie.
        lost: number of the log that ends; the new one has the next number.
        recovery: genesis entry of the new one.
        policy: what verifiers should trust from now on.
        retain_until: lock of the two objects.

    Raises:
        AlreadyExistsError: a log after the lost one has begun.
    """
    _create_equal(store, paths.policy(lost + 1), policy.encode(), retain_until)
    append(store, lost + 1, 0, encode_entry(recovery), retain_until)


def open_shard(
    store: ObjectStore,
    year: int,
    signer: NoteSigner,
    retain_until: datetime,
    *,
    sealed_at: str,
    policy: str | None = None,
) -> None:
    """Write a shard's genesis entry, unless another process has just done so.

    It embeds the newest checkpoint of the year before, so the shards form one chain: integrate that first.

    Args:
        store: where the logs lie.
        year: the new shard.
        signer: its first key.
        retain_until: lock of the two objects.
        sealed_at: as entries spell it.
        policy: the log's own copy of its trust policy; None trusts the signer and asks for no witness.
    """
    # Before the genesis entry: afterwards nobody would look whether the policy is there.
    policy = policy or policy_text([signer.vkey])
    _create_equal(store, paths.policy(year), policy.encode(), retain_until)
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


def integrate(
    store: ObjectStore,
    year: int,
    signer: NoteSigner,
    retain_until: datetime,
    *,
    successors: Sequence[NoteSigner] = (),
) -> Integrated:
    """Bring tiles and checkpoint up to the end of `seq/`. Any number of processes may do so at once.

    The keys that signed the newest checkpoint sign the next, changed by the `key` entries that it covers anew:
    every process comes to the same keys, and so to the same bytes.

    Args:
        store: where the log lies.
        year: the shard.
        signer: its first key.
        retain_until: lock of what is written.
        successors: its later keys.

    Raises:
        VerificationError: the tiles do not give the root of our own last checkpoint. Nothing is signed.
        StoreRefusedError: an object stands where ours belongs and differs from it.
        KeyUnavailableError: the log was handed to a key that is not among the given ones.
    """
    signers = {key.vkey: key for key in (signer, *successors)}
    keys: tuple[str, ...] = (signer.vkey,)
    note = reader.newest_note(store, year)
    if note is None:
        old = Checkpoint(signer.verifier.name, 0, TileReader(lambda _: b"", 0).root())
    else:
        opened = open_note(note, [key.verifier for key in signers.values()])
        old, keys = parse_checkpoint(opened.text), tuple(key.vkey for key in opened.signers)
        if signature_count(note, old.origin) > len(keys):
            raise _stranger(year)
    source = reader.tile_source(store, year)
    if TileReader(source, old.size).root() != old.root:
        raise VerificationError(
            "root-mismatch",
            f"the tiles of log/{year} do not give the root of its checkpoint of size {old.size}",
            next_step="Do not deliver. Run `indelible verify` and compare with a copy or a witness.",
        )
    fresh = [data for _, data in reader.sequence(store, year, old.size)]
    if not fresh and note is not None:
        _point(store, year, note)
        return Integrated(old.size, old.root.hex(), note, advanced=False)
    signing = _signing(signers, in_force(keys, fresh), year)
    size = old.size + len(fresh)
    made = new_tiles(source, old.size, fresh)
    for path, data in made.items():
        _create_equal(store, paths.log_prefix(year) + path, data, retain_until)
    checkpoint = Checkpoint(signer.verifier.name, size, TileReader(source, size).root())
    text = checkpoint.text()
    note = make_note(text, *(key.sign(text) for key in signing))
    _create_equal(store, paths.checkpoint_at(year, size), note, retain_until)
    _point(store, year, note)
    return Integrated(size, checkpoint.root.hex(), note, advanced=True)


def _signing(signers: Mapping[str, NoteSigner], keys: Sequence[str], year: int) -> list[NoteSigner]:
    if not keys or any(key not in signers for key in keys):
        raise _stranger(year)
    return [signers[key] for key in keys]


def _stranger(year: int) -> KeyUnavailableError:
    return KeyUnavailableError(
        f"this keyring has not all keys that sign log/{year} now",
        next_step="Copy the new key into it, or give it access to the service that keeps the keys.",
    )


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
