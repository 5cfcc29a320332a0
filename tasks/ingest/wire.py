"""One value of each record as a column: its JSON kind and its text.

Built from the values' source bytes in a few passes over one buffer. No Python string is made for a
value unless it holds a backslash escape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.ingest.units import Ints, Mask

    Kinds: TypeAlias = NDArray[np.uint8]

NOTHING, NULL, STRING, NUMBER, BOOLEAN, OBJECT, ARRAY, BARE = range(8)
"""JSON kinds; NOTHING where the record lacks the value, BARE for text of a format without types."""

_KIND_OF_BYTE = np.zeros(256, dtype=np.uint8)
_KIND_OF_BYTE[list(b"-0123456789")] = NUMBER
for _byte, _kind in (
    (b'"', STRING),
    (b"n", NULL),
    (b"t", BOOLEAN),
    (b"f", BOOLEAN),
    (b"{", OBJECT),
    (b"[", ARRAY),
):
    _KIND_OF_BYTE[_byte[0]] = _kind

Raws: TypeAlias = Sequence["bytes | msgspec.Raw"]
_decode_text = msgspec.json.Decoder(str).decode


@dataclass(frozen=True, slots=True)
class Wire:
    """A column before typing.

    Attributes:
        kinds: kind of each value.
        text: String; a string's content, any other value's source text, null for NULL and NOTHING.
        raws: source bytes of each value, b"" for NOTHING; empty sequence where all is BARE.
    """

    kinds: Kinds
    text: pl.Series
    raws: Raws

    def given(self) -> Mask:
        """Rows that have a value and not null."""
        return self.kinds > NULL

    def source(self) -> pl.Series:
        """String: the source text of each value, strings with their quotes."""
        lengths = _lengths(self.raws)
        return _utf8(b"".join(self.raws), lengths, self.given())


def bare(text: pl.Series) -> Wire:
    """A column of a format that knows only text; null is NOTHING."""
    return Wire(np.where(text.is_not_null().to_numpy(), BARE, NOTHING).astype(np.uint8), text, ())


def kinds_of(raws: Raws) -> tuple[Kinds, Ints]:
    """Kind and length in bytes of each JSON value."""
    lengths = _lengths(raws)
    kinds = np.zeros(len(raws), dtype=np.uint8)
    filled = lengths > 0
    data = np.frombuffer(b"".join(raws), dtype=np.uint8)
    kinds[filled] = _KIND_OF_BYTE[data[(lengths.cumsum() - lengths)[filled]]]
    return kinds, lengths


def from_json(raws: Raws, kinds: Kinds, lengths: Ints) -> Wire:
    """A column of sound JSON values, b"" where a record has none; kinds and lengths by `kinds_of`."""
    data = b"".join(raws)
    strings = kinds == STRING
    if b"\\" in data and strings.any():
        plain = [_unescaped(raw) if is_string else raw for raw, is_string in zip(raws, strings, strict=True)]
        data, lengths = b"".join(plain), _lengths(plain)
    elif strings.any():
        ends = lengths.cumsum()
        kept = np.ones(len(data), dtype=np.bool_)
        kept[(ends - lengths)[strings]] = False
        kept[ends[strings] - 1] = False
        data = np.frombuffer(data, dtype=np.uint8)[kept].tobytes()
        lengths = lengths - 2 * strings
    return Wire(kinds, _utf8(data, lengths, kinds > NULL), raws)


def _unescaped(raw: bytes | msgspec.Raw) -> bytes:
    """Content of one JSON string as UTF-8."""
    source = bytes(raw)
    return _decode_text(source).encode() if b"\\" in source else source[1:-1]


def _lengths(raws: Raws) -> Ints:
    return np.fromiter(map(len, raws), dtype=np.int64, count=len(raws))


def _utf8(data: bytes, lengths: Ints, valid: Mask) -> pl.Series:
    """A String series of consecutive stretches of `data`, which was checked to be UTF-8."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    lengths.cumsum(out=offsets[1:])
    bits = np.packbits(valid, bitorder="little")
    array = pa.LargeStringArray.from_buffers(
        len(lengths), pa.py_buffer(offsets), pa.py_buffer(data), pa.py_buffer(bits)
    )
    return pl.Series(array, dtype=pl.String)
