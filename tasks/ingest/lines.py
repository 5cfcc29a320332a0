"""Lines of a decompressed drop: where they are and which wire format each one speaks.

A line ends at LF; a CR before it belongs to the line end; a lone CR is content. A last line without
LF counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tasks.ingest.units import Ints

_LF, _CR, _BRACE = 0x0A, 0x0D, 0x7B
_WHITE = b" \t\r"
_BLOCK_BYTES = 16 << 20
_COUNT_BYTES = 256 << 10  # at once, so that the comparison stays in the processor's cache


@dataclass(frozen=True, slots=True)
class LineIndex:
    """Offsets and lengths (without the line end) of all lines; line `i + 1` stands at index `i`."""

    offsets: Ints
    lengths: Ints


@dataclass(frozen=True, slots=True)
class Sorted:
    """Indices of the lines of one drop, by what can be done with them."""

    blank: Ints
    too_long: Ints
    json: Ints
    other: Ints


def index_lines(data: bytes, start: int) -> LineIndex:
    """Find the lines of `data` from byte `start` on."""
    view = np.frombuffer(data, dtype=np.uint8)
    blocks = [
        np.flatnonzero(view[at : at + _BLOCK_BYTES] == _LF) + at
        for at in range(start, len(data), _BLOCK_BYTES)
    ]
    ends = np.concatenate([np.zeros(0, dtype=np.int64), *blocks])
    if len(data) > start and data[-1] != _LF:
        ends = np.append(ends, len(data))
    offsets = np.empty_like(ends)
    offsets[:1] = start
    offsets[1:] = ends[:-1] + 1
    lengths = ends - offsets
    closed = np.flatnonzero((lengths > 0) & (ends < len(data)))
    lengths[closed] -= view[ends[closed] - 1] == _CR
    return LineIndex(offsets, lengths)


def count_byte(data: bytes, byte: int) -> int:
    """How often `byte` occurs: `bytes.count` at three times its speed."""
    view = np.frombuffer(data, dtype=np.uint8)
    blocks = range(0, len(view), _COUNT_BYTES)
    return sum(int(np.count_nonzero(view[at : at + _COUNT_BYTES] == byte)) for at in blocks)


def sort_lines(data: bytes, offsets: Ints, lengths: Ints, max_line_bytes: int) -> Sorted:
    """Tell blank, overlong, JSON-looking and other lines apart by their first byte that is not white."""
    view = np.frombuffer(data, dtype=np.uint8)
    first = np.zeros(len(offsets), dtype=np.uint8)
    filled = lengths > 0
    first[filled] = view[offsets[filled]]
    for i in np.flatnonzero(filled & np.isin(first, list(_WHITE))).tolist():
        text = data[offsets[i] : offsets[i] + lengths[i]].strip(_WHITE)
        first[i] = text[0] if text else 0
        filled[i] = bool(text)
    long = filled & (lengths > max_line_bytes)
    json = filled & ~long & (first == _BRACE)
    return Sorted(*(np.flatnonzero(mask) for mask in (~filled, long, json, filled & ~long & ~json)))
