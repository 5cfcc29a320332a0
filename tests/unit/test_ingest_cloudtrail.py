"""CloudTrail documents in every shape that real buckets hold, sound and damaged."""

from __future__ import annotations

import gzip
import json

import pytest

from tasks.ingest.limits import Limits
from tests.support.ingest import contract, field, read, rules, slices

SOURCE = contract(
    ("cloudtrail",), field("eventID"), field("n", "integer"), field("arn", "string", ("userIdentity", "arn"))
)
EVENTS = [b'{"eventID":"e%d","n":%d,"userIdentity":{"arn":"a"}}' % (i, i) for i in range(5)]
LOG = b'{"Records":[' + b",".join(EVENTS) + b"]}"


@pytest.mark.parametrize(
    "content",
    [
        LOG,
        gzip.compress(LOG),
        b"\xef\xbb\xbf" + LOG,
        b"\n " + LOG + b"\r\n",
        b'{ "Records" : [ ' + b" ,\n".join(EVENTS) + b"\n ] }",
        b"[" + b",".join(EVENTS) + b"]",
        b"\t[\n" + b"\n,".join(EVENTS) + b" ]\n",
        b"\n".join(EVENTS),
        b"\r\n".join(EVENTS) + b"\r\n",
        b'{"Records":[' + b",".join(EVENTS[:2]) + b']}\n{"Records":[' + b",".join(EVENTS[2:]) + b"]}",
        b'{"Records":[' + b",".join(EVENTS[:2]) + b']}{"Records":[]}[' + b",".join(EVENTS[2:]) + b"]",
    ],
)
def test_shapes_of_a_sound_drop(content: bytes) -> None:
    batch = read(SOURCE, content)
    assert batch.frame["n"].to_list() == [0, 1, 2, 3, 4]
    assert slices(batch, batch.frame) == EVENTS
    assert rules(batch) == []


def test_pretty_printed_records_keep_their_bytes() -> None:
    content = json.dumps({"Records": [json.loads(event) for event in EVENTS]}, indent=2).encode()
    batch = read(SOURCE, content)
    assert [json.loads(text) for text in slices(batch, batch.frame)] == [
        json.loads(event) for event in EVENTS
    ]


@pytest.mark.parametrize("content", [EVENTS[0], json.dumps(json.loads(EVENTS[0]), indent=1).encode() + b"\n"])
def test_event_that_stands_alone(content: bytes) -> None:
    batch = read(SOURCE, content)
    assert batch.frame["eventID"].to_list() == ["e0"]
    assert slices(batch, batch.frame) == [content.strip()]


def test_no_records_no_lines() -> None:
    batch = read(SOURCE, b'{"Records":[]}', b'{"Records": [\n]}', b"[]", b"", b" \n")
    assert [drop.lines for drop in batch.drops] == [0, 0, 0, 0, 1]
    assert rules(batch) == [(1, "blank")]


@pytest.mark.parametrize(
    "content", [b"{}", b'{"records":[]}', b'{"Records":{}}', b'{"Records":null}', b'{"detail":{"n":1}}']
)
def test_absent_records_are_one_quarantined_unit(content: bytes) -> None:
    batch = read(SOURCE, content)
    assert rules(batch) == [(1, "cloudtrail.no_records")]
    assert slices(batch, batch.set_aside) == [content]


def test_items_that_are_no_objects_do_not_touch_their_neighbours() -> None:
    batch = read(SOURCE, b'{"Records":[' + EVENTS[0] + b', null ,[1],"s",' + EVENTS[1] + b"]}")
    assert rules(batch) == [(2, "json.not_object"), (3, "json.not_object"), (4, "json.not_object")]
    assert batch.frame.select("_line", "n").rows() == [(1, 0), (5, 1)]
    assert slices(batch, batch.set_aside) == [b"null", b"[1]", b'"s"']


