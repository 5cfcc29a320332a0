"""One value of each record as a column: its JSON kind and its text.

Built from the values' source bytes in a few passes over one buffer. No Python string is made for a
value unless it holds a backslash escape.
"""

from __future__ import annotations

from collections.abc import Callable
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

_decode_text = msgspec.json.Decoder(str).decode


@dataclass(frozen=True, slots=True)
class Wire:
    """A column before typing.

    Attributes:
        kinds: kind of each value.
        text: String; a string's content, any other value's source text, null for NULL and NOTHING.
        source: gives the source text of each value (strings with their quotes), where the format has any.
    """

    kinds: Kinds
    text: pl.Series
    source: Callable[[], pl.Series]

    def given(self) -> Mask:
        """Rows that have a value and not null."""
        return self.kinds > NULL

    def filled_from(self, other: Wire) -> Wire:
        """This column, with the value of `other` in the rows where it has none."""
        use = other.given() & ~self.given()
        if not use.any():
            return self
        return Wire(
            np.where(use, other.kinds, self.kinds),
            choose(use, other.text, self.text),
            lambda: choose(use, other.source(), self.source()),
        )


def bare(text: pl.Series) -> Wire:
    """A column of a format that knows only text; null is NOTHING."""
    return Wire(np.where(text.is_not_null().to_numpy(), BARE, NOTHING).astype(np.uint8), text, lambda: text)


def nothing(height: int) -> Wire:
    """A column without any value."""
    return bare(pl.Series([None], dtype=pl.String).new_from_index(0, height))


def choose(rows: Mask, chosen: pl.Series, other: pl.Series | None = None) -> pl.Series:
    """`chosen` in `rows`, and elsewhere `other` or null."""
    expression = pl.when(pl.lit(pl.Series(rows))).then(pl.lit(chosen))
    return pl.select(expression if other is None else expression.otherwise(pl.lit(other))).to_series()


def kinds_of(data: bytes, lengths: Ints) -> Kinds:
    """Kind of each of the JSON values that stand in `data` one after another; length 0 is NOTHING."""
    kinds = np.zeros(len(lengths), dtype=np.uint8)
    filled = np.flatnonzero(lengths)
    starts = (lengths.cumsum() - lengths)[filled]
    kinds[filled] = _KIND_OF_BYTE[np.frombuffer(data, dtype=np.uint8)[starts]]
    return kinds


def from_json(data: bytes, lengths: Ints) -> Wire:
    """A column of the sound JSON values that stand in `data` one after another."""
    if not data:
        return nothing(len(lengths))
    kinds = kinds_of(data, lengths)
    strings = kinds == STRING
    valid = kinds > NULL
    if b"\\" in data and strings.any():
        text = _decoded(data, lengths, strings, valid)
    elif strings.any():
        ends = lengths.cumsum()
        kept = np.ones(len(data), dtype=np.bool_)
        kept[(ends - lengths)[strings]] = False
        kept[ends[strings] - 1] = False
        text = _utf8(np.frombuffer(data, dtype=np.uint8)[kept].tobytes(), lengths - 2 * strings, valid)
    else:
        text = _utf8(data, lengths, valid)
    return Wire(kinds, text, lambda: _utf8(data, lengths, valid))


def _decoded(data: bytes, lengths: Ints, strings: Mask, valid: Mask) -> pl.Series:
    """Texts of a column in which some value holds a backslash."""
    ends = lengths.cumsum()
    spans = zip((ends - lengths).tolist(), ends.tolist(), strings.tolist(), strict=True)
    texts = [_content(data[start:end]) if quoted else data[start:end] for start, end, quoted in spans]
    sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    return _utf8(b"".join(texts), sizes, valid)


def _content(source: bytes) -> bytes:
    """Content of one JSON string as UTF-8."""
    return _decode_text(source).encode() if b"\\" in source else source[1:-1]


def _utf8(data: bytes, lengths: Ints, valid: Mask) -> pl.Series:
    """A String series of consecutive stretches of `data`, which was checked to be UTF-8."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    lengths.cumsum(out=offsets[1:])
    bits = np.packbits(valid, bitorder="little")
    array = pa.LargeStringArray.from_buffers(
        len(lengths), pa.py_buffer(offsets), pa.py_buffer(data), pa.py_buffer(bits)
    )
    return pl.Series(array, dtype=pl.String)
