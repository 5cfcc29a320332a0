"""What a witness answers: a pure function of the request, the keys it trusts and what it cosigned last.

C2SP tlog-witness, "add-checkpoint". Nothing is stored or signed here: `Accepted` says what may be, once
the memory has been advanced from exactly the state that the decision was made on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.errors import VerificationError
from tasks.evidence.checkpoint import Checkpoint, parse_checkpoint
from tasks.evidence.merkle import EMPTY_ROOT, verify_consistency
from tasks.evidence.note import NoteVerifier, open_note
from tasks.evidence.reasons import CHECKPOINT_SIGNATURE_BAD, CHECKPOINT_UNKNOWN_KEY
from tasks.witness.request import SIZE_CONTENT_TYPE, AddCheckpoint, parse_request

OK, BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT, UNPROCESSABLE = 200, 400, 403, 404, 409, 422

Logs = Mapping[str, Sequence[NoteVerifier]]


@dataclass(frozen=True, slots=True)
class Seen:
    """The checkpoint that the witness cosigned last for an origin, and its note."""

    checkpoint: Checkpoint
    note: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """A request whose checkpoint is signed by a trusted key of its origin."""

    request: AddCheckpoint
    checkpoint: Checkpoint

    @property
    def seen(self) -> Seen:
        """What the witness has seen last, once it accepts this."""
        return Seen(self.checkpoint, self.request.note)


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer without a cosignature.

    Attributes:
        status: of HTTP.
        body: for the client; of a conflict, the size that the witness knows.
        contradiction: the signed checkpoint does not continue the one that the witness cosigned, so both
            notes are kept.
    """

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    contradiction: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """The claim continues what was seen; it may be cosigned after it is stored."""

    claim: Claim


def read_claim(body: bytes, logs: Logs) -> Claim | Refused:
    """Parse a request and check who signed its checkpoint.

    Args:
        body: of the request.
        logs: trusted keys by origin.
    """
    try:
        request = parse_request(body)
        claimed = _claimed(request.note)
    except (ValueError, VerificationError) as error:
        return _refused(BAD_REQUEST, f"malformed request: {error}")
    keys = logs.get(claimed.origin)
    if not keys:
        return _refused(NOT_FOUND, "the origin is unknown here")
    try:
        open_note(request.note, keys)
    except VerificationError as error:
        forbidden = error.reason in {CHECKPOINT_UNKNOWN_KEY, CHECKPOINT_SIGNATURE_BAD}
        return _refused(FORBIDDEN if forbidden else BAD_REQUEST, str(error))
    if request.old_size > claimed.size:
        return _refused(BAD_REQUEST, "the old size is larger than the checkpoint's")
    return Claim(request, claimed)


def judge(claim: Claim, seen: Seen | None) -> Accepted | Refused:
    """Whether a claim continues what the witness has seen.

    Args:
        claim: of a trusted log.
        seen: of the same origin; None when nothing of it was cosigned yet.
    """
    new, old = (
        claim.checkpoint,
        seen.checkpoint if seen else Checkpoint(claim.checkpoint.origin, 0, EMPTY_ROOT),
    )
    if new.size == old.size and new.root != old.root:
        return _refused(
            UNPROCESSABLE, "another root of this size was cosigned before", contradiction=bool(seen)
        )
    if claim.request.old_size != old.size:
        return Refused(CONFLICT, b"%d\n" % old.size, SIZE_CONTENT_TYPE)
    try:
        _check_growth(old, new, claim.request.proof)
    except VerificationError as error:
        return _refused(UNPROCESSABLE, str(error), contradiction=bool(seen))
    return Accepted(claim)


def _check_growth(old: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> None:
    if old.size == 0:
        # Every tree begins with the empty one: there is nothing to prove, and nothing may be sent as proof.
        if proof:
            raise VerificationError("consistency-proof-bad", "a proof from size 0 must be empty")
        return
    verify_consistency(old.size, new.size, proof, old.root, new.root)


def _claimed(note: bytes) -> Checkpoint:
    text, separator, _ = note.rpartition(b"\n\n")
    return parse_checkpoint((text + separator[:1]).decode("utf-8"))


def _refused(status: int, sentence: str, *, contradiction: bool = False) -> Refused:
    return Refused(status, sentence.encode() + b"\n", contradiction=contradiction)
