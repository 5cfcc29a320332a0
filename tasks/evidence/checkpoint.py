"""Checkpoints: C2SP tlog-checkpoint, the three lines that a log signs. No extension lines."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.evidence.encoding import decode_decimal, decode_hash, encode_base64
from tasks.evidence.reasons import MALFORMED_CHECKPOINT, failure


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself at one size.

    Attributes:
        origin: the log's identity, for example `audit.example/acme/2026`.
        size: number of entries.
        root: 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text to sign."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text spells.

    Raises:
        VerificationError: `malformed-checkpoint`.
    """
    try:
        origin, size, root, end = text.split("\n")
        checkpoint = Checkpoint(origin, decode_decimal(size), decode_hash(root))
    except ValueError as error:
        raise failure(MALFORMED_CHECKPOINT, "expected the lines origin, size and root hash") from error
    if not origin or end:
        raise failure(MALFORMED_CHECKPOINT, "the origin is empty or the text does not end in a newline")
    return checkpoint
