"""Raw bytes of quarantined lines, encrypted so that replay can read them and nobody else.

AES-256-GCM-SIV (RFC 8452) under the month's quarantine key. The nonce is derived from the line's place,
so that a repeated run seals the same bytes; GCM-SIV stays safe should a nonce repeat. The drop's digest and
the line are authenticated: a ciphertext cannot be moved to another line.
Text form: `q_<epoch>.<base64>`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import polars as pl
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from tasks.batch import DROP, LENGTH, LINE, OFFSET, ReadDrop
from tasks.errors import KeyUnavailableError, UsageError
from tasks.keyring import Keyring

_NONCE_BYTES: Final = 12
_FORM: Final = re.compile(r"^q_([0-9]{4}-[0-9]{2})\.([A-Za-z0-9+/]+={0,2})$")
_US: Final = 1_000_000


def drop_epoch(drop: ReadDrop) -> str:
    """The month (`YYYY-MM`, UTC) whose quarantine key encrypts the lines of `drop`: when it landed."""
    return datetime.fromtimestamp(drop.drop.modified_us // _US, UTC).strftime("%Y-%m")


def encrypt_raw(
    set_aside: pl.DataFrame, drops: Sequence[ReadDrop], keyring: Keyring
) -> tuple[pl.Series, set[str]]:
    """Encrypts the raw bytes of each quarantined line; other lines give null.

    Args:
        set_aside: rows with the coordinates and `disposition`.
        drops: in the order that DROP counts.
        keyring: gives the quarantine keys.

    Returns:
        The texts, and the ids of the keys used.
    """
    quarantined = (set_aside["disposition"] == "quarantined").arg_true()
    places = set_aside[quarantined].select(DROP, LINE, OFFSET, LENGTH)
    ciphers = {
        epoch: _Cipher(epoch, keyring)
        for epoch in sorted({drop_epoch(drops[i]) for i in places[DROP].unique()})
    }
    texts = []
    for index, line, offset, length in places.iter_rows():
        drop = drops[index]
        raw = drop.buffer[offset : offset + length]
        texts.append(ciphers[drop_epoch(drop)].encrypt(raw, drop.sha256, line))
    column = pl.Series("raw", [None], dtype=pl.String).new_from_index(0, set_aside.height)
    column = column.scatter(quarantined, pl.Series(texts, dtype=pl.String))
    return column, {keyring.key_id("quarantine", epoch) for epoch in ciphers}


def decrypt_raw(text: str, drop_sha256: str, line: int, keyring: Keyring) -> bytes:
    """The raw bytes of a quarantined line, for replay.

    Args:
        text: value of `raw` in a quarantine file.
        drop_sha256: hex digest of the drop's stored bytes.
        line: 1-based number of the line in the drop.
        keyring: must hold the month's quarantine key.

    Raises:
        UsageError: `text` is not of the form that `encrypt_raw` writes.
        KeyUnavailableError: the key is gone or another one, or the text belongs to another line.
    """
    match = _FORM.match(text)
    if match is None:
        raise UsageError(
            f"the quarantined bytes of line {line} are not in a known form",
            next_step="Verify the quarantine file; a newer release may have written it.",
        )
    epoch, encoded = match.groups()
    try:
        return _Cipher(epoch, keyring).decrypt(base64.b64decode(encoded, validate=True), drop_sha256, line)
    except (InvalidTag, binascii.Error, ValueError):
        key_id = keyring.key_id("quarantine", epoch)
        raise KeyUnavailableError(
            f"line {line} of drop {drop_sha256[:12]} cannot be decrypted with key {key_id}",
            next_step="Use the keyring that the drop was delivered with, and verify the quarantine file.",
        ) from None


class _Cipher:
    def __init__(self, epoch: str, keyring: Keyring) -> None:
        self._prefix = f"q_{epoch}."
        self._key = keyring.secret("quarantine", epoch)
        self._aead = AESGCMSIV(self._key)

    def encrypt(self, raw: bytes, drop_sha256: str, line: int) -> str:
        place = _place(drop_sha256, line)
        sealed = self._aead.encrypt(self._nonce(place), raw, place)
        return self._prefix + base64.b64encode(sealed).decode()

    def decrypt(self, sealed: bytes, drop_sha256: str, line: int) -> bytes:
        place = _place(drop_sha256, line)
        return self._aead.decrypt(self._nonce(place), sealed, place)

    def _nonce(self, place: bytes) -> bytes:
        return hmac.digest(self._key, place, "sha256")[:_NONCE_BYTES]


def _place(drop_sha256: str, line: int) -> bytes:
    return bytes.fromhex(drop_sha256) + line.to_bytes(8, "big")
