"""The interface between the pipeline and whoever keeps the keys.

A keyring that stands on a key management service implements the same three methods; callers name a
purpose and an epoch and never see how the key was made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from tasks.evidence.note import NoteSigner

KEY_BYTES = 32

Purpose = Literal["pseudonym", "quarantine", "fingerprint", "salt"]


class Keyring(Protocol):
    """Keys by purpose and epoch, and signers by name."""

    def secret(self, purpose: Purpose, epoch: str = "") -> bytes:
        """The key of `purpose` for `epoch` (`YYYY-MM`, or empty for a key that is not rotated).

        Returns:
            32 bytes; always the same for the same arguments.

        Raises:
            KeyUnavailableError: the key was destroyed or cannot be had.
        """
        ...

    def key_id(self, purpose: Purpose, epoch: str = "") -> str:
        """The public name of a key, for example `pseudonym/2026-11`; safe to seal and to print."""
        ...

    def signer(self, name: str) -> NoteSigner:
        """The signer of the log whose origin is `name`.

        Raises:
            KeyUnavailableError: there is no such key, or it cannot be had.
        """
        ...

    def new_signer(self, name: str) -> NoteSigner:
        """The signer of a log that begins now; its key is made if there is none."""
        ...
