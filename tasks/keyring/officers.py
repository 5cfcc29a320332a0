"""Keys of the officers who together may have pseudonyms turned back: one that signs, one that opens, in a PEM file.

What is released is wrapped twice, for the second officer and around that for the first (HPKE, RFC 9180, base mode:
DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM). So neither reads it alone, and what the first passes on is
still closed to everybody but the second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tasks.errors import KeyUnavailableError, UsageError
from tasks.keyring.private_files import read_private, write_new

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_BLOCK: Final = re.compile(rb"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----\n?", re.DOTALL)
_NAME: Final = re.compile(rb"officer: ([a-z0-9-]{1,40})\n")
_DOMAIN: Final = b"indelible/1/release/"


@dataclass(frozen=True, slots=True)
class OfficerKey:
    """An officer's private keys, and the name under which they are enrolled."""

    name: str
    signing: Ed25519PrivateKey
    opening: X25519PrivateKey

    @property
    def sign_key(self) -> str:
        """The public key that checks signatures, in hex."""
        return self.signing.public_key().public_bytes_raw().hex()

    @property
    def open_key(self) -> str:
        """The public key for which releases are wrapped, in hex."""
        return self.opening.public_key().public_bytes_raw().hex()

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """What `wrap` made for this officer; one layer.

        Raises:
            KeyUnavailableError: it was made for somebody else, in another context, or changed.
        """
        try:
            return _SUITE.decrypt(wrapped, self.opening, _DOMAIN + context)
        except (InvalidTag, ValueError):
            raise KeyUnavailableError(
                "this key does not open the release: it is for another officer, or was changed",
                next_step="The officers open it in the order in which it names them.",
            ) from None


def wrap(data: bytes, open_key: str, context: bytes) -> bytes:
    """`data` for the officer of `open_key`; only together with `context` does it open."""
    return _SUITE.encrypt(data, X25519PublicKey.from_public_bytes(bytes.fromhex(open_key)), _DOMAIN + context)


def check_open_key(open_key: str) -> None:
    """Refuse a public key for which nothing can be wrapped: a point of low order (RFC 7748, section 6.1).

    Args:
        open_key: 64 hex digits.

    Raises:
        UsageError: an exchange with it, by a key made for that, gives zero.
    """
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(open_key)))
    except ValueError:
        raise UsageError(
            "the open key is no X25519 public key for which a release could be wrapped",
            next_step="Give the open key that `indelible officer keys` showed.",
        ) from None


def create(path: Path, name: str, passphrase: bytes | None) -> OfficerKey:
    """Make an officer's keys, and write them into a new private file, with the name in its first line (RFC 7468).

    Raises:
        UsageError: the file is there, or cannot be written; or the name is no officer's.
    """
    header = f"officer: {name}\n".encode()
    if _NAME.fullmatch(header) is None:
        raise UsageError("an officer's name has 1 to 40 of a-z, 0-9 and -", next_step="Choose another name.")
    key = OfficerKey(name, Ed25519PrivateKey.generate(), X25519PrivateKey.generate())
    encryption: KeySerializationEncryption = (
        BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    )
    if path.exists():
        raise UsageError(f"{path} exists already", next_step="Give -o another name.")
    blocks = [
        part.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        for part in (key.signing, key.opening)
    ]
    try:
        write_new(path, b"".join([header, *blocks]))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", next_step="Give -o a directory that you may write."
        ) from error
    return key


def read(path: Path, passphrase: bytes | None) -> OfficerKey:
    """An officer's keys from their file.

    Raises:
        KeyUnavailableError: it cannot be read, is no such file, or the passphrase is another one.
    """
    data = read_private(path)
    name = _NAME.match(data)
    try:
        keys = [load_pem_private_key(block, passphrase) for block in _BLOCK.findall(data)]
    except (ValueError, TypeError):
        keys = []
    match keys, name:
        case [Ed25519PrivateKey() as signing, X25519PrivateKey() as opening], re.Match():
            return OfficerKey(name[1].decode(), signing, opening)
    raise KeyUnavailableError(
        f"{path} holds no officer's keys that open with this passphrase",
        next_step="Give --key the file that `indelible officer keys` wrote, and its --passphrase-file.",
    )
