"""The body of `add-checkpoint`: old size, consistency proof, blank line, checkpoint note.

C2SP tlog-witness, "add-checkpoint". Functions raise `ValueError`: both sides know what that means to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tasks.evidence.encoding import decode_decimal, decode_hash, encode_base64

MAX_REQUEST_BYTES: Final = 1 << 16
MAX_PROOF_LINES: Final = 63
SIZE_CONTENT_TYPE: Final = "text/x.tlog.size"

_OLD: Final = "old "


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """One request; nothing in it is verified.

    Attributes:
        old_size: size that the witness is thought to have cosigned last; 0 for none.
        proof: consistency proof from `old_size` to the checkpoint's size.
        note: the signed checkpoint.
    """

    old_size: int
    proof: Sequence[bytes]
    note: bytes

    def encode(self) -> bytes:
        """The body."""
        lines = [f"{_OLD}{self.old_size}", *map(encode_base64, self.proof), "", ""]
        return "\n".join(lines).encode("ascii") + self.note


def parse_request(body: bytes) -> AddCheckpoint:
    """The request that a body spells.

    Raises:
        ValueError: it breaks the form or a limit.
    """
    if len(body) > MAX_REQUEST_BYTES:
        raise ValueError(f"the body is longer than {MAX_REQUEST_BYTES} bytes")
    head, separator, note = body.partition(b"\n\n")
    first, *proof = head.decode("ascii").split("\n")
    if not separator or not first.startswith(_OLD) or len(proof) > MAX_PROOF_LINES:
        raise ValueError(f"expected `old <size>`, at most {MAX_PROOF_LINES} hashes, a blank line and a note")
    return AddCheckpoint(decode_decimal(first.removeprefix(_OLD)), tuple(map(decode_hash, proof)), note)
