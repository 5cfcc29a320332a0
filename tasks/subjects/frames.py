"""Many encrypted chunks as one file that cannot be shortened, extended or put in another order.

AES-256-GCM-SIV (RFC 8452) in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: Online authenticated
encryption and its nonce-reuse misuse-resistance, 2015): the nonce of a chunk is its number and whether it is the
last, so each has one place. A key encrypts one file. Each chunk follows its length, four bytes, big-endian.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

_LENGTH_BYTES: Final = 4
_TAG_BYTES: Final = 16
MAX_FRAME_BYTES: Final = 64 << 20


def write_frames(file: BinaryIO, key: bytes, header: bytes, chunks: Iterable[bytes]) -> None:
    """Write chunks; `header` is authenticated with each of them."""
    cipher, number = AESGCMSIV(key), 0
    for number, chunk in enumerate(chunks, 1):
        _write(file, cipher.encrypt(_nonce(number, last=False), chunk, header))
    _write(file, cipher.encrypt(_nonce(number + 1, last=True), b"", header))


def read_frames(file: BinaryIO, key: bytes, header: bytes) -> Iterator[bytes]:
    """The chunks again.

    Raises:
        ValueError: the file was changed, cut off or extended, or the key or header is another one.
    """
    cipher, number = AESGCMSIV(key), 0
    while True:
        number += 1
        length = int.from_bytes(file.read(_LENGTH_BYTES), "big")
        if not _TAG_BYTES <= length <= MAX_FRAME_BYTES:
            raise ValueError("a chunk is cut off")
        data = file.read(length)
        last = length == _TAG_BYTES
        try:
            chunk = cipher.decrypt(_nonce(number, last=last), data, header)
        except InvalidTag:
            raise ValueError("a chunk was changed") from None
        if last:
            break
        yield chunk
    if file.read(1):
        raise ValueError("something follows the last chunk")


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
