"""The part of a log that may be shown to others: entries under its newest checkpoint, checked against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.errors import VerificationError
from tasks.evidence import merkle
from tasks.evidence.checkpoint import Checkpoint, parse_checkpoint
from tasks.evidence.note import NoteVerifier, cosigned_at, open_note
from tasks.evidence.policy import Policy
from tasks.evidence.tiles import TileReader
from tasks.log import reader
from tasks.log.cosign import newest_witnessed
from tasks.storage.protocol import ObjectStore

VerifiersOf = Callable[[int], Sequence[NoteVerifier]]


@dataclass(frozen=True, slots=True)
class SignedLog:
    """One year's log as its newest checkpoint shows it.

    Attributes:
        year: the shard.
        checkpoint: opened under our own key.
        note: the signed checkpoint, verbatim.
        verifier: the key that signed it; the newest, if there are two.
        verifiers: all keys that signed this log since it began.
        tiles: reads the log up to the checkpoint.
        cosigners: the policy's witnesses that cosigned the note.
    """

    year: int
    checkpoint: Checkpoint
    note: bytes
    verifier: NoteVerifier
    verifiers: tuple[NoteVerifier, ...]
    tiles: TileReader
    cosigners: tuple[NoteVerifier, ...] = ()

    def entries(self) -> Sequence[bytes]:
        """All entries, in order.

        Raises:
            VerificationError: they are not those that the checkpoint was signed over.
        """
        entries = list(self.tiles.entries())
        if merkle.root(merkle.leaf_hashes(entries)) != self.checkpoint.root:
            raise VerificationError(
                "root-mismatch",
                f"the entries of log/{self.year} do not give the root of its newest checkpoint",
                next_step="Run `indelible verify`: the log was damaged or changed.",
            )
        return entries


def open_log(
    store: ObjectStore, year: int, verifiers: Sequence[NoteVerifier], witnesses: Policy | None = None
) -> SignedLog | None:
    """The log of a year, or None when nothing was signed yet.

    Args:
        store: where the log lies.
        year: the shard.
        verifiers: the log's keys.
        witnesses: a policy; when it asks for witnesses, their newest checkpoint is taken, not the log's own.

    Raises:
        VerificationError: its newest checkpoint is signed by none of `verifiers`.
    """
    if witnesses is not None and witnesses.asks_for_witnesses:
        witnessed = newest_witnessed(store, year, witnesses)
        note = None if witnessed is None else witnessed[0]
    else:
        note = reader.newest_note(store, year)
    if note is None:
        return None
    checkpoint = parse_checkpoint(open_note(note, verifiers).text)
    tiles = TileReader(reader.tile_source(store, year), checkpoint.size)
    verifier = open_note(note, verifiers).signers[-1]
    cosigners = tuple(cosigned_at(note, list(witnesses.witnesses.values()))) if witnesses is not None else ()
    return SignedLog(year, checkpoint, note, verifier, tuple(verifiers), tiles, cosigners)


def open_logs(
    store: ObjectStore, verifiers_of: VerifiersOf, witnesses: Policy | None = None
) -> list[SignedLog]:
    """The logs of all years that have a checkpoint, oldest first; see `open_log`."""
    opened = (open_log(store, year, verifiers_of(year), witnesses) for year in reader.shards(store))
    return [log for log in opened if log is not None]