@pytest.mark.parametrize("cut", [len(LOG) - 1, len(LOG) - 2, len(LOG) - 3, 200, 120, 64, 13, 12, 11, 3, 1])
def test_cut_document_gives_its_whole_records(cut: int) -> None:
    batch = read(SOURCE, LOG[:cut])
    whole = batch.frame.height
    assert slices(batch, batch.frame) == EVENTS[:whole]
    if batch.set_aside.height:
        assert rules(batch) == [(whole + 1, "json.syntax")]
        assert LOG[:cut].endswith(slices(batch, batch.set_aside)[0])
    else:  # nothing but brackets is missing
        assert batch.drops[0].flags == ("json.unclosed",)
        assert cut in {12, 212, len(LOG) - 1, len(LOG) - 2}


def test_truncated_gzip_names_its_reason() -> None:
    big = b'{"Records":[' + b",".join(EVENTS * 2000) + b"]}"
    batch = read(SOURCE, gzip.compress(big)[:-40])
    assert batch.frame.height > 100
    assert rules(batch) == [(batch.frame.height + 1, "gzip.truncated")]
    assert batch.drops[0].flags == ("gzip.truncated",)


@pytest.mark.parametrize(
    "damage", [b'{"n":1,}', b'{"n":NaN}', b'{"n":"open}', b'{"n":1', b"}", b"", b"{]}", b"nul"]
)
def test_records_before_a_damage_are_kept_and_the_rest_is_one_unit(damage: bytes) -> None:
    content = b'{"Records":[' + EVENTS[0] + b"," + EVENTS[1] + b"," + damage + b"," + EVENTS[2] + b"]}"
    batch = read(SOURCE, content)
    assert slices(batch, batch.frame) == EVENTS[:2]
    assert rules(batch) == [(3, "json.syntax")]
    rest = slices(batch, batch.set_aside)[0]
    assert rest == content[content.index(EVENTS[1]) + len(EVENTS[1]) + 1 :]


def test_broken_bytes_and_depth_stay_with_their_record() -> None:
    deep = b'{"n":2,"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    items = [EVENTS[0], b'{"n":1,"x":"\xff"}', b'{"\xff":1}', deep, b'{"n":1,"n":2}', EVENTS[1]]
    batch = read(SOURCE, b'{"Records":[' + b",".join(items) + b"]}")
    assert rules(batch) == [
        (2, "encoding.utf8"),
        (3, "encoding.utf8"),
        (4, "json.too_deep"),
        (5, "json.duplicate_key"),
    ]
    assert slices(batch, batch.set_aside) == items[1:5]


def test_second_records_key_does_not_hide_the_first() -> None:
    content = b'{"Records":[' + EVENTS[0] + b'],"Records":[' + EVENTS[1] + b"]}"
    batch = read(SOURCE, content)
    assert slices(batch, batch.frame) == [EVENTS[0]]
    assert rules(batch) == [(2, "json.duplicate_key")]
    assert slices(batch, batch.set_aside) == [b',"Records":[' + EVENTS[1] + b"]}"]


def test_other_fields_of_the_document_are_reported() -> None:
    batch = read(SOURCE, b'{"v":[[1],"]"],"Records":[' + EVENTS[0] + b'],"x":1}')
    assert slices(batch, batch.frame) == [EVENTS[0]]
    assert batch.drops[0].flags == ("cloudtrail.envelope_fields",)


def test_lines_with_a_broken_first_one() -> None:
    batch = read(SOURCE, b'{"eventID":\n' + b"\n".join(EVENTS))
    assert slices(batch, batch.frame) == EVENTS
    assert rules(batch) == [(1, "json.syntax")]


def test_text_is_one_unit() -> None:
    assert rules(read(SOURCE, b"some\ntext\n")) == [(1, "json.syntax")]


def test_limits_hold_inside_documents() -> None:
    long = b'{"n":1,"x":"' + b"x" * 200 + b'"}'
    content = b'{"Records":[' + EVENTS[0] + b"," + long + b"]}"
    assert rules(read(SOURCE, content, limits=Limits(max_line_bytes=100))) == [(2, "line.too_long")]
    assert rules(read(SOURCE, b"[" + b"1," * 20 + b"1]", limits=Limits(max_commas=10))) == [
        (1, "drop.too_many_lines")
    ]
