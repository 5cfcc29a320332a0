"""Encrypted identities: values that a holder of their key may have back, stored once a pseudonym and batch.

AES-256-GCM-SIV (RFC 8452) under a key that is derived from the key of the pseudonym, so that whatever destroys
one destroys the other. Nonce and authenticated data name source, field and pseudonym: a repeated run gives the same
bytes, and no ciphertext can be moved. Values are padded: lengths of names tell something.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Final

import polars as pl
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from tasks.errors import KeyUnavailableError
from tasks.keyring.derived import encryption_key
from tasks.redact.holders import Holders
from tasks.redact.padding import pad, unpad
from tasks.redact.pseudonyms import Pseudonyms

COLUMNS: Final = ("pseudonym", "field", "kid", "ciphertext")
_NONCE_BYTES: Final = 12


def encrypt_identities(source: str, fields: Mapping[str, Pseudonyms], holders: Holders) -> pl.DataFrame:
    """The identities table of a batch.

    Args:
        source: name of the source.
        fields: pseudonyms of each encrypted field.
        holders: gives the keys.
    """
    cipher = cache(lambda code: AESGCMSIV(encryption_key(holders.key(code))))
    key_id = cache(holders.key_id)
    rows = []
    for field, made in sorted(fields.items()):
        values = {
            name: (text, code) for name, text, code in zip(made.names, made.texts, made.holders, strict=True)
        }
        for name, (text, code) in sorted(values.items()):
            place = _place(source, field, name)
            sealed = cipher(code).encrypt(_nonce(place), pad(text.encode()), place)
            rows.append((name, field, key_id(code), base64.b64encode(sealed).decode()))
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")


def decrypt_identity(source: str, field: str, pseudonym: str, ciphertext: str, key: bytes) -> str:
    """The value behind a pseudonym, in its normalised form.

    Args:
        source: name of the source.
        field: column in which the pseudonym stands.
        pseudonym: as it was sealed.
        ciphertext: of the same row of the identities table.
        key: key of the month or the person that the row's `kid` names.

    Raises:
        KeyUnavailableError: the key is another one, or the ciphertext belongs to another pseudonym.
    """
    place = _place(source, field, pseudonym)
    try:
        sealed = base64.b64decode(ciphertext, validate=True)
        return unpad(AESGCMSIV(encryption_key(key)).decrypt(_nonce(place), sealed, place)).decode()
    except (InvalidTag, binascii.Error, ValueError):
        raise KeyUnavailableError(
            f"a value of {source}.{field} cannot be decrypted with the key that was given",
            next_step="Use the key that the row's kid names, and verify the identities file.",
        ) from None


def _place(source: str, field: str, pseudonym: str) -> bytes:
    return "\0".join((source, field, pseudonym)).encode()


def _nonce(place: bytes) -> bytes:
    return hashlib.sha256(place).digest()[:_NONCE_BYTES]
