"""Stored bytes to the bytes they stand for: gzip (RFC 1952), by its magic number and not by its name.

A damaged drop is never half believed. With a wrong checksum nobody knows which byte is wrong, so the
drop is held whole; a drop that merely stops early is sound up to there, and its whole lines are kept.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tasks.ingest.limits import Limits

codec: Any
try:
    from isal import isal_zlib as codec
except ImportError:  # no wheel for this processor: the same interface, at half the speed
    codec = zlib
_ERRORS: tuple[type[Exception], ...] = (zlib.error, codec.error)

MAGIC = b"\x1f\x8b"
_GZIP_WRAPPER = 31
# Bounds what one member can leave over, so that a drop of a million tiny members stays linear.
_FEED_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Inflated:
    """What became of the stored bytes.

    Attributes:
        data: the decompressed bytes; the stored ones for a plain drop or one that is held.
        junk: stored bytes after the last gzip member that are no gzip member themselves.
        truncated: the stored bytes end inside a member.
        held: the rule for which the drop is held whole, or None.
    """

    data: bytes
    junk: bytes = b""
    truncated: bool = False
    held: str | None = None


def inflate(stored: bytes, limits: Limits) -> Inflated:
    """Decompress a drop within `limits`; a plain drop comes back as it is.

    Output never grows past the limit by more than one byte, whatever the stored bytes claim.
    """
    if not stored.startswith(MAGIC):
        too_large = len(stored) > limits.max_drop_bytes
        return Inflated(stored, held="drop.too_large" if too_large else None)
    allowed = min(limits.max_drop_bytes, max(limits.ratio_floor_bytes, limits.max_ratio * len(stored)))
    pieces: list[bytes] = []
    position = 0
    while stored.startswith(MAGIC, position):
        begun = position, allowed, len(pieces)
        try:
            position, complete, allowed = _member(codec, stored, position, allowed, pieces)
        except _ERRORS as error:
            return Inflated(stored, held=_damage(error))
        if allowed < 0:
            return Inflated(stored, held="gzip.bomb")
        if not complete:
            # At a torn end isal keeps back a byte that it could tell already; zlib gives every one, unless what is
            # there is damaged as well.
            start, allowed, whole = begun
            again: list[bytes] = []
            with suppress(zlib.error):
                _member(zlib, stored, start, allowed, again)
                pieces[whole:] = again
            return Inflated(b"".join(pieces), truncated=True)
    return Inflated(b"".join(pieces), junk=stored[position:])


def _member(
    library: Any, stored: bytes, position: int, allowed: int, pieces: list[bytes]
) -> tuple[int, bool, int]:
    """Inflate one member into `pieces`: where it ends, whether it is complete, output still allowed."""
    view = memoryview(stored)
    stream = library.decompressobj(_GZIP_WRAPPER)
    while position < len(stored) and not stream.eof:
        feed = view[position : position + _FEED_BYTES]
        piece = stream.decompress(feed, allowed + 1)
        pieces.append(piece)
        allowed -= len(piece)
        if allowed < 0:
            break
        position += len(feed) - len(stream.unused_data)
    return position, stream.eof, allowed


def _damage(error: Exception) -> str:
    """Tell a wrong trailer (all data came out, and is not what was put in) from broken data."""
    text = str(error)
    return "gzip.crc" if "checksum" in text or "check" in text else "gzip.corrupt"
