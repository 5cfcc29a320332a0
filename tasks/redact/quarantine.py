"""Raw bytes of quarantined lines, encrypted so that replay can read them and nobody else.

AES-256-GCM-SIV (RFC 8452), each line under a key of its own that needs two others: the month's quarantine key, which
ends a month at once, and the line's key in the key table, which can be destroyed for one line when a person is to be
forgotten. A key encrypts one line, so the nonce is fixed and a repeated run seals the same bytes; GCM-SIV stays safe
should two readings of one drop differ in a line. The drop's digest and the line are authenticated: a ciphertext
cannot be moved to another line. Lines are padded, which hides their lengths from whoever has the ciphertexts alone.
Whoever has the whole quarantine and data files can bound the length of a line by the offsets around it, and with it
that of a name in it; nothing else of an erased line is told but the rules that set it aside.
Text form: `q_<epoch>.<base64>`; without base64 where the line's key was destroyed before it was sealed again.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Final

import polars as pl
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from tasks.batch import DROP, LENGTH, LINE, OFFSET, ReadDrop
from tasks.errors import KeyUnavailableError, UsageError
from tasks.keyring import Keyring
from tasks.redact.padding import pad, unpad

_NONCE: Final = bytes(12)
_FORM: Final = re.compile(r"^q_([0-9]{4}-[0-9]{2})\.((?:[A-Za-z0-9+/]+={0,2})?)$")
_US: Final = 1_000_000


def drop_epoch(drop: ReadDrop) -> str:
    """The month (`YYYY-MM`, UTC) whose quarantine key encrypts the lines of `drop`: when it landed."""
    return datetime.fromtimestamp(drop.drop.modified_us // _US, UTC).strftime("%Y-%m")


def encrypt_raw(
    set_aside: pl.DataFrame, drops: Sequence[ReadDrop], keyring: Keyring
) -> tuple[pl.Series, set[str]]:
    """Encrypts the raw bytes of each quarantined line; other lines give null.

    Args:
        set_aside: rows with the coordinates and `disposition`, by drop.
        drops: in the order that DROP counts.
        keyring: gives the keys of months and lines.

    Returns:
        The texts, and the ids of the months' keys that were used.
    """
    quarantined = (set_aside["disposition"] == "quarantined").arg_true()
    texts: list[str] = []
    epochs = set()
    for (index,), places in set_aside[quarantined].group_by(DROP, maintain_order=True):
        drop = drops[int(str(index))]
        epoch = drop_epoch(drop)
        epochs.add(epoch)
        texts += _encrypt_lines(places, drop, epoch, keyring)
    column = pl.Series("raw", [None], dtype=pl.String).new_from_index(0, set_aside.height)
    column = column.scatter(quarantined, pl.Series(texts, dtype=pl.String))
    return column, {keyring.key_id("quarantine", epoch) for epoch in epochs}


def decrypt_raw(text: str, drop_sha256: str, line: int, keyring: Keyring) -> bytes:
    """The raw bytes of one quarantined line; see `decrypt_lines`.

    Raises:
        KeyUnavailableError: also when the line's key was destroyed.
    """
    found = decrypt_lines({line: text}, drop_sha256, keyring)[line]
    if found is None:
        raise KeyUnavailableError(
            f"line {line} of drop {drop_sha256[:12]} was erased", next_step="Nobody can read it any more."
        )
    return found


def decrypt_lines(texts: Mapping[int, str], drop_sha256: str, keyring: Keyring) -> dict[int, bytes | None]:
    """The raw bytes of quarantined lines of one drop, for replay.

    Args:
        texts: number of the line in the drop, from 1 -> value of `raw` in a quarantine file.
        drop_sha256: hex digest of the drop's stored bytes.
        keyring: must hold the months' quarantine keys.

    Returns:
        None for a line whose key was destroyed: nobody can read it any more.

    Raises:
        UsageError: a text is not of the form that `encrypt_raw` writes.
        KeyDestroyedError: the key of a month was destroyed.
        KeyUnavailableError: a key is another one, or a text belongs to another line.
    """
    keys = keyring.known_line_keys(drop_sha256, texts.keys())
    month = cache(lambda epoch: keyring.secret("quarantine", epoch))
    found: dict[int, bytes | None] = {}
    for line, text in texts.items():
        match = _FORM.match(text)
        if match is None:
            raise UsageError(
                f"the quarantined bytes of line {line} are not in a known form",
                next_step="Verify the quarantine file; a newer release may have written it.",
            )
        epoch, encoded = match.groups()
        if line not in keys or not encoded:
            found[line] = None
            continue
        try:
            sealed = base64.b64decode(encoded, validate=True)
            padded = _cipher(month(epoch), keys[line]).decrypt(_NONCE, sealed, _place(drop_sha256, line))
            found[line] = unpad(padded)
        except (InvalidTag, binascii.Error, ValueError):
            raise KeyUnavailableError(
                f"line {line} of drop {drop_sha256[:12]} cannot be decrypted with the keys of {epoch}",
                next_step="Use the key table that the drop was delivered with, and verify the quarantine file.",
            ) from None
    return found


def _encrypt_lines(places: pl.DataFrame, drop: ReadDrop, epoch: str, keyring: Keyring) -> list[str]:
    month = keyring.secret("quarantine", epoch)
    keys = keyring.line_keys(drop.sha256, places[LINE].to_list())
    texts = []
    for line, offset, length in places.select(LINE, OFFSET, LENGTH).iter_rows():
        sealed = b""
        if line in keys:
            raw = drop.buffer[offset : offset + length]
            sealed = _cipher(month, keys[line]).encrypt(_NONCE, pad(raw), _place(drop.sha256, line))
        texts.append(f"q_{epoch}.{base64.b64encode(sealed).decode()}")
    return texts


def _cipher(month: bytes, line: bytes) -> AESGCMSIV:
    return AESGCMSIV(hmac.digest(month, b"indelible/1/quarantined-line/" + line, "sha256"))


def _place(drop_sha256: str, line: int) -> bytes:
    return bytes.fromhex(drop_sha256) + line.to_bytes(8, "big")
