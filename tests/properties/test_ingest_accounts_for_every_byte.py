"""Whatever the bytes, every line has its place, and the places give the bytes back."""

from __future__ import annotations

import gzip
import json
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tasks.batch import LENGTH, LINE, OFFSET, ReadBatch
from tasks.contracts.model import Contract, WireFormat
from tasks.ingest.limits import Limits
from tests.support.ingest import contract, field, read

FIELDS = (
    field("s"),
    field("n", "integer", lenient=True, nulls=("-",)),
    field("x", "number"),
    field("b", "boolean"),
    field("t", "timestamp", time_formats=("rfc3339", "clf", "epoch_s", "epoch_ms")),
    field("j", "json"),
    field("l", "strings"),
    field("deep", "string", ("o", "p", "q"), ("s2",)),
    field("method"),
)
FORMATS: tuple[tuple[WireFormat, ...], ...] = (
    ("ndjson",),
    ("ndjson", "combined"),
    ("combined",),
    ("cloudtrail",),
)
NAMES = ["s", "n", "x", "b", "t", "j", "l", "o", "p", "q", "s2", "request", "method", "é", "\\", 'a"b']
LINES_ONLY = FORMATS[:3]

quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)
records = st.dictionaries(st.sampled_from(NAMES), values, max_size=6)
LINE_ENDS = [b"\n", b"\r\n", b"\r", b" ", b"\0", b"\xef\xbb\xbf", b"\xff", b"\x1f\x8b"]
BRACKETS = [b"{", b"}", b"[", b"]", b'"', b"\\", b",", b'{"Records":[', b"]}"]
RECORDS = [b'{"s":"a"}', b'{"s":', b'{"n":1}', b"null", b'h - - [T] "-" 200 -']
fragments = st.lists(
    st.sampled_from([*LINE_ENDS, *BRACKETS, *RECORDS]) | st.binary(max_size=4), max_size=14
).map(b"".join)


def give_back(batch: ReadBatch) -> bytes:
    """The drop, from the places of its lines and the line ends between them."""
    places = pl.concat(
        [batch.frame.select(LINE, OFFSET, LENGTH), batch.set_aside.select(LINE, OFFSET, LENGTH)]
    )
    buffer = batch.drops[0].buffer
    pieces, at = [], 0
    for _, offset, length in places.sort(LINE).rows():
        gap = buffer[at:offset]
        assert gap in {b"", b"\n", b"\r\n", b"\xef\xbb\xbf"}, gap
        pieces += [gap, buffer[offset : offset + length]]
        at = offset + length
    assert buffer[at:] in {b"", b"\n", b"\r\n", b"\xef\xbb\xbf"}
    return b"".join([*pieces, buffer[at:]])


@pytest.mark.parametrize("formats", LINES_ONLY)
@quick
@given(fragments)
@example(b"\xef\xbb\xbf\r\n\r")
@example(b"\n\n")
def test_lines_give_the_drop_back(formats: tuple[WireFormat, ...], content: bytes) -> None:
    batch = read(contract(formats, *FIELDS), content)
    if not batch.drops[0].flags or batch.drops[0].flags == ("encoding.bom",):
        assert give_back(batch) == content


@quick
@given(fragments)
def test_documents_lose_nothing_but_brackets_and_white_space(content: bytes) -> None:
    batch = read(contract(("cloudtrail",), *FIELDS), content)
    places = pl.concat([batch.frame.select(OFFSET, LENGTH), batch.set_aside.select(OFFSET, LENGTH)])
    left = bytearray(batch.drops[0].buffer)
    for offset, length in places.sort(OFFSET, descending=True).rows():
        del left[offset : offset + length]
    rest = (
        bytes(left).removeprefix(b"\xef\xbb\xbf").replace(b'"Records"', b"").translate(None, b" \t\r\n{}[]:,")
    )
    assert rest == b"" or "cloudtrail.envelope_fields" in batch.drops[0].flags


@pytest.mark.parametrize("formats", FORMATS)
@quick
@given(st.binary(max_size=60), st.integers(0, 80), st.integers(0, 255))
def test_damaged_gzip_is_accounted_for(
    formats: tuple[WireFormat, ...], content: bytes, position: int, value: int
) -> None:
    stored = bytearray(gzip.compress(content, mtime=0))
    stored[min(position, len(stored) - 1)] = value
    read(contract(formats, *FIELDS), bytes(stored), bytes(stored[:position]), limits=Limits(max_lines=1000))


def without(record: dict[str, Any], source: Contract) -> dict[str, Any]:
    """What the fields of `source` take of a record, as a dictionary by field."""
    taken: dict[str, Any] = {}
    for wanted in source.fields:
        for path in wanted.paths:
            value: Any = record
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            if value is not None and wanted.name not in taken:
                taken[wanted.name] = value
    return taken


@pytest.mark.parametrize(
    ("separators", "ascii_only"), [((",", ":"), False), ((", ", ": "), True), ((" ,", " :\t"), False)]
)
@quick
@given(st.lists(records, min_size=1, max_size=4))
def test_values_are_those_of_another_parser(
    separators: tuple[str, str], ascii_only: bool, given_records: list[dict[str, Any]]
) -> None:
    source = contract(("ndjson",), *FIELDS)
    lines = [json.dumps(r, separators=separators, ensure_ascii=ascii_only) for r in given_records]
    try:
        content = "\n".join(lines).encode()
    except UnicodeEncodeError:
        return
    batch = read(source, content)
    if batch.set_aside.height:  # a lone surrogate
        assert all("\\ud" in lines[line - 1] for line in batch.set_aside[LINE])
    for row in batch.frame.iter_rows(named=True):
        record = given_records[row[LINE] - 1]
        taken = without(record, source)
        text = taken.get("s")
        assert row["s"] == (text if isinstance(text, str) else None)
        assert ("s.type" in row["_type_faults"]) == (text is not None and not isinstance(text, str))
        number = taken.get("n")
        if type(number) is int:
            assert row["n"] == (number if abs(number) < 2**53 else None)
        if "j" in taken:
            assert json.loads(row["j"]) == taken["j"]
        extra = json.loads(row["_extra"] or "{}")
        for name in {"p", "q", "request", "é", "\\", 'a"b'} & record.keys():
            assert extra[name] == record[name]
