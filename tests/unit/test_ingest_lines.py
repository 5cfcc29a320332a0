"""Line ends, marks, blank and overlong lines: every line keeps its number, offset and bytes."""

from __future__ import annotations

import pytest

from tasks.ingest.limits import Limits
from tests.support.ingest import contract, field, read, rules, slices

SOURCE = contract(("ndjson",), field("a", "integer"))
GOOD = b'{"a":1}'


def test_crlf_and_missing_final_newline() -> None:
    batch = read(SOURCE, b'{"a":1}\r\n\r\n{"a":2}\n{"a":3}')
    assert batch.frame.select("a", "_line", "_offset", "_length").rows() == [
        (1, 1, 0, 7),
        (2, 3, 11, 7),
        (3, 4, 19, 7),
    ]
    assert batch.set_aside.row(0) == (0, 2, 9, 0, "blank", [])


def test_lone_carriage_return_is_no_line_end() -> None:
    batch = read(SOURCE, b'{"a":1}\r{"a":2}\n{"a":3}\r')
    assert rules(batch) == [(1, "json.syntax")]
    assert slices(batch, batch.frame) == [b'{"a":3}\r']


def test_byte_order_mark_is_stripped_and_counted_in_offsets() -> None:
    batch = read(SOURCE, b"\xef\xbb\xbf" + GOOD + b"\n" + GOOD)
    assert batch.drops[0].flags == ("encoding.bom",)
    assert batch.frame["_offset"].to_list() == [3, 11]
    assert slices(batch, batch.frame) == [GOOD, GOOD]


def test_byte_order_mark_in_the_middle_is_no_white_space() -> None:
    assert rules(read(SOURCE, GOOD + b"\n\xef\xbb\xbf" + GOOD)) == [(2, "json.syntax")]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_held_whole(encoding: str) -> None:
    content = "\ufeff{}\n{}".encode(encoding)
    batch = read(SOURCE, content)
    assert batch.set_aside.row(0) == (0, 1, 0, len(content), "quarantined", ["encoding.utf16"])


def test_a_first_line_that_begins_like_utf16_costs_only_itself() -> None:
    batch = read(SOURCE, b"\xff\xfe\x00 torn\n" + GOOD + b"\n" + GOOD)
    assert rules(batch) == [(1, "encoding.utf8")]
    assert slices(batch, batch.frame) == [GOOD, GOOD]


@pytest.mark.parametrize(
    ("content", "flags"), [(b"", ("empty",)), (b"\xef\xbb\xbf", ("encoding.bom", "empty"))]
)
def test_empty_drop_has_no_lines(content: bytes, flags: tuple[str, ...]) -> None:
    batch = read(SOURCE, content)
    assert (batch.drops[0].lines, batch.drops[0].flags) == (0, flags)


def test_blank_lines_are_no_records() -> None:
    batch = read(SOURCE, b"\n \t \n" + GOOD + b"\n\n")
    assert rules(batch) == [(1, "blank"), (2, "blank"), (4, "blank")]


def test_record_may_be_indented() -> None:
    assert read(SOURCE, b"  \t" + GOOD + b"  ").frame["a"].to_list() == [1]


def test_nul_bytes_are_quarantined() -> None:
    assert rules(read(SOURCE, GOOD + b"\n\0\0\0\0\n" + GOOD)) == [(2, "json.syntax")]


def test_overlong_line_is_quarantined_without_being_parsed() -> None:
    long = b'{"a":1,"s":"' + b"x" * 10_000_000 + b'"}'
    content = GOOD + b"\n" + long + b"\n" + GOOD
    batch = read(SOURCE, content, limits=Limits(max_line_bytes=1_000_000))
    assert rules(batch) == [(2, "line.too_long")]
    assert slices(batch, batch.set_aside) == [long]
    assert read(SOURCE, content).frame.height == 3


def test_too_many_lines_are_held_whole() -> None:
    batch = read(SOURCE, b"\n" * 11, limits=Limits(max_lines=10))
    assert rules(batch) == [(1, "drop.too_many_lines")]
    assert batch.drops[0].flags == ("drop.too_many_lines",)


def test_too_large_plain_drop_is_held_whole() -> None:
    batch = read(SOURCE, GOOD, limits=Limits(max_drop_bytes=3))
    assert rules(batch) == [(1, "drop.too_large")]
    assert slices(batch, batch.set_aside) == [GOOD]


def test_many_drops_keep_their_order_across_chunks() -> None:
    lines = [b'{"a":%d}' % i for i in range(70_000)]
    batch = read(SOURCE, b"\n".join(lines), b"", b"x\n" + b"\n".join(lines[:3]), b"\n".join(lines))
    assert batch.frame["a"].to_list() == [*range(70_000), *range(3), *range(70_000)]
    assert slices(batch, batch.frame) == [*lines, *lines[:3], *lines]
    assert batch.set_aside.row(0)[:4] == (2, 1, 0, 1)
