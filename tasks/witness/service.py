"""A witness: decide, remember, then sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tasks.evidence.note import CosignatureSigner
from tasks.witness.decision import OK, Logs, Refused, judge, read_claim
from tasks.witness.memory import Contradiction, Memory


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    body: bytes
    content_type: str


class Witness:
    """Answers `add-checkpoint`; any number of threads may call it."""

    def __init__(
        self,
        signer: CosignatureSigner,
        memory: Memory,
        logs: Callable[[], Logs],
        clock: Callable[[], float],
    ) -> None:
        """Put a witness together.

        Args:
            signer: the witness's own key.
            memory: what it has cosigned.
            logs: trusted keys by origin; asked anew for each request, since logs are added at each new year.
            clock: Unix seconds.
        """
        self._signer, self._memory, self._logs, self._clock = signer, memory, logs, clock

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer one request."""
        claim = read_claim(body, self._logs())
        if isinstance(claim, Refused):
            return Answer(claim.status, claim.body, claim.content_type)
        while True:
            seen = self._memory.seen(claim.checkpoint.origin)
            verdict = judge(claim, seen)
            now = int(self._clock())
            if isinstance(verdict, Refused):
                if verdict.contradiction and seen is not None:
                    kept = Contradiction(claim.checkpoint.origin, now, seen.note, claim.request.note)
                    self._memory.keep(kept)
                return Answer(verdict.status, verdict.body, verdict.content_type)
            if self._memory.advance(seen, claim):
                line = self._signer.sign(claim.checkpoint.text(), now)
                return Answer(OK, line.encode(), "text/plain; charset=utf-8")
