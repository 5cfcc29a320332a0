"""The life of the keys that sign logs: rotation, revocation, compromise. Each is sealed in the log before it counts.

    rotate            announce a new key: from this entry on both keys sign
    rotate --finish   retire the old one: from this entry on only the new one signs
    revoke            a key is not to be believed from this entry on
    compromise        give the log up at its last good checkpoint, and go on in another one with another key

Put here: which entry is sealed when. Do not put here: where keys are kept (`tasks.keyring`), who signs after
which entry (`tasks.evidence.keys`), what a verifier makes of it (`tasks.verify.keys`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import pipeline, trust
from flows.entries import append_entry
from flows.given_up import mark_unsealed, seal_erasures
from flows.holding import Order
from flows.receipts import CheckpointReceipt
from flows.shards import current_shard, key_limits, log_keys, log_until
from flows.wiring import Runtime
from tasks.errors import AlreadyExistsError, NotFoundError, UsageError, VerificationError
from tasks.evidence import paths
from tasks.evidence.checkpoint import parse_checkpoint
from tasks.evidence.entry import RecoveryEntry
from tasks.evidence.note import open_note
from tasks.evidence.policy import policy_text
from tasks.evidence.terms import instant
from tasks.evidence.tiles import TileReader
from tasks.log import reader, writer
from tasks.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

SIGNS, RETIRED, REVOKED, GIVEN_UP, PREPARED = "signs", "retired", "revoked", "given-up", "prepared"
_STATES = {"announce": SIGNS, "retire": RETIRED, "revoke": REVOKED}


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key of a log.

    Attributes:
        shard: the log.
        vkey: the public key.
        state: `signs`, `retired`, `revoked`, `given-up` (its log was, after a compromise) or `prepared` (in the
            keyring, and not announced).
    """

    shard: int
    vkey: str
    state: str

    @property
    def key_id(self) -> str:
        """Eight hex digits that name it in signature lines."""
        return self.vkey.split("+")[1]


@dataclass(frozen=True, slots=True)
class Recovered:
    """A log that took another's place.

    Attributes:
        shard: its number.
        vkey: its key.
        policy: file with the policy that limits the compromised keys.
        checkpoint: what was published last.
        erasures_left: erasure entries of beyond the good checkpoint that could not be sealed again.
    """

    shard: int
    vkey: str
    policy: Path
    checkpoint: CheckpointReceipt
    erasures_left: int


def list_keys(runtime: Runtime) -> list[LogKey]:
    """The keys of all logs, as the logs themselves tell it."""
    with runtime.catalog() as catalog:
        return [key for shard in reader.shards(runtime.store) for key in _keys(runtime, catalog, shard)]


def rotate(runtime: Runtime, order: Order) -> tuple[LogKey, CheckpointReceipt]:
    """Make and announce a new key. Until `finish`, old and new sign.

    Safe to repeat after a crash: a key that was made and not announced is taken again.

    Raises:
        UsageError: a rotation is under way, or one person alone decides.
    """
    with _changing(runtime, order) as (catalog, keys):
        if len(_signing(keys)) > 1:
            raise UsageError(
                "a rotation is under way: two keys sign",
                next_step="Finish it with `indelible key rotate --finish`.",
            )
        known = [key for key in keys if key.state != PREPARED]
        signer = runtime.keyring.new_signer(runtime.origin(keys[0].shard), len(known))
        return _seal(runtime, catalog, order, "announce", LogKey(keys[0].shard, signer.vkey, SIGNS))


def finish(runtime: Runtime, order: Order) -> tuple[LogKey, CheckpointReceipt]:
    """Retire the older of two keys that sign.

    Raises:
        UsageError: no rotation is under way, or one person alone decides.
    """
    with _changing(runtime, order) as (catalog, keys):
        signing = _signing(keys)
        if len(signing) < 2:
            raise UsageError("no rotation is under way", next_step="Begin one with `indelible key rotate`.")
        return _seal(runtime, catalog, order, "retire", signing[0])


def revoke(runtime: Runtime, order: Order, name: str) -> tuple[LogKey, CheckpointReceipt]:
    """Say that a key is not to be believed from here on.

    Args:
        runtime: the deployment.
        order: who asked, who approved, why.
        name: its vkey or key id.

    Raises:
        UsageError: the current log has no such key, it is revoked, or no other key signs.
    """
    with _changing(runtime, order) as (catalog, keys):
        key = next((key for key in keys if name in (key.vkey, key.key_id) and key.state != PREPARED), None)
        if key is None or key.state == REVOKED:
            raise UsageError(
                "the current log has no such key, or it is revoked", next_step="See `indelible key list`."
            )
        if _signing(keys) == [key]:
            raise UsageError(
                "it is the only key that signs, so nobody could sign the revocation",
                next_step="Rotate first; if others had the key, use `indelible key compromise`.",
            )
        return _seal(runtime, catalog, order, "revoke", key)


