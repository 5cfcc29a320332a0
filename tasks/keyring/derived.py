"""What follows from one secret key of a month or a person, so that no key serves two purposes.

HMAC-SHA256 is a pseudo-random function of its key: each message gives an independent key. Messages here begin
with a zero byte, which no pseudonym domain does, so none of them is ever a pseudonym.
"""

from __future__ import annotations

import hmac
from typing import Final

RECORD_FINGERPRINT: Final = b"\x00record-fingerprint/1"  # what messages that name a record begin with
_NAME_DIGITS: Final = 32
_SUBJECT: Final = "subject/"


def encryption_key(key: bytes) -> bytes:
    """The 32-byte key that encrypts the values which `key` makes pseudonyms of."""
    return hmac.digest(key, b"\x00identity-encryption/1", "sha256")


def subject_key_id(key: bytes) -> str:
    """The public name of a person's key, `subject/<32 hex>`: it leads nowhere once the key is destroyed."""
    return _SUBJECT + hmac.digest(key, b"\x00key-id/1", "sha256").hex()[:_NAME_DIGITS]
