"""Records of a damaged or concatenated JSON document, found by their brackets.

For drops that no strict parser takes as a whole: cut short, damaged in the middle, nested too deeply,
or several documents one after another. Records count only as long as the document is sound: behind a
damage nobody can tell a record from the content of a string that lost its quote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tasks.ingest.objects import fault_of, open_object

_HEAD = re.compile(rb'[ \t\r\n]*(?:\{[ \t\r\n]*"Records"[ \t\r\n]*:[ \t\r\n]*)?\[[ \t\r\n]*')
_WRAPPED = re.compile(rb"[ \t\r\n]*\{")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_SCALAR = re.compile(rb'[ \t\r\n]*("[^"\\]*(?:\\.[^"\\]*)*"|[-+.0-9A-Za-z]+)', re.DOTALL)
_BETWEEN = re.compile(rb"[ \t\r\n]*(,?)[ \t\r\n]*")
_WHITE = re.compile(rb"[ \t\r\n]*")


@dataclass(slots=True)
class Salvage:
    """Stretches of the records that stand before any damage, and where the damage begins.

    Attributes:
        spans: (offset, length) of each record.
        rest: offset of the first byte that belongs to no record or bracket; None if all is sound.
    """

    spans: list[tuple[int, int]] = field(default_factory=list)
    rest: int | None = None


def has_head(data: bytes) -> bool:
    """Whether `data` begins like `{"Records":[` or like an array."""
    return _HEAD.match(data) is not None


def salvage(data: bytes) -> Salvage:
    """Walk through one or more documents, `{"Records":[...]}` or `[...]`."""
    found = Salvage()
    at = 0
    while (begin := _WHITE.match(data, at).end()) < len(data):  # type: ignore[union-attr]
        head = _HEAD.match(data, begin)
        end = _array(data, head.end(), found) if head else None
        if end is not None and _WRAPPED.match(data, begin):
            end = _closing_brace(data, end, found)
        if end is None:
            found.rest = found.rest if head else begin
            break
        at = end
    return found


def _array(data: bytes, at: int, found: Salvage) -> int | None:
    """Read items up to the closing bracket: the offset behind it, or None where the damage is."""
    if data[at : at + 1] == b"]":
        return at + 1
    while True:
        end = _item_end(data, at)
        if end is None or _is_broken(data[at:end]):
            found.rest = at
            return None
        found.spans.append((at, end - at))
        at, another = next_item(data, end)
        if not another and data[at : at + 1] == b"]":
            return at + 1
        if not another:
            found.rest = end
            return None


def next_item(data: bytes, at: int) -> tuple[int, bool]:
    """Step over white space and at most one comma: the new offset, and whether there was a comma."""
    gap = _BETWEEN.match(data, at)
    return (gap.end(), bool(gap.group(1))) if gap else (at, False)


def _closing_brace(data: bytes, at: int, found: Salvage) -> int | None:
    end = _WHITE.match(data, at).end()  # type: ignore[union-attr]
    if data[end : end + 1] == b"}":
        return end + 1
    found.rest = at
    return None


def _item_end(data: bytes, at: int) -> int | None:
    """End of the JSON value that starts at `at`, by brackets alone; None where it does not end."""
    if data[at : at + 1] not in (b"{", b"["):
        scalar = _SCALAR.match(data, at)
        return scalar.end() if scalar else None
    depth = 0
    for token in _TOKEN.finditer(data, at):
        sign = token.group()
        if sign in (b"{", b"["):
            depth += 1
        elif sign in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                return token.end()
    return None


def _is_broken(item: bytes) -> bool:
    """Whether an item is damaged, and not only of the wrong kind or nested too deeply."""
    try:
        open_object(item)
    except (ValueError, RecursionError) as error:
        return fault_of(item, error) == "json.syntax"
    return False
