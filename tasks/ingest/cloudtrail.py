"""CloudTrail log files: one JSON document a drop, `{"Records":[...]}`.

What lies in real buckets is wider than AWS's own deliveries, so a bare array of events, a single event,
several documents in a row and lines of events are read too. A drop of lines is left to `lines`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tasks.ingest import documents
from tasks.ingest.objects import compact_bytes, fault_of, has_duplicate_key, open_object

if TYPE_CHECKING:
    from tasks.ingest.units import Ints

RECORDS = "Records"

_OPENING = b'{"Records":['
_HEAD_BYTES = 64
_slice_array: Callable[[bytes | msgspec.Raw], list[msgspec.Raw]] = msgspec.json.Decoder(
    list[msgspec.Raw]
).decode


class _Log(msgspec.Struct):
    Records: list[msgspec.Raw]


_decode_log = msgspec.json.Decoder(_Log).decode


@dataclass(frozen=True, slots=True)
class Document:
    """Where the records of a drop stand.

    Attributes:
        offsets, lengths: of each record, in bytes of the decompressed drop.
        rest: offset from which the drop could not be read, or None.
        rule: why not.
        flags: findings about the document around the records.
    """

    offsets: Ints
    lengths: Ints
    rest: int | None = None
    rule: str = "json.syntax"
    flags: tuple[str, ...] = ()


def read_document(data: bytes, start: int, known_names: Collection[str]) -> Document | None:
    """Find the records of a drop, or None when the drop is not a document but lines.

    Args:
        data: the decompressed drop.
        start: where the text starts, behind a byte order mark.
        known_names: names of which an event has at least one, to tell an event that stands alone.
    """
    body = data[start:] if start else data
    first = body[:_HEAD_BYTES].lstrip()[:1] or body.lstrip()[:1]
    try:
        if first == b"[":
            return _spans(body, start, body)
        if first == b"{":
            return _delivered(body, start) or _envelope(body, start, open_object(body), known_names)
    except (ValueError, RecursionError):
        pass
    if not documents.has_head(body) and _has_object_line(body):
        return None
    return _salvaged(body, start, "json.syntax")


def _delivered(body: bytes, start: int) -> Document | None:
    """Read a document exactly as AWS writes it, in one pass; None for any other.

    That the end stands where the records' lengths put it proves that there is nothing between them.
    """
    if not body.startswith(_OPENING):
        return None
    items = _decode_log(body).Records
    lengths = np.fromiter(map(len, items), dtype=np.int64, count=len(items))
    ends = (lengths + 1).cumsum() + len(_OPENING)
    if not items or body[int(ends[-1]) - 1 :].rstrip() != b"]}":
        return None
    return Document(ends - lengths - 1 + start, lengths)


def _envelope(
    body: bytes, start: int, envelope: dict[str, msgspec.Raw], known_names: Collection[str]
) -> Document:
    """Read a sound object that should hold the records."""
    whole = len(body) - len(body.lstrip())
    records = envelope.get(RECORDS)
    if records is not None and bytes(memoryview(records)[:1]) == b"[":
        if len(body) != compact_bytes(envelope) and has_duplicate_key(body):
            return _salvaged(body, start, "json.duplicate_key")
        flags = ("cloudtrail.envelope_fields",) if len(envelope) > 1 else ()
        return _spans(body, start, records, flags)
    if records is None and not envelope.keys().isdisjoint(known_names):
        length = len(body.strip())
        return Document(np.array([start + whole]), np.array([length]))
    nothing = np.zeros(0, dtype=np.int64)
    return Document(nothing, nothing, rest=start + whole, rule="cloudtrail.no_records")


def _spans(body: bytes, start: int, array: bytes | msgspec.Raw, flags: tuple[str, ...] = ()) -> Document:
    """Offsets and lengths of the items of a sound array that stands in `body`."""
    items = _slice_array(array)
    lengths = np.fromiter(map(len, items), dtype=np.int64, count=len(items))
    begin = _address(array) - _address(body) if items else 0
    offsets = np.zeros(len(items), dtype=np.int64)
    if len(array) == lengths.sum() + len(items) + 1:  # brackets and commas, and no white space
        offsets[1:] = (lengths[:-1] + 1).cumsum()
        return Document(offsets + (start + begin + 1), lengths, flags=flags)
    at = body.index(b"[", begin) + 1
    for i, length in enumerate(lengths.tolist()):
        offsets[i], _ = documents.next_item(body, at)
        at = int(offsets[i]) + length
    return Document(offsets + start, lengths, flags=flags)


def _address(buffer: bytes | msgspec.Raw) -> int:
    """Where a buffer lies in memory: a `Raw` is a view into the bytes that it was sliced from."""
    address: int = np.frombuffer(buffer, dtype=np.uint8).__array_interface__["data"][0]
    return address


def _salvaged(body: bytes, start: int, rule: str) -> Document:
    found = documents.salvage(body)
    spans = np.array(found.spans, dtype=np.int64).reshape(-1, 2)
    unclosed = found.rest == len(body)
    return Document(
        spans[:, 0] + start,
        spans[:, 1],
        rest=None if found.rest is None or unclosed else found.rest + start,
        rule=rule,
        flags=("json.unclosed",) if unclosed else (),
    )


def _has_object_line(body: bytes) -> bool:
    """Whether some line of a drop is a whole JSON object by itself."""
    at = 0
    while at < len(body):
        end = body.find(b"\n", at)
        end = len(body) if end < 0 else end
        line = body[at:end].strip()
        if line[:1] == b"{" and line[-1:] == b"}" and _is_object(line):
            return True
        at = end + 1
    return False


def _is_object(line: bytes) -> bool:
    try:
        open_object(line)
    except (ValueError, RecursionError) as error:
        return fault_of(line, error) == "json.too_deep"
    return True
