"""The part of a log that may be shown to others: entries under its newest checkpoint, checked against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.errors import VerificationError
from tasks.evidence import merkle
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.note import NoteVerifier
from tasks.evidence.tiles import TileReader
from tasks.log import reader
from tasks.storage.protocol import ObjectStore

VerifierOf = Callable[[int], NoteVerifier]


@dataclass(frozen=True, slots=True)
class SignedLog:
    """One year's log as its newest checkpoint shows it.

    Attributes:
        year: the shard.
        checkpoint: opened under our own key.
        note: the signed checkpoint, verbatim.
        verifier: the key that signed it.
        tiles: reads the log up to the checkpoint.
    """

    year: int
    checkpoint: Checkpoint
    note: bytes
    verifier: NoteVerifier
    tiles: TileReader

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


def open_log(store: ObjectStore, year: int, verifier: NoteVerifier) -> SignedLog | None:
    """The log of a year, or None when nothing was signed yet.

    Raises:
        VerificationError: its newest checkpoint is not signed by `verifier`.
    """
    newest = reader.newest_checkpoint(store, year, verifier)
    if newest is None:
        return None
    checkpoint, note = newest
    tiles = TileReader(reader.tile_source(store, year), checkpoint.size)
    return SignedLog(year, checkpoint, note, verifier, tiles)


def open_logs(store: ObjectStore, verifier_of: VerifierOf) -> list[SignedLog]:
    """The logs of all years that have a checkpoint, oldest first."""
    opened = (open_log(store, year, verifier_of(year)) for year in reader.shards(store))
    return [log for log in opened if log is not None]
