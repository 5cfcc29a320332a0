"""Whether raw bytes mention a person, however the sender has spelled and escaped them.

A line that was set aside may be broken, so nothing is parsed: its text is looked at as it stands, and with escapes of
JSON strings and percent-encoding taken off, as often as they are nested. What is encoded otherwise (base64, encrypted,
another alphabet) is not seen.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote

from tasks.redact.normal import normal_text

_ROUNDS: Final = 4
_GZIP: Final = b"\x1f\x8b"
_GZIP_WRAPPER: Final = 31
_PIECE: Final = 64 << 10
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_SPACE: Final = frozenset("nrtbf")


class Mentions:
    """Looks for the identifiers of one person.

    Args:
        identifiers: for example an e-mail address and a login name.
        max_bytes: of what a compressed drop that was held whole is read.
    """

    def __init__(self, identifiers: Iterable[str], max_bytes: int) -> None:
        words = sorted({_folded(normal_text(identifier)) for identifier in identifiers})
        self._pattern = re.compile("|".join(map(_bounded, words)))
        self._max_bytes = max_bytes

    def within(self, raw: bytes) -> bool:
        """Whether one of the identifiers occurs, and not as a part of a longer one."""
        data = _inflate(raw, self._max_bytes) if raw.startswith(_GZIP) else raw
        return any(self._pattern.search(text) for text in _readings(data.decode("utf-8", "replace")))


def _bounded(word: str) -> str:
    before, after = (r"(?<![\w.+-])", r"(?![\w]|[.-]\w)") if "@" in word else (r"(?<!\w)", r"(?!\w)")
    return before + re.escape(word) + after


def _readings(text: str) -> Iterator[str]:
    """The text, and what is below each layer of escapes."""
    for _ in range(_ROUNDS):
        yield _folded(text)
        unquoted = unquote(text)
        if unquoted != text:
            yield _folded(unquoted)
        below = _ESCAPE.sub(_unescape, unquoted)
        if below == text:
            return
        text = below


def _unescape(match: re.Match[str]) -> str:
    code, character = match.groups()
    if code:
        return chr(int(code, 16))
    return " " if character in _SPACE else str(character)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold())


def _inflate(raw: bytes, limit: int) -> bytes:
    """What can be had of a damaged gzip file, up to `limit` bytes."""
    inflater = zlib.decompressobj(_GZIP_WRAPPER)
    data = bytearray()
    for start in range(0, len(raw), _PIECE):
        try:
            data += inflater.decompress(raw[start : start + _PIECE], limit - len(data))
        except zlib.error:
            break
        if inflater.eof or len(data) >= limit:
            break
    return bytes(data)
