"""JSON records opened one level deep (RFC 8259), byte-exact and strict.

`msgspec` slices an object into `Raw` values, and its skipping refuses what RFC 8259 refuses (NaN,
leading zeros, control characters, lone surrogates, trailing text). Two things it does not see, and
they are checked here: UTF-8 inside skipped values, and a key that occurs twice, of which one value
would silently win. Duplicate keys deeper down, inside subtrees that nobody takes apart, are not looked
for: such a subtree is kept as its source text, so neither value is lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Object: TypeAlias = dict[str, msgspec.Raw]

# Two quotes, a colon and a comma (or, once an object, its closing brace).
PAIR_BYTES = 4
ABSENT = msgspec.Raw(b"")
open_object: Callable[[bytes | msgspec.Raw], Object] = msgspec.json.Decoder(Object).decode
_decode_any = msgspec.json.Decoder(msgspec.Raw).decode

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_COLON = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
_BRACE_BIT = ord("{") ^ ord("[")  # the only bit in which they differ
_NO_BRACKET = bytes(sorted(set(range(256)) - set(b"[]{}")))


def fault_of(text: bytes, error: Exception) -> str:
    """Name the rule that a record breaks which could not be opened as an object."""
    if isinstance(error, RecursionError):
        return "json.too_deep"
    if isinstance(error, UnicodeDecodeError):
        return "encoding.utf8"
    try:
        _decode_any(text)
    except RecursionError:
        return "json.too_deep"
    except msgspec.DecodeError:
        return "json.syntax"
    return "json.not_object"


def compact_bytes(opened: Object, more: int = 0) -> int:
    """Length of an object of these pairs, and of others that take `more` bytes, in compact JSON.

    White space, an escape in a key and a repeated key can only make an object longer than that, so equal
    length proves that it has none of them.
    """
    pairs = sum(len(key.encode()) + len(raw) + PAIR_BYTES for key, raw in opened.items())
    return max(pairs + more + 1, 2)


def has_duplicate_key(text: bytes | msgspec.Raw) -> bool:
    """Whether the top level of a sound JSON object names a key twice. For any formatting."""
    source = bytes(text)
    opened = open_object(source)
    at = source.index(b"{") + 1
    for key, raw in opened.items():
        name = _STRING.search(source, at)
        if name is None or name.group() != msgspec.json.encode(key):
            return _counted_pairs(source) != len(opened)
        gap = _COLON.match(source, name.end())
        if gap is None or not source.startswith(bytes(raw), gap.end()):
            return _counted_pairs(source) != len(opened)
        at = gap.end() + len(raw)
    return b'"' in source[at:]


def _counted_pairs(source: bytes) -> int:
    """Pairs at the top level, by the standard library's parser, which calls for the outermost last."""
    sizes: list[int] = []
    json.loads(
        source, object_pairs_hook=lambda pairs: sizes.append(len(pairs)), parse_int=str, parse_float=str
    )
    return sizes[-1]


def depth(text: bytes | msgspec.Raw) -> int:
    """Nesting depth of a sound JSON text; a scalar has 0."""
    brackets = np.frombuffer(_STRING.sub(b"", bytes(text)).translate(None, _NO_BRACKET), dtype=np.uint8)
    steps = np.where((brackets == ord("{")) | (brackets == ord("[")), 1, -1)
    return int(steps.cumsum().max(initial=0))


def opening_brackets(texts: Sequence[bytes | msgspec.Raw], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many `{` and `[` each text of `lengths` bytes has: no less than it is deep, and cheaper to know."""
    view = np.frombuffer(b"".join(texts), dtype=np.uint8)
    found = np.flatnonzero((view | _BRACE_BIT) == ord("{"))
    before = np.searchsorted(found, lengths.cumsum())
    return np.diff(before, prepend=0)
