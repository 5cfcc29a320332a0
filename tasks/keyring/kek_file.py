"""A key-encryption key in files, for deployments without a key management service.

One file a version, `table-kek-<number>.key`: AES-256-GCM-SIV (RFC 8452) with a random nonce. Whoever can read the
directory can unwrap the key table; a service that only answers is better, and an old version can be destroyed
there for certain.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from tasks.errors import KeyUnavailableError
from tasks.keyring.private_files import read_private, write_new
from tasks.keyring.protocol import KEY_BYTES

_NAME: Final = "table-kek-{}.key"
_NUMBER: Final = re.compile(r"^table-kek-([1-9][0-9]{0,8})\.key$")
_NONCE_BYTES: Final = 12


class FileKek:
    """The versions in one directory.

    Args:
        directory: holds the files; only its owner may read them.
        random_bytes: source of keys and nonces.
    """

    def __init__(self, directory: Path, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._directory, self._random_bytes = directory, random_bytes

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """See `tasks.subjects.KeyEncryptionKey`. The first version is made when there is none."""
        if not self._versions():
            self.rotate()
        name, nonce = _NAME.format(self._versions()[-1]), self._random_bytes(_NONCE_BYTES)
        return name, nonce + self._cipher(name).encrypt(nonce, key, context)

    def unwrap(self, kek: str, wrapped: bytes, context: bytes) -> bytes:
        """See `tasks.subjects.KeyEncryptionKey`."""
        nonce, data = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        try:
            return self._cipher(kek).decrypt(nonce, data, context)
        except InvalidTag:
            raise KeyUnavailableError(
                f"the key file {self._directory / kek} is not the one that wrapped the key table",
                next_step="Restore the key directory that belongs to this key table.",
            ) from None

    def rotate(self) -> None:
        """See `tasks.subjects.KeyEncryptionKey`."""
        number = max(self._versions(), default=0) + 1
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = self._random_bytes(KEY_BYTES).hex().encode() + b"\n"
        write_new(self._directory / _NAME.format(number), content)

    def retire(self, used: Collection[str]) -> None:
        """See `tasks.subjects.KeyEncryptionKey`."""
        for name in map(_NAME.format, self._versions()[:-1]):
            if name not in used:
                (self._directory / name).unlink(missing_ok=True)

    def _versions(self) -> list[int]:
        found = (_NUMBER.match(path.name) for path in self._directory.glob(_NAME.format("*")))
        return sorted(int(match[1]) for match in found if match)

    def _cipher(self, name: str) -> AESGCMSIV:
        if not _NUMBER.match(name):
            raise KeyUnavailableError(
                f"the key table is wrapped by {name!r}, and [key_table] kek says it is a file",
                next_step="Set [key_table] kek to what wrapped it.",
            )
        path = self._directory / name
        if not path.exists():
            raise KeyUnavailableError(
                f"the key-encryption key {path} does not exist: it was retired by a rewrap, or lost",
                next_step="Use a backup made after the last rewrap, or restore the key directory.",
            )
        try:
            return AESGCMSIV(bytes.fromhex(read_private(path).decode("ascii")))
        except ValueError:
            raise KeyUnavailableError(
                f"the key file {path} is not {KEY_BYTES} bytes in hexadecimal",
                next_step="Restore it from your key backup.",
            ) from None
