"""A keyring in a directory: a root secret, and one Ed25519 signing key a log, readable by their owner only.

Keys of a purpose and an epoch are derived from the root secret with HKDF-SHA256 (RFC 5869), so that
nothing has to be written when a new month begins. Signing keys are PKCS#8 PEM (RFC 5958). Each log has
its own, because a C2SP tlog-policy may not name one key under two origins.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tasks.errors import KeyUnavailableError
from tasks.keyring.protocol import KEY_BYTES, Purpose

if TYPE_CHECKING:
    from tasks.evidence.note import NoteSigner

ROOT_FILE: Final = "root.key"
SIGNING_FILE: Final = "signing-{}.pem"
_INFO: Final = "indelible/1/"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
# Both files are far smaller; whatever is larger is not one of them.
_MAX_KEY_FILE: Final = 16_384


class FileKeyring:
    """The keys in one directory.

    Args:
        directory: holds `root.key` and `signing-<log>.pem`; only its owner may read them.
        passphrase: encrypts new signing keys and opens encrypted ones.
        random_bytes: source of key material; tests may pass a fixed one.

    Raises:
        KeyUnavailableError: a file is missing, readable by others, damaged, or the passphrase is wrong.
    """

    def __init__(
        self,
        directory: Path,
        passphrase: bytes | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._directory, self._passphrase, self._random_bytes = directory, passphrase, random_bytes
        self._root = _parse_root(directory / ROOT_FILE)
        self._signers: dict[str, NoteSigner] = {}

    @classmethod
    def create(
        cls,
        directory: Path,
        passphrase: bytes | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> FileKeyring:
        """Makes the root secret if it is missing and opens the keyring; keys that exist are never overwritten.

        Args:
            directory: made with mode 0700 when it does not exist.
            passphrase: see the class.
            random_bytes: see the class.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(directory / ROOT_FILE, random_bytes(KEY_BYTES).hex().encode() + b"\n")
        return cls(directory, passphrase, random_bytes)

    def secret(self, purpose: Purpose, epoch: str = "") -> bytes:
        """The 32-byte key of a purpose and an epoch; see `Keyring.secret`."""
        info = (_INFO + self.key_id(purpose, epoch)).encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._root)

    def key_id(self, purpose: Purpose, epoch: str = "") -> str:
        """The public name of a key, for example `pseudonym/2026-11`."""
        return f"{purpose}/{epoch}" if epoch else purpose

    def signer(self, name: str) -> NoteSigner:
        """The signer of the log `name`; see `Keyring.signer`."""
        if name not in self._signers:
            from tasks.evidence.note import NoteSigner

            self._signers[name] = NoteSigner(name, _parse_signing(self._signing_file(name), self._passphrase))
        return self._signers[name]

    def new_signer(self, name: str) -> NoteSigner:
        """Makes the key of a log that begins; of two processes that begin it at once, one makes the key."""
        key = Ed25519PrivateKey.from_private_bytes(self._random_bytes(KEY_BYTES))
        _write_new(self._signing_file(name), _pem(key, self._passphrase))
        return self.signer(name)

    def _signing_file(self, name: str) -> Path:
        return self._directory / SIGNING_FILE.format(re.sub(r"[^A-Za-z0-9.-]", "_", name))


def _pem(key: Ed25519PrivateKey, passphrase: bytes | None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _write_new(path: Path, content: bytes) -> None:
    """Writes a private file whole or not at all; a file that is already there wins."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_KEY_FILE + 1)
    except FileNotFoundError:
        raise KeyUnavailableError(
            f"the key file {path} does not exist",
            next_step="Restore it from your key backup, or create a keyring if nothing was sealed yet.",
        ) from None
    except OSError as error:
        raise KeyUnavailableError(
            f"the key file {path} cannot be read: {error.strerror}",
            next_step="Run as the user who owns the keys, or correct the configured key directory.",
        ) from None
    if mode & _OTHERS:
        raise KeyUnavailableError(
            f"the key file {path} can be used by others than its owner (mode {stat.S_IMODE(mode):04o})",
            next_step=f"Run `chmod 600 {path}`, and replace the keys if somebody may have read them.",
        )
    return content


def _parse_root(path: Path) -> bytes:
    text = _read_private(path).strip()
    try:
        root = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        root = b""
    if len(root) != KEY_BYTES:
        raise KeyUnavailableError(
            f"the key file {path} is not {KEY_BYTES} bytes in hexadecimal",
            next_step="Restore it from your key backup.",
        )
    return root


def _parse_signing(path: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    pem = _read_private(path)
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
