"""`read_batch`: the stage's one function."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from tasks.batch import DROP, LINE, Drop, ReadBatch, ReadDrop
from tasks.contracts.model import Contract
from tasks.ingest import cloudtrail
from tasks.ingest.frames import Plan, combined_frame, json_frame
from tasks.ingest.inflate import Inflated, inflate
from tasks.ingest.limits import Limits
from tasks.ingest.lines import count_byte, index_lines, sort_lines
from tasks.ingest.units import Places, SetAside
from tasks.storage.protocol import Readable

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UTF16_SAMPLE = 4096
# Columns are built for this much text at once, from as many drops as it takes.
_CHUNK_BYTES = 16 << 20
_CHUNK_LINES = 65_536


def read_batch(landing: Readable, contract: Contract, drops: Sequence[Drop], limits: Limits) -> ReadBatch:
    """Read drops of one source into columns, without losing a line.

    Holds the decompressed bytes of all `drops`; `listing.plan` bounds how much that is. A drop that has another
    size than it was listed with is still being written: it is left out, and the next run finds it complete.

    Args:
        landing: where the drops lie.
        contract: the source's contract.
        drops: in the order of their keys.
        limits: what one drop may ask for.

    Raises:
        StoreUnavailableError: the landing place cannot be reached now.
        StoreRefusedError: a drop is gone or may not be read.
    """
    reader = _Reader(contract, limits)
    with _no_cycles():
        whole = (
            (drop, stored)
            for drop in drops
            if len(stored := landing.read(drop.key, drop.version_id)) == drop.size
        )
        done = tuple(reader.read(i, drop, stored) for i, (drop, stored) in enumerate(whole))
        return ReadBatch(contract.source, done, reader.frame(), reader.set_aside.frame())


@contextmanager
def _no_cycles() -> Iterator[None]:
    """Millions of small values without a cycle: looking for cycles among them costs a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(slots=True)
class _Pending:
    """Lines that wait until there are enough of them to build columns."""

    texts: list[bytes] = field(default_factory=list)
    places: list[Places] = field(default_factory=list)
    size: int = 0

    def take(self) -> tuple[list[bytes], Places]:
        """All that waits; afterwards nothing does."""
        taken = self.texts, Places.joined(self.places)
        self.texts, self.places, self.size = [], [], 0
        return taken

    def is_full(self) -> bool:
        return self.size >= _CHUNK_BYTES or len(self.texts) >= _CHUNK_LINES


