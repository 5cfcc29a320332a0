"""A keyring in a directory: a root secret, and signing keys in files beside it or wherever the settings say.

Keys that are never given up are derived from the root secret with HKDF-SHA256 (RFC 5869). Keys of months and
persons must be possible to destroy, so they are random and lie in the key table (`ErasableKeys`). Each log has
signing keys of its own, because a C2SP tlog-policy may not name one key under two origins.
"""

from __future__ import annotations

import errno
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tasks.errors import KeyUnavailableError
from tasks.evidence.note import NoteSigner, SigningKey
from tasks.keyring.private_files import read_private, write_new
from tasks.keyring.protocol import KEY_BYTES, ErasableKeys, Purpose, SigningKeys
from tasks.keyring.signing_files import SigningFiles

ROOT_FILE: Final = "root.key"
_INFO: Final = "indelible/1/"


class FileKeyring:
    """The keys in one directory.

    Args:
        directory: holds `root.key` and, by default, `signing-<log>.pem`; only its owner may read them.
        passphrase: encrypts new signing files and opens encrypted ones.
        random_bytes: source of key material; tests may pass a fixed one.
        signing_keys: where signing keys are made and looked for before the directory, so that a rotation moves
            a log from files to a service.
        erasable: makes the key table from the index key; without it, there are no keys of months and persons.

    Raises:
        KeyUnavailableError: a file is missing, readable by others, damaged, or the passphrase is wrong.
    """

    def __init__(
        self,
        directory: Path,
        passphrase: bytes | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        signing_keys: SigningKeys | None = None,
        erasable: Callable[[bytes], ErasableKeys] | None = None,
    ) -> None:
        self._root = _parse_root(directory / ROOT_FILE)
        self._erasable = erasable
        self._files = SigningFiles(directory, passphrase, random_bytes)
        self._keys: SigningKeys = signing_keys or self._files
        self._signers: dict[str, list[NoteSigner]] = {}

    @classmethod
    def create(
        cls,
        directory: Path,
        passphrase: bytes | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        signing_keys: SigningKeys | None = None,
        erasable: Callable[[bytes], ErasableKeys] | None = None,
    ) -> FileKeyring:
        """Makes the root secret if it is missing and opens the keyring; keys that exist are never overwritten.

        Args:
            directory: made with mode 0700 when it does not exist.
            passphrase: see the class.
            random_bytes: see the class.
            signing_keys: see the class.
            erasable: see the class.
        """
        if not directory.exists():
            _make_with_root(directory, random_bytes)
        _write_root(directory, random_bytes)
        return cls(directory, passphrase, random_bytes, signing_keys, erasable)

    def secret(self, purpose: Purpose, epoch: str = "") -> bytes:
        """The 32-byte key of a purpose and an epoch; see `Keyring.secret`."""
        if epoch:
            return self._table.month_key(purpose, epoch)
        info = (_INFO + self.key_id(purpose, epoch)).encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._root)

    def key_id(self, purpose: Purpose, epoch: str = "") -> str:
        """The public name of a key, for example `pseudonym/2026-11`."""
        return f"{purpose}/{epoch}" if epoch else purpose

    def subject_ids(self, identifiers: Sequence[str]) -> list[str]:
        """See `Keyring.subject_ids`."""
        return self._table.subject_ids(identifiers)

    def subject_keys(self, identifiers: Sequence[str]) -> list[bytes]:
        """See `Keyring.subject_keys`."""
        return self._table.subject_keys(identifiers)

    def line_keys(self, drop: str, lines: Collection[int]) -> dict[int, bytes]:
        """See `Keyring.line_keys`."""
        return self._table.line_keys(drop, lines)

    def known_line_keys(self, drop: str, lines: Collection[int]) -> dict[int, bytes]:
        """See `Keyring.known_line_keys`."""
        return self._table.known_line_keys(drop, lines)

    def note_places(self, source: str, rows: Mapping[str, Mapping[str, Sequence[int]]]) -> None:
        """See `Keyring.note_places`."""
        self._table.note_places(source, rows)

    def signer(self, name: str) -> NoteSigner:
        """The newest key of the log `name`; see `Keyring.signer`."""
        return self.signers(name)[-1]

    def signers(self, name: str) -> tuple[NoteSigner, ...]:
        """All keys of the log `name`, oldest first; see `Keyring.signers`."""
        found = self._signers.setdefault(name, [])
        # Asked each time for one more: another process may have rotated.
        while (key := self._find(_label(name, len(found)))) is not None:
            found.append(NoteSigner(name, key))
        if not found:
            raise KeyUnavailableError(
                f"the signing key of {name} does not exist",
                next_step="Restore it from your key backup, or correct [keys] in the settings.",
            )
        return tuple(found)

    def new_signer(self, name: str, number: int = 0) -> NoteSigner:
        """Makes a key of a log; of two processes that do so at once, one makes the key."""
        label = _label(name, number)
        return NoteSigner(name, self._find(label) or self._keys.create(label))

    @cached_property
    def _table(self) -> ErasableKeys:
        """The key table, opened by the first who needs it: most commands do not."""
        if self._erasable is None:
            raise KeyUnavailableError(
                "this keyring has no key table, so no keys of months or persons",
                next_step="Set [key_table] in the settings; a deployment makes one in its state directory.",
            )
        return self._erasable(self.secret("index"))

    def _find(self, label: str) -> SigningKey | None:
        return self._keys.find(label) or self._files.find(label)


def _label(name: str, number: int) -> str:
    """What the key is called where it is kept: the log's name, and from the second key on its number."""
    label = re.sub(r"[^A-Za-z0-9.-]", "_", name)
    return f"{label}-{number + 1}" if number else label


def _write_root(directory: Path, random_bytes: Callable[[int], bytes]) -> None:
    write_new(directory / ROOT_FILE, random_bytes(KEY_BYTES).hex().encode() + b"\n")


def _make_with_root(directory: Path, random_bytes: Callable[[int], bytes]) -> None:
    """Make the directory with its root secret in one step: whoever sees the one has the other."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    _write_root(draft, random_bytes)
    try:
        draft.rename(directory)
    except OSError as error:
        shutil.rmtree(draft)
        if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:  # somebody else made it meanwhile
            raise


def _parse_root(path: Path) -> bytes:
    text = read_private(path).strip()
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
