"""C2SP tlog-proof: an inclusion proof of one entry and its checkpoint as one text file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tasks.evidence.encoding import decode_base64, decode_decimal, decode_hash, encode_base64
from tasks.evidence.reasons import MALFORMED_PROOF, failure

MAX_PROOF_BYTES: Final = 32 << 20
MAX_HASHES: Final = 63

_MAGIC: Final = "c2sp.org/tlog-proof@v1"
_EXTRA: Final = "extra "
_INDEX: Final = "index "


@dataclass(frozen=True, slots=True)
class TlogProof:
    """One proof file.

    Attributes:
        index: the entry's index in the log.
        path: inclusion proof, from the leaf's sibling up.
        checkpoint: the signed note, verbatim.
        extra: bytes that no signature covers, or None.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The file's bytes."""
        extra = [] if self.extra is None else [_EXTRA + encode_base64(self.extra)]
        lines = [_MAGIC, *extra, f"{_INDEX}{self.index}", *map(encode_base64, self.path), "", ""]
        return "\n".join(lines).encode("ascii") + self.checkpoint


def parse_tlog_proof(data: bytes) -> TlogProof:
    """The proof that `data` spells; nothing in it is verified yet.

    Raises:
        VerificationError: `malformed-proof`.
    """
    if len(data) > MAX_PROOF_BYTES:
        raise failure(MALFORMED_PROOF, f"longer than {MAX_PROOF_BYTES} bytes")
    head, separator, checkpoint = data.partition(b"\n\n")
    try:
        magic, *lines = head.decode("ascii").split("\n")
        extra = decode_base64(lines.pop(0).removeprefix(_EXTRA)) if lines[0].startswith(_EXTRA) else None
        index_line, *hashes = lines
        proof = TlogProof(
            index=decode_decimal(index_line.removeprefix(_INDEX)),
            path=tuple(map(decode_hash, hashes)),
            checkpoint=checkpoint,
            extra=extra,
        )
    except (ValueError, IndexError) as error:
        raise failure(MALFORMED_PROOF, "a line is not the base64, index or hash that it should be") from error
    fits = magic == _MAGIC and index_line.startswith(_INDEX) and separator and len(hashes) <= MAX_HASHES
    if not fits:
        raise failure(MALFORMED_PROOF, f"not a {_MAGIC} file")
    return proof
