"""What all keys have in common that sign elsewhere: their answers are not believed, but verified."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tasks.errors import KeyUnavailableError

_UNFIT: Final = (
    "Do not deliver. Find out what stands behind this key: it is not the Ed25519 key that was found."
)


class RemoteKey:
    """A key that a service or a module signs with.

    Args:
        place: where it is, for messages.
        public_key: 32 bytes, as it was found there.
        sign: the signature over a message, RFC 8032 PureEdDSA.

    Raises:
        KeyUnavailableError: `public_key` is no Ed25519 key.
    """

    def __init__(self, place: str, public_key: bytes, sign: Callable[[bytes], bytes]) -> None:
        self._place, self._sign = place, sign
        try:
            self._public_key = Ed25519PublicKey.from_public_bytes(public_key)
        except ValueError:
            raise KeyUnavailableError(f"{place} is not an Ed25519 key", next_step=_UNFIT) from None

    def public_key(self) -> Ed25519PublicKey:
        """See `tasks.evidence.note.SigningKey`."""
        return self._public_key

    def sign(self, data: bytes, /) -> bytes:
        """See `tasks.evidence.note.SigningKey`.

        Raises:
            KeyUnavailableError: nobody signs, or the signature is not this key's.
        """
        signature = self._sign(data)
        try:
            self._public_key.verify(signature, data)
        except InvalidSignature:
            raise KeyUnavailableError(
                f"{self._place} gave a signature that its public key does not verify", next_step=_UNFIT
            ) from None
        return signature