def compromise(runtime: Runtime, order: Order, last_good: int) -> Recovered:
    """Give the current log up at a checkpoint, and open the log that takes its place.

    What was sealed beyond the checkpoint counts as not sealed: the next delivery seals it again. Erasures are sealed
    again here, or a backup would bring their keys back.

    Args:
        runtime: the deployment. Its keyring makes the new key.
        order: who asked, who approved, why.
        last_good: size of the last checkpoint that is known to be good.

    Raises:
        UsageError: there is no such checkpoint, another process did the same, or one person alone decides.
        VerificationError: the log does not begin with that checkpoint's tree.
    """
    order.check()
    current = current_shard(runtime)
    begun = reader.recovery(runtime.store, current - 1)
    # A call that died after it had opened the log is repeated in the same words.
    lost = current - 1 if begun is not None and _is_same(begun, order, last_good) else current
    if lost == current:
        note = _good_checkpoint(runtime, lost, last_good)
        mark_unsealed(runtime, lost, last_good)  # before, so that no crash loses it
        _open_next(runtime, order, lost, last_good, note)
    mark_unsealed(runtime, lost, last_good)  # whoever sealed meanwhile has noted that it is in the lost log
    with runtime.catalog() as catalog:
        left = seal_erasures(runtime, catalog, lost, last_good)
        checkpoint = pipeline.publish(runtime, catalog)
    vkeys = [key.vkey for year in reader.shards(runtime.store) for key in log_keys(runtime, year)]
    return Recovered(lost + 1, vkeys[-1], trust.write_policy(runtime, vkeys), checkpoint, left)


def _is_same(begun: RecoveryEntry, order: Order, last_good: int) -> bool:
    text, _, _ = begun["previous_shard"].partition("\n\n")
    words = (begun["requested_by"], begun["approver"], begun["reason"])
    same_order = words == (order.requested_by, order.approver, order.reason)
    return same_order and parse_checkpoint(text + "\n").size == last_good


def _open_next(runtime: Runtime, order: Order, lost: int, last_good: int, note: bytes) -> None:
    """Open the log that takes the lost one's place, after the checkpoint `note` of the size `last_good`."""
    store, old = runtime.store, log_keys(runtime, lost)
    trusted = [key.vkey for year in reader.shards(store) for key in log_keys(runtime, year)]
    signer = runtime.keyring.new_signer(runtime.origin(lost + 1))
    recovery: RecoveryEntry = {
        "action": "recover",
        "approver": order.approver,
        "format": "indelible/1",
        "origin": signer.verifier.name,
        "previous_shard": note.decode(),
        "reason": order.reason,
        "requested_by": order.requested_by,
        "revoked": [key.vkey for key in old],
        "sealed_at": instant(store.now()),
        "type": "genesis",
    }
    limits = {key.vkey: n for key, n in {**key_limits(runtime), **dict.fromkeys(old, last_good)}.items()}
    witness = runtime.settings.witness
    policy = policy_text([*trusted, signer.vkey], witness.parties, witness.quorum, limits)
    try:
        writer.recover_shard(store, lost, recovery, policy, log_until(runtime))
    except AlreadyExistsError as error:
        raise UsageError(
            f"log/{lost + 1} has begun already",
            next_step="See `indelible key list`: somebody else was faster.",
        ) from error


@contextmanager
def _changing(runtime: Runtime, order: Order) -> Iterator[tuple[Catalog, list[LogKey]]]:
    """The catalog, and the keys of the log in which entries are sealed now."""
    order.check()
    shard = current_shard(runtime)
    with runtime.catalog() as catalog:
        yield catalog, _keys(runtime, catalog, shard)


def _keys(runtime: Runtime, catalog: Catalog, shard: int) -> list[LogKey]:
    """A log's keys, oldest first; those that are prepared come last."""
    known = [key.vkey for key in log_keys(runtime, shard)]
    states = {known[0]: SIGNS}
    rows = catalog.connection.execute(
        "SELECT document FROM entries WHERE type = 'key' AND shard = ? ORDER BY entry", [shard]
    ).fetchall()
    for (document,) in rows:
        entry = json.loads(document)
        if "key" in entry:
            states[entry["key"]] = _STATES[entry["action"]]
    if reader.recovery(runtime.store, shard) is not None:
        states = dict.fromkeys([*states, *known], GIVEN_UP)
    prepared = {vkey: PREPARED for vkey in known if vkey not in states}
    return [LogKey(shard, vkey, state) for vkey, state in (states | prepared).items()]


def _signing(keys: list[LogKey]) -> list[LogKey]:
    return [key for key in keys if key.state == SIGNS]


def _seal(
    runtime: Runtime, catalog: Catalog, order: Order, action: str, key: LogKey
) -> tuple[LogKey, CheckpointReceipt]:
    body: dict[str, Any] = {
        "action": action,
        "approver": order.approver,
        "key": key.vkey,
        "reason": order.reason,
        "requested_by": order.requested_by,
    }
    append_entry(runtime, catalog, "key", body)
    return LogKey(key.shard, key.vkey, _STATES[action]), pipeline.publish(runtime, catalog)


def _good_checkpoint(runtime: Runtime, shard: int, size: int) -> bytes:
    """The checkpoint of a size, as witnesses cosigned it if they did; the log must begin with its tree."""
    note = _read(runtime.store, paths.cosigned_at(shard, size)) or _read(
        runtime.store, paths.checkpoint_at(shard, size)
    )
    if note is None:
        raise UsageError(
            f"log/{shard} has no checkpoint of {size} entries",
            next_step=f"Choose one that is stored below {paths.checkpoints_prefix(shard)}.",
        )
    checkpoint = parse_checkpoint(open_note(note, log_keys(runtime, shard)).text)
    root = TileReader(reader.tile_source(runtime.store, shard), size).root()
    if (checkpoint.size, checkpoint.root) != (size, root):
        raise VerificationError(
            "root-mismatch",
            f"log/{shard} does not begin with the tree of its checkpoint of {size} entries",
            next_step="Run `indelible verify` and choose an older checkpoint with which the log still begins.",
        )
    return note


def _read(store: ObjectStore, path: str) -> bytes | None:
    try:
        return store.read(path)
    except NotFoundError:
        return None
