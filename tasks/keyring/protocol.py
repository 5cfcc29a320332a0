"""The interfaces between the pipeline and whoever keeps the keys.

Callers name a purpose and an epoch, or a log, and never see how the key was made. Where signing keys are kept
is a matter of its own, `SigningKeys`: files, a key management service, a hardware module.
"""

from __future__ import annotations

from typing import Literal, Protocol

from tasks.evidence.note import NoteSigner, SigningKey

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
        """The newest key of the log whose origin is `name`.

        Raises:
            KeyUnavailableError: there is no such key, or it cannot be had.
        """
        ...

    def signers(self, name: str) -> tuple[NoteSigner, ...]:
        """All keys that the log was given since it began, oldest first; raises as `signer`."""
        ...

    def new_signer(self, name: str, number: int = 0) -> NoteSigner:
        """Key `number` of a log, 0 being the one that it begins with; made if there is none."""
        ...


class SigningKeys(Protocol):
    """Where signing keys are kept, by label (letters, digits, `.`, `_`, `-`)."""

    def find(self, label: str) -> SigningKey | None:
        """The key, or None if there is none.

        Raises:
            KeyUnavailableError: it cannot be had, or it is no Ed25519 key.
            KeyServiceUnreachableError: nobody answers now.
        """
        ...

    def create(self, label: str) -> SigningKey:
        """The key, made if there is none; raises as `find`."""
        ...