class _Reader:
    """Collects the rows of one batch."""

    def __init__(self, contract: Contract, limits: Limits) -> None:
        self.set_aside = SetAside()
        self._contract = contract
        self._limits = limits
        self._plan = Plan.of(contract)
        self._reads_documents = "cloudtrail" in contract.formats
        self._names = frozenset(path[0] for field in contract.fields for path in field.paths)
        self._json = _Pending()
        self._combined = _Pending()
        self._frames = [pl.DataFrame(schema=self._plan.schema())]
        self._mixed = False

    def frame(self) -> pl.DataFrame:
        """The rows of all drops read so far."""
        self._flush_json()
        self._flush_combined()
        rows = pl.concat(self._frames, rechunk=False)
        # Lines of one kind come in order; only a mixture of JSON and text lines has to be sorted.
        return rows.sort(DROP, LINE) if self._mixed else rows

    def read(self, index: int, drop: Drop, stored: bytes) -> ReadDrop:
        """Read one drop, the `index`-th of the batch."""
        sha256 = hashlib.sha256(stored).hexdigest()
        inflated = inflate(stored, self._limits)
        rule = inflated.held or self._reason_to_hold(inflated.data)
        raw = inflated.data
        raw_sha256 = sha256 if raw is stored else hashlib.sha256(raw).hexdigest()
        if rule:
            self.set_aside.quarantine(Places.one(index, 1, 0, len(raw)), rule)
            return ReadDrop(drop, sha256, raw_sha256, len(raw), 1, raw, (rule,))
        lines, flags = self._read_text(index, inflated)
        return ReadDrop(drop, sha256, raw_sha256, len(raw), lines, raw + inflated.junk, flags)

    def _reason_to_hold(self, data: bytes) -> str | None:
        if _is_utf16(data):
            return "encoding.utf16"
        too_many = count_byte(data, ord("\n")) > self._limits.max_lines
        if self._reads_documents and not too_many:
            too_many = count_byte(data, ord(",")) > self._limits.max_commas
        return "drop.too_many_lines" if too_many else None

    def _read_text(self, index: int, inflated: Inflated) -> tuple[int, tuple[str, ...]]:
        """Read a decompressed drop: how many lines, and the flags."""
        data, flags = inflated.data, []
        start = len(_BOM) if data.startswith(_BOM) else 0
        if start:
            flags.append("encoding.bom")
        if len(data) == start:
            flags.append("empty")
        if inflated.truncated:
            flags.append("gzip.truncated")
        document = None
        if self._reads_documents and data[start:].strip():
            document = cloudtrail.read_document(data, start, self._names)
        if document:
            lines = self._read_records(index, data, document, inflated.truncated)
            flags.extend(document.flags)
        else:
            lines = self._read_lines(index, data, start, inflated.truncated)
        if inflated.junk:
            flags.append("gzip.trailing_junk")
            lines += 1
            junk = Places.one(index, lines, len(data), len(inflated.junk))
            self.set_aside.quarantine(junk, "gzip.trailing_junk")
        return lines, tuple(flags)

    def _read_records(self, index: int, data: bytes, document: cloudtrail.Document, truncated: bool) -> int:
        count = len(document.offsets)
        places = Places.of_drop(index, np.arange(1, count + 1), document.offsets, document.lengths)
        long = document.lengths > self._limits.max_line_bytes
        self.set_aside.quarantine(places.take(long), "line.too_long")
        self._add(self._json, data, places.take(~long))
        if document.rest is None:
            return count
        rest = Places.one(index, count + 1, document.rest, len(data) - document.rest)
        self.set_aside.quarantine(rest, "gzip.truncated" if truncated else document.rule)
        return count + 1

    def _read_lines(self, index: int, data: bytes, start: int, truncated: bool) -> int:
        found = index_lines(data, start)
        count = len(found.offsets)
        places = Places.of_drop(index, np.arange(1, count + 1), found.offsets, found.lengths)
        if truncated and count and not data.endswith(b"\n"):
            self.set_aside.quarantine(places.take(slice(count - 1, None)), "gzip.truncated")
            places = places.take(slice(0, count - 1))
        kinds = sort_lines(data, places.offsets, places.lengths, self._limits.max_line_bytes)
        self.set_aside.blank(places.take(kinds.blank))
        self.set_aside.quarantine(places.take(kinds.too_long), "line.too_long")
        reads_json = self._contract.formats != ("combined",)
        reads_combined = "combined" in self._contract.formats
        self._add(self._json if reads_json else self._combined, data, places.take(kinds.json))
        self._add(self._combined if reads_combined else self._json, data, places.take(kinds.other))
        return count

    def _add(self, pending: _Pending, data: bytes, places: Places) -> None:
        """Queue the text of each line, and build columns whenever there is enough."""
        at = 0
        while at < len(places):
            room = np.searchsorted(places.lengths[at : at + _CHUNK_LINES].cumsum(), _CHUNK_BYTES) + 1
            part = places.take(slice(at, at + int(room)))
            spans = zip(part.offsets.tolist(), (part.offsets + part.lengths).tolist(), strict=True)
            pending.texts.extend([data[begin:end] for begin, end in spans])
            pending.places.append(part)
            pending.size += int(part.lengths.sum())
            at += len(part)
            if pending.is_full():
                self._flush_json() if pending is self._json else self._flush_combined()

    def _flush_json(self) -> None:
        if not self._json.texts:
            return
        texts, places = self._json.take()
        frame, faults = json_frame(self._plan, texts, places, self._limits.max_depth)
        self._frames.append(frame)
        self._quarantine(places, faults)

    def _flush_combined(self) -> None:
        if not self._combined.texts:
            return
        self._mixed = True
        texts, places = self._combined.take()
        decoded, faults = _as_text(texts)
        frame, sound = combined_frame(self._plan, decoded, places)
        self._frames.append(frame)
        broken = {int(i): "combined.syntax" for i in np.flatnonzero(~sound)}
        self._quarantine(places, broken | faults)

    def _quarantine(self, places: Places, faults: dict[int, str]) -> None:
        for rule in sorted(set(faults.values())):
            rows = np.array(sorted(i for i, name in faults.items() if name == rule), dtype=np.int64)
            self.set_aside.quarantine(places.take(rows), rule)


def _is_utf16(data: bytes) -> bool:
    """Whether a drop is UTF-16, and not merely a log whose first line begins with such bytes.

    Names, digits and punctuation are ASCII in any log, so that many bytes of UTF-16 are NUL.
    """
    sample = data[:_UTF16_SAMPLE]
    return sample.startswith(_UTF16) and sample.count(0) * 8 >= len(sample) - 2


def _as_text(lines: list[bytes]) -> tuple[pl.Series, dict[int, str]]:
    """Lines as String, null for the index of each line in the faults."""
    faults: dict[int, str] = {}
    texts: list[str | None] = []
    for i, line in enumerate(lines):
        try:
            texts.append(line.decode())
        except UnicodeDecodeError:
            texts.append(None)
            faults[i] = "encoding.utf8"
        else:
            if b"\0" in line:
                texts[-1], faults[i] = None, "line.nul"
    return pl.Series(texts, dtype=pl.String), faults
