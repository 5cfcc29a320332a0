"""Signing keys in a hardware security module, through PKCS#11 v3 (CKK_EC_EDWARDS, CKM_EDDSA without context).

Needs the extra `hsm` (python-pkcs11) and the vendor's module. A key is a pair of token objects with one label;
the private one is sensitive and cannot be extracted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

import pkcs11

from tasks.errors import KeyServiceUnreachableError, KeyUnavailableError
from tasks.keyring.remote import RemoteKey

_CURVE: Final = bytes.fromhex("06032b6570")  # DER: the object identifier id-Ed25519, RFC 8410
_POINT_HEADER: Final = b"\x04\x20"  # DER: OCTET STRING of 32 bytes


class Pkcs11Keys:
    """Keys of one token.

    Args:
        module: the vendor's shared library.
        token: label of the token.
        pin: of its user.

    Raises:
        KeyUnavailableError: the module cannot be loaded.
    """

    def __init__(self, module: Path, token: str, pin: str) -> None:
        self._token, self._pin = token, pin
        self._one_session = Lock()
        try:
            self._library = pkcs11.lib(str(module))
        except (pkcs11.PKCS11Error, RuntimeError):
            raise KeyUnavailableError(
                f"the PKCS#11 module {module} cannot be loaded", next_step="Check [keys.pkcs11] module."
            ) from None

    def find(self, label: str) -> RemoteKey | None:
        """See `tasks.keyring.SigningKeys`."""
        with self._session() as session:
            found = list(session.get_objects(_attributes(label, pkcs11.ObjectClass.PUBLIC_KEY)))
            points = [bytes(key[pkcs11.Attribute.EC_POINT]) for key in found]
        if not points:
            return None
        if len(points) > 1:
            raise KeyUnavailableError(
                f"the token has {len(points)} keys with the label {label}",
                next_step="Remove or rename those that did not sign this log; compare with `indelible key list`.",
            )
        return RemoteKey(
            f"the PKCS#11 key {label}",
            points[0].removeprefix(_POINT_HEADER),
            lambda data: self._sign(label, data),
        )

    def create(self, label: str) -> RemoteKey:
        """See `tasks.keyring.SigningKeys`."""
        key = self.find(label)
        if key is not None:
            return key
        with self._session(writes=True) as session:
            curve = {pkcs11.Attribute.EC_PARAMS: _CURVE}
            parameters = session.create_domain_parameters(pkcs11.KeyType.EC_EDWARDS, curve, local=True)
            parameters.generate_keypair(
                mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                store=True,
                label=label,
                private_template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
            )
        made = self.find(label)
        if made is None:
            raise KeyUnavailableError(
                f"the token did not keep the key {label}", next_step="Check that the token may be written."
            )
        return made

    def _sign(self, label: str, data: bytes) -> bytes:
        with self._session() as session:
            keys = list(session.get_objects(_attributes(label, pkcs11.ObjectClass.PRIVATE_KEY)))
            if not keys:
                raise KeyUnavailableError(
                    f"the token has no private key {label}", next_step="Restore it from the module's backup."
                )
            return bytes(keys[0].sign(data, mechanism=pkcs11.Mechanism.EDDSA))

    @contextmanager
    def _session(self, *, writes: bool = False) -> Iterator[Any]:
        """A session of our own, as a login is one for the whole process; its failures are ours."""
        with self._one_session:
            try:
                with self._library.get_token(token_label=self._token).open(
                    user_pin=self._pin, rw=writes
                ) as session:
                    yield session
            except pkcs11.PKCS11Error as error:
                raise _failure(error) from None


def _failure(error: Exception) -> KeyUnavailableError:
    gone = (pkcs11.DeviceError, pkcs11.DeviceRemoved, pkcs11.TokenNotPresent, pkcs11.NoSuchToken)
    kind = KeyServiceUnreachableError if isinstance(error, gone) else KeyUnavailableError
    return kind(
        f"the PKCS#11 token refuses ({type(error).__name__})",
        next_step="Check [keys.pkcs11] token and pin, and that the module is there; nothing was signed.",
    )


def _attributes(label: str, kind: Any) -> dict[Any, Any]:
    return {
        pkcs11.Attribute.CLASS: kind,
        pkcs11.Attribute.LABEL: label,
        pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.EC_EDWARDS,
    }
