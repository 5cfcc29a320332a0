"""Signing keys in files: PKCS#8 PEM (RFC 5958), encrypted when there is a passphrase."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.errors import KeyUnavailableError
from tasks.keyring.private_files import read_private, write_new
from tasks.keyring.protocol import KEY_BYTES

SIGNING_FILE: Final = "signing-{}.pem"


class SigningFiles:
    """One file a key, `signing-<label>.pem`.

    Args:
        directory: holds the files; only its owner may read them.
        passphrase: encrypts new keys and opens encrypted ones.
        random_bytes: source of key material; tests may pass a fixed one.
    """

    def __init__(
        self,
        directory: Path,
        passphrase: bytes | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._directory, self._passphrase, self._random_bytes = directory, passphrase, random_bytes

    def find(self, label: str) -> Ed25519PrivateKey | None:
        """See `tasks.keyring.SigningKeys`."""
        path = self._path(label)
        return _parse(path, self._passphrase) if path.exists() else None

    def create(self, label: str) -> Ed25519PrivateKey:
        """See `tasks.keyring.SigningKeys`."""
        key = Ed25519PrivateKey.from_private_bytes(self._random_bytes(KEY_BYTES))
        write_new(self._path(label), _pem(key, self._passphrase))
        return _parse(self._path(label), self._passphrase)

    def _path(self, label: str) -> Path:
        return self._directory / SIGNING_FILE.format(label)


def _pem(key: Ed25519PrivateKey, passphrase: bytes | None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _parse(path: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    pem = read_private(path)
    try:
        key = serialization.load_pem_private_key(pem, passphrase if b"ENCRYPTED" in pem else None)
    except TypeError:
        raise KeyUnavailableError(
            f"the signing key {path} is encrypted and no passphrase was given",
            next_step="Give the passphrase of the signing key in the settings.",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyUnavailableError(
            f"the signing key {path} cannot be decoded: wrong passphrase or damaged file",
            next_step="Check the passphrase, or restore the file from your key backup.",
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnavailableError(
            f"the signing key {path} is not an Ed25519 key",
            next_step="Restore the file that the keyring was created with.",
        )
    return key
