"""Access log lines of nginx and Apache, alone and beside JSON lines of the same source."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tasks.ingest.combined import NAMES
from tests.support.ingest import contract, field, read, rules, slices

WIRE = contract(("ndjson", "combined"), *(field(name) for name in NAMES))
GATEWAY = contract(
    ("ndjson", "combined"),
    field("ip", "string", ("remote_addr",), ("ip",)),
    field("time", "timestamp", ("time_local",), ("requestTime",), time_formats=("clf",)),
    field("request"),
    field("method"),
    field("path"),
    field("status", "integer", lenient=True, nulls=("-",)),
    field("size", "integer", ("body_bytes_sent",), ("responseLength",), lenient=True, nulls=("-",)),
)
TIME = b"[17/May/2015:10:05:03 +0000]"


@pytest.mark.parametrize(
    ("line", "values"),
    [
        (
            rb'1.2.3.4 - bob [T] "GET / HTTP/1.1" 200 12 "http://r/" "curl/7"',
            ("1.2.3.4", None, "bob", "T", "GET / HTTP/1.1", "200", "12", "http://r/", "curl/7"),
        ),
        (
            rb'2001:db8::1 i a b [T] "GET / HTTP/1.1" 304 - "-" ""',
            ("2001:db8::1", "i", "a b", "T", "GET / HTTP/1.1", "304", None, None, ""),
        ),
        (rb'h - - [T] "-" 408 -', ("h", None, None, "T", None, "408", None, None, None)),
        (
            rb'h - - [T] "\x16\x03\x01\"" 400 150 "-" "a \"b\" \\"',
            ("h", None, None, "T", r"\x16\x03\x01\"", "400", "150", None, r"a \"b\" \\"),
        ),
        (
            'h - ü [T] "GET /é HTTP/1.1" 200 1'.encode(),
            ("h", None, "ü", "T", "GET /é HTTP/1.1", "200", "1", None, None),
        ),
    ],
)
def test_parts_of_a_line(line: bytes, values: tuple[str | None, ...]) -> None:
    assert read(WIRE, line).frame.select(NAMES).row(0) == values


@pytest.mark.parametrize(
    "line",
    [
        b"text",
        b'h - - [T] "GET / HTTP/1.1" 200',
        b'h - - [T] "GET / HTTP/1.1" 200 1 "-"',
        b'h - - [T] "GET / HTTP/1.1" 200 1 "-" "a" "extra"',
        b'h - - [T] "GET / HTTP/1.1" 200 1 "-" "a',
        b'h - - [T] "GET "/" HTTP/1.1" 200 1',
        b'h - - [T] "GET / HTTP/1.1" 2000 1',
        b'h - - [T] "GET / HTTP/1.1" 200 1x',
        b'h - - T "GET / HTTP/1.1" 200 1',
        'h - - [T] "GET / HTTP/1.1" ٢٠٠ 1'.encode(),
        b" ",
        b'v:80 h - - [T] "GET / HTTP/1.1" 200 1 2',
    ],
)
def test_anything_else_is_set_aside(line: bytes) -> None:
    batch = read(WIRE, line)
    assert rules(batch) == [(1, "blank" if line == b" " else "combined.syntax")]


def test_broken_bytes_are_named() -> None:
    batch = read(WIRE, b'h - \xff [T] "-" 400 1\nh - a\0 [T] "-" 400 1\n{"ident":"\xff"}')
    assert rules(batch) == [(1, "encoding.utf8"), (2, "line.nul"), (3, "encoding.utf8")]


def test_dialects_of_one_source_meet_in_its_fields() -> None:
    lines = [
        b"1.1.1.1 - - " + TIME + b' "GET /a HTTP/1.1" 200 7 "-" "agent"',
        b'{"ip":"2.2.2.2","requestTime":"17/May/2015:10:05:03 +0000","status":"404","responseLength":"-"}',
        b"3.3.3.3 - - " + TIME + rb' "\x16\x03" 400 - "-" "-"',
        b'{"remote_addr":"4.4.4.4","request":"PUT /b HTTP/2","status":201,"body_bytes_sent":5}',
    ]
    batch = read(GATEWAY, b"\n".join(lines))
    assert slices(batch, batch.frame) == lines
    assert batch.frame.select("ip", "method", "path", "status", "size").rows() == [
        ("1.1.1.1", "GET", "/a", 200, 7),
        ("2.2.2.2", None, None, 404, None),
        ("3.3.3.3", None, None, 400, None),
        ("4.4.4.4", "PUT", "/b", 201, 5),
    ]
    assert batch.frame["time"].to_list() == [datetime(2015, 5, 17, 10, 5, 3, tzinfo=UTC)] * 3 + [None]
    assert [json.loads(text) if text else None for text in batch.frame["_extra"]] == [
        {"http_user_agent": "agent"},
        None,
        None,
        None,
    ]
    assert batch.frame["_type_faults"].to_list() == [[], [], [], []]


def test_impossible_time_is_a_fault() -> None:
    batch = read(GATEWAY, b'h - - [31/Feb/2015:10:05:03 +0000] "-" 400 1')
    assert batch.frame["_type_faults"].to_list() == [["time.type"]]


def test_source_without_json_takes_a_brace_for_text() -> None:
    source = contract(("combined",), *(field(name) for name in NAMES))
    assert rules(read(source, b'{"a":1}')) == [(1, "combined.syntax")]
