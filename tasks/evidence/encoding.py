"""Strict text forms: each value has one spelling, and any other spelling is refused.

Base64 is RFC 4648 section 4 with padding and zero trailing bits; decimals are ASCII without leading
zeroes; hex is lower case. Functions raise `ValueError`: the caller knows which reason code applies.
"""

from __future__ import annotations

import base64
import re
from typing import Final

HASH_SIZE: Final = 32
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_MAX_INT64: Final = 2**63 - 1


def decode_base64(text: str) -> bytes:
    """Bytes of canonical base64 text.

    Raises:
        ValueError: not base64, or not its canonical spelling.
    """
    data = base64.b64decode(text, validate=True)
    if encode_base64(data) != text:
        raise ValueError("base64 is not canonical")
    return data


def encode_base64(data: bytes) -> str:
    """Padded standard base64."""
    return base64.b64encode(data).decode("ascii")


def decode_hash(text: str) -> bytes:
    """A SHA-256 value from base64.

    Raises:
        ValueError: not canonical base64 of 32 bytes.
    """
    data = decode_base64(text)
    if len(data) != HASH_SIZE:
        raise ValueError("hash is not 32 bytes")
    return data


def decode_decimal(text: str) -> int:
    """A non-negative integer below 2**63.

    Raises:
        ValueError: sign, leading zero, anything but ASCII digits, or too large.
    """
    if not _DECIMAL.fullmatch(text) or (value := int(text)) > _MAX_INT64:
        raise ValueError("not a decimal below 2**63")
    return value
