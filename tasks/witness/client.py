"""The log's side: ask one witness for a cosignature, and believe only what its key has signed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tasks.errors import StoreUnavailableError, VerificationError
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.encoding import decode_decimal
from tasks.evidence.note import CosignatureVerifier, cosigned_at
from tasks.witness.decision import CONFLICT, OK, UNPROCESSABLE
from tasks.witness.request import AddCheckpoint
from tasks.witness.service import Answer

Post = Callable[[bytes], Answer]

_ATTEMPTS: Final = 3  # another runner of this log may have been there first


@dataclass(frozen=True, slots=True)
class Cosignature:
    """What came of asking a witness.

    Attributes:
        line: signature line with its newline; empty when there is none.
        problem: why there is none, for people.
        contradiction: the witness has seen another history than this log's: an alarm and no outage.
        ahead: size that the witness has seen, where that is more than it was shown: another runner of this log
            was faster, or this log was set back.
    """

    line: str = ""
    problem: str = ""
    contradiction: bool = False
    ahead: int = 0


_CONTRADICTED: Final = Cosignature(problem="it has seen another history of this log", contradiction=True)


def ask(
    post: Post,
    key: CosignatureVerifier,
    checkpoint: Checkpoint,
    note: bytes,
    proof: Callable[[int], Sequence[bytes]],
    old_size: int,
) -> Cosignature:
    """Ask a witness to cosign a checkpoint.

    Args:
        post: sends a body to the witness's `add-checkpoint`; raises `StoreUnavailableError`.
        key: the witness's.
        checkpoint: what to cosign.
        note: the same, signed by the log.
        proof: consistency proof from a size to the checkpoint's.
        old_size: what the witness is known to have cosigned, or 0; it tells what it has seen since.
    """
    for _ in range(_ATTEMPTS):
        hashes = proof(old_size) if 0 < old_size < checkpoint.size else ()
        try:
            answer = post(AddCheckpoint(old_size, hashes, note).encode())
        except StoreUnavailableError as error:
            return Cosignature(problem=str(error))
        if answer.status == OK:
            return _checked(answer.body, key, note)
        if answer.status == UNPROCESSABLE:
            return _CONTRADICTED
        if answer.status != CONFLICT:
            return Cosignature(problem=f"it answered {answer.status}")
        try:
            known = decode_decimal(answer.body.decode("ascii").removesuffix("\n"))
        except ValueError:
            return Cosignature(problem="it answered a conflict without a size")
        if known > checkpoint.size:
            problem = f"it has seen {known} entries, and this log shows {checkpoint.size}"
            return Cosignature(problem=problem, ahead=known)
        if known < old_size:
            problem = (
                f"it has forgotten that it cosigned {old_size} entries: it was set back or lost its memory"
            )
            return Cosignature(problem=problem, contradiction=True)
        if known == old_size:  # so it is the root that does not please: tlog-witness before 1.1.0
            return _CONTRADICTED
        old_size = known
    return Cosignature(problem="other requests for this log were always faster")


def _checked(body: bytes, key: CosignatureVerifier, note: bytes) -> Cosignature:
    """The line of an answer that the witness's key signed; other lines are not looked at."""
    text = note[: note.rindex(b"\n\n") + 2]
    for line in body.decode("utf-8", "replace").splitlines(keepends=True):
        try:
            if cosigned_at(text + line.encode(), [key]):
                return Cosignature(line)
        except VerificationError:
            continue
    return Cosignature(problem="its answer bears no cosignature of its key")
