"""Padding before encryption (ISO/IEC 7816-4): ciphertexts stay when keys are gone, and must not tell lengths."""

from __future__ import annotations

from typing import Final

_BLOCK: Final = 64
_END: Final = b"\x80"


def pad(data: bytes) -> bytes:
    """`data`, 0x80, and as many zeros as make the whole a multiple of 64 bytes."""
    return data + _END + bytes(-(len(data) + 1) % _BLOCK)


def unpad(padded: bytes) -> bytes:
    """What `pad` was given.

    Raises:
        ValueError: it is not padded like this.
    """
    data = padded.rstrip(b"\0")
    if not data.endswith(_END):
        raise ValueError("not padded by ISO/IEC 7816-4")
    return data[:-1]
