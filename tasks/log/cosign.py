"""Cosigned checkpoints: witnesses are asked for the newest one, and what a quorum signed is stored.

    checkpoints/<size>     signed by the log alone, and never changed
    cosigned/<size>        the same text with the cosignatures of a quorum; created once, when there is one
    checkpoint             the pointer: shows the cosigned note as soon as there is one of its size

Nothing waits for a witness: sealing is over before one is asked. What was not cosigned this time is asked
for by the next run, then for a newer size.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from tasks.errors import AlreadyExistsError, VerificationError
from tasks.evidence import paths
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.note import CosignatureVerifier, cosigned_at
from tasks.evidence.policy import Policy
from tasks.evidence.reasons import CHECKPOINT_BEYOND_LIMIT
from tasks.evidence.tiles import TileReader
from tasks.log import reader
from tasks.storage.protocol import ObjectStore
from tasks.witness.client import Cosignature, Post, ask


@dataclass(frozen=True, slots=True)
class Witnessed:
    """How far witnesses vouch for a shard.

    Attributes:
        size: entries under the newest checkpoint that a quorum has cosigned; None without one.
        at: Unix seconds from which on a quorum has cosigned it.
        problems: by witness, why it did not cosign the newest checkpoint this time.
        contradicted: some witness has seen another history.
    """

    size: int | None
    at: int | None
    problems: Mapping[str, str]
    contradicted: bool = False


def cosign(
    store: ObjectStore,
    year: int,
    policy: Policy,
    posts: Mapping[str, Post],
    retain_until: datetime,
    *,
    renew_before: int = 0,
) -> Witnessed:
    """Have the newest checkpoint of a shard cosigned, unless it is.

    Args:
        store: where the log is.
        year: the shard.
        policy: trusts this log's key; its witnesses are those that may be asked.
        posts: how each of them is reached, by its name in the policy.
        retain_until: of what is stored.
        renew_before: Unix seconds; a cosigned checkpoint is shown to the witnesses again when they saw it
            earlier, so that a log without news stays fresh. Only the pointer then changes.

    Raises:
        VerificationError: the log's newest checkpoint is not signed as the policy asks.
    """
    note = reader.newest_note(store, year)
    if note is None:
        return Witnessed(None, None, {})
    checkpoint = policy.open_signed(note)
    state = witnessed(store, year, policy)
    if state.size == checkpoint.size and (state.at or 0) >= renew_before:
        _point(store, year, policy)
        return state
    answers = _ask_all(store, year, policy, posts, checkpoint)
    problems = {name: answer.problem for name, answer in answers.items() if not answer.line}
    signed = store.read(paths.checkpoint_at(year, checkpoint.size))
    cosigned = signed + "".join(answer.line for answer in answers.values()).encode()
    if policy.witnessed_at(cosigned) is not None:
        with suppress(AlreadyExistsError):
            store.create(paths.cosigned_at(year, checkpoint.size), cosigned, retain_until=retain_until)
        store.replace(paths.checkpoint(year), cosigned)
    state = witnessed(store, year, policy)
    ahead = max((answer.ahead for answer in answers.values()), default=0)
    # A runner that was faster has put into the store what the witness saw; a log that was set back has not.
    contradicted = ahead > reader.integrated(store, year) or any(a.contradiction for a in answers.values())
    return Witnessed(state.size, state.at, problems, contradicted)


def witnessed(store: ObjectStore, year: int, policy: Policy) -> Witnessed:
    """How far witnesses vouch for a shard, by what is stored."""
    newest = newest_witnessed(store, year, policy)
    return Witnessed(newest[1], newest[2], {}) if newest else Witnessed(None, None, {})


def newest_witnessed(store: ObjectStore, year: int, policy: Policy) -> tuple[bytes, int, int] | None:
    """The newest note that a quorum has cosigned, its size, and when in Unix seconds.

    Of the stored note and the pointer to the same tree, the one that was seen later. What lies beyond the size
    at which a log was given up is passed over.
    """
    for stored in reader.cosigned_notes(store, year):
        try:
            checkpoint = policy.open_signed(stored)
        except VerificationError as error:
            if error.reason == CHECKPOINT_BEYOND_LIMIT:
                continue
            raise
        pointer = store.read(paths.checkpoint(year))
        notes = [stored, pointer] if _shows(policy, pointer, checkpoint) else [stored]
        times = [(at, note) for note in notes if (at := policy.witnessed_at(note)) is not None]
        return (max(times)[1], checkpoint.size, max(times)[0]) if times else None
    return None


def _shows(policy: Policy, note: bytes, checkpoint: Checkpoint) -> bool:
    try:
        return policy.open_signed(note) == checkpoint
    except VerificationError:
        return False


def _ask_all(
    store: ObjectStore,
    year: int,
    policy: Policy,
    posts: Mapping[str, Post],
    checkpoint: Checkpoint,
) -> dict[str, Cosignature]:
    note = store.read(paths.checkpoint_at(year, checkpoint.size))
    last = newest_witnessed(store, year, policy)
    cosigners = set() if last is None else set(cosigned_at(last[0], list(policy.witnesses.values())))
    proof = TileReader(reader.tile_source(store, year), checkpoint.size).consistency_proof

    def one(name: str, key: CosignatureVerifier) -> Cosignature:
        return ask(posts[name], key, checkpoint, note, proof, last[1] if last and key in cosigners else 0)

    keys = {name: key for name, key in policy.witnesses.items() if name in posts}
    if not keys:
        return {}
    with ThreadPoolExecutor(len(keys), thread_name_prefix="witness") as pool:
        asked = {name: pool.submit(partial(one, name, key)) for name, key in keys.items()}
        return {name: answer.result() for name, answer in asked.items()}


def _point(store: ObjectStore, year: int, policy: Policy) -> None:
    """Let the pointer show the cosigned note, where another run has put the plain one."""
    newest = newest_witnessed(store, year, policy)
    if newest is not None and store.read(paths.checkpoint(year)) != newest[0]:
        store.replace(paths.checkpoint(year), newest[0])
