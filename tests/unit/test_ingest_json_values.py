"""JSON records become typed columns; what does not fit is named, and what is not named is kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from tasks.contracts.model import FieldType
from tasks.ingest.limits import Limits
from tests.support.ingest import contract, field, read, rules

ABSENT = object()


def one(kind: FieldType, source: str, **more: Any) -> tuple[Any, list[str]]:
    batch = read(contract(("ndjson",), field("v", kind, **more)), b'{"v":%s}' % source.encode())
    return batch.frame["v"][0], batch.frame["_type_faults"][0].to_list()


@pytest.mark.parametrize(
    ("kind", "source", "value"),
    [
        ("string", r'"a"', "a"),
        ("string", r'""', ""),
        ("string", r'"caf\u00e9 \"q\" \\ \ud83d\ude00"', 'café "q" \\ 😀'),
        ("string", '"é😀"', "é😀"),
        ("string", "null", None),
        ("integer", "9007199254740991", 9007199254740991),
        ("integer", "-9007199254740991", -9007199254740991),
        ("integer", "-0", 0),
        ("number", "1.50", "1.50"),
        ("number", "-1E+400", "-1E+400"),
        ("number", "12345678901234567890123", "12345678901234567890123"),
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("json", '{"b" : [1.0, "x\\n"]}', '{"b" : [1.0, "x\\n"]}'),
        ("json", '"text"', '"text"'),
        ("json", "null", None),
        ("strings", r'["a","\u0062"]', ["a", "b"]),
        ("strings", "[]", []),
    ],
)
def test_value_of_the_right_type(kind: FieldType, source: str, value: object) -> None:
    found, faults = one(kind, source)
    assert (found.to_list() if isinstance(found, pl.Series) else found) == value
    assert faults == []


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("string", "1"),
        ("string", "{}"),
        ("integer", "true"),
        ("integer", "1.0"),
        ("integer", "1e3"),
        ("integer", '"1"'),
        ("integer", "9007199254740992"),
        ("integer", "123456789012345678901234567890"),
        ("number", '"1"'),
        ("number", "false"),
        ("boolean", "1"),
        ("boolean", '"true"'),
        ("strings", '["a",1]'),
        ("strings", '["a",null]'),
        ("strings", '"a"'),
        ("timestamp", "true"),
    ],
)
def test_value_of_the_wrong_type_is_null_and_a_fault(kind: FieldType, source: str) -> None:
    assert one(kind, source, time_formats=("rfc3339", "epoch_s")) == (None, ["v.type"])


@pytest.mark.parametrize(
    ("kind", "source", "value"),
    [
        ("integer", '"200"', 200),
        ("number", '"0.5"', "0.5"),
        ("boolean", '"true"', True),
        ("integer", '"-"', None),
    ],
)
def test_lenient_field_takes_texts(kind: FieldType, source: str, value: object) -> None:
    assert one(kind, source, lenient=True, nulls=("-",)) == (value, [])


@pytest.mark.parametrize(
    ("kind", "source"), [("integer", '"007"'), ("integer", '"2x"'), ("number", '".5"'), ("boolean", '"True"')]
)
def test_lenient_field_takes_no_other_texts(kind: FieldType, source: str) -> None:
    assert one(kind, source, lenient=True) == (None, ["v.type"])


def test_first_path_that_has_a_value_wins_and_the_other_value_is_kept() -> None:
    source = contract(("ndjson",), field("ip", "string", ("remote_addr",), ("client", "ip")))
    batch = read(
        source,
        b'{"remote_addr":"a","client":{"ip":"b"}}\n{"client":{"ip":"b"}}\n{"remote_addr":null,"client":{"ip":"c"}}\n{}',
    )
    assert batch.frame["ip"].to_list() == ["a", "b", "c", None]
    assert batch.frame["_extra"].to_list() == ['{"client":{"ip":"b"}}', None, None, None]


def test_unknown_names_are_kept_byte_for_byte_under_their_parents() -> None:
    source = contract(("ndjson",), field("arn", "string", ("who", "arn")), field("a", "integer"))
    batch = read(source, b'{"a":1,"x": 1.50,"who":{"arn":"r","deep":{"k":[1, 2]},"n":null},"\xc3\xa9\\n":""}')
    assert batch.frame["arn"][0] == "r"
    extra = batch.frame["_extra"][0]
    assert json.loads(extra) == {"x": 1.5, "é\n": "", "who": {"deep": {"k": [1, 2]}, "n": None}}
    assert '"x":1.50' in extra
    assert '"deep":{"k":[1, 2]}' in extra


def test_parent_that_is_no_object_is_a_fault_and_is_kept() -> None:
    source = contract(("ndjson",), field("arn", "string", ("who", "arn")), field("n", "integer"))
    batch = read(source, b'{"who":"x","n":"y"}\n{"who":null}\n{"who":{"arn":"r"}}')
    assert batch.frame["_type_faults"].to_list() == [["n.type", "who.type"], [], []]
    assert batch.frame["_extra"].to_list() == ['{"who":"x"}', None, None]
    assert batch.frame["arn"].to_list() == [None, None, "r"]


def test_subtree_can_be_kept_whole_and_taken_apart() -> None:
    source = contract(("ndjson",), field("who", "json"), field("arn", "string", ("who", "arn")))
    batch = read(source, b'{"who":{"arn":"r","x":1}}')
    assert batch.frame.select("who", "arn", "_extra").row(0) == ('{"arn":"r","x":1}', "r", None)


@pytest.mark.parametrize(
    "record",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"b":2,"a":3}',
        b'{"a":1,"a":2,"b":3}',
        b'{ "a" : 1, "b" : 2, "a" : 1 }',
        b'{"a":1,"\\u0061":2}',
        b'{"zz":1,"zz":2}',
        b'{"who":{"arn":"x","arn":"y"}}',
        b'{"who":{"q":1, "q":1}}',
        b'{"a":1,"a":123456789012345678901234567890, "b":1e999}',
    ],
)
def test_repeated_key_is_quarantined(record: bytes) -> None:
    source = contract(("ndjson",), field("a", "integer"), field("arn", "string", ("who", "arn")))
    assert rules(read(source, record)) == [(1, "json.duplicate_key")]


@pytest.mark.parametrize(
    "record",
    [
        b"{}",
        b"{ }",
        b'{"zz":1}',
        b'{ "a" : 1 , "b" : "\\"a\\":" , "c" : { "a" : 1 } }',
        b'{"\\u0061":1}',
        b'{"a":1,"x":{"a":1}}',
        b'{"a":null,\t"b":"b"}',
    ],
)
def test_sound_record_is_no_duplicate_however_it_is_written(record: bytes) -> None:
    source = contract(("ndjson",), field("a", "integer"))
    batch = read(source, record)
    assert batch.frame.height == 1
    assert batch.frame["a"][0] == json.loads(record).get("a")


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        (b'{"a":NaN}', "json.syntax"),
        (b'{"a":01}', "json.syntax"),
        (b'{"a":1,}', "json.syntax"),
        (b'{"a":"\x01"}', "json.syntax"),
        (b'{"a":"\x00"}', "json.syntax"),
        (b'{"a":"\\ud800"}', "json.syntax"),
        (b'{"x":{"y":"\\udc00"}}', "json.syntax"),
        (b'{"x":["\\ud800\\u0041"]}', "json.syntax"),
        (b'{"a":1} x', "json.syntax"),
        (b'{"a":1}{"a":2}', "json.syntax"),
        (b'{"x":"\xff"}', "encoding.utf8"),
        (b'{"x":"\xed\xa0\x80"}', "encoding.utf8"),
        (b"[1]", "json.not_object"),
        (b"null", "json.not_object"),
        (b'"text"', "json.not_object"),
        (b"text", "json.syntax"),
    ],
)
def test_unsound_record_is_quarantined_and_its_neighbours_are_not(record: bytes, rule: str) -> None:
    batch = read(contract(("ndjson",), field("a", "integer")), b'{"a":1}\n' + record + b'\n{"a":3}\n')
    assert rules(batch) == [(2, rule)]
    assert batch.frame["a"].to_list() == [1, 3]


@pytest.mark.parametrize("where", ["known", "other"])
@pytest.mark.parametrize("depth", [9, 10, 300, 960, 980, 990, 100_000])
def test_nesting_is_judged_by_the_limit_alone(where: str, depth: int) -> None:
    nested = b"[" * depth + b'"' + b"]" * 40 + b'"' + b"]" * depth
    source = contract(("ndjson",), field("known", "json"), field("n", "integer", ("other", "n")))
    batch = read(source, b'{"%s":%s}' % (where.encode(), nested), limits=Limits(max_depth=10))
    assert rules(batch) == ([] if depth < 10 else [(1, "json.too_deep")])


def test_faults_of_many_rows_stay_with_their_rows() -> None:
    lines = [
        b'{"a":%s,"b":%s}' % (b'"x"' if i % 3 == 0 else b"1", b"[]" if i % 5 == 0 else b'"y"')
        for i in range(3000)
    ]
    batch = read(contract(("ndjson",), field("a", "integer"), field("b")), b"\n".join(lines))
    expected = [["a.type"] * (i % 3 == 0) + ["b.type"] * (i % 5 == 0) for i in range(3000)]
    assert batch.frame["_type_faults"].to_list() == expected


def test_request_line_is_split_where_the_record_has_no_parts() -> None:
    source = contract(("ndjson",), field("method"), field("path"), field("protocol"))
    batch = read(
        source,
        b'{"request":"GET /a?b=1 HTTP/1.1"}\n{"request":"GET /x HTTP/2.0","path":"/own"}\n'
        b'{"request":"\\\\x16\\\\x03\\\\x01"}\n{"path":"/only"}',
    )
    assert batch.frame.select("method", "path", "protocol").rows() == [
        ("GET", "/a?b=1", "HTTP/1.1"),
        ("GET", "/own", "HTTP/2.0"),
        (None, None, None),
        (None, "/only", None),
    ]
    assert batch.frame["_extra"][0] == '{"request":"GET /a?b=1 HTTP/1.1"}'


def test_frame_has_the_types_of_the_contract_even_when_empty() -> None:
    fields = (
        field("s"),
        field("n", "integer"),
        field("t", "timestamp", time_formats=("rfc3339",)),
        field("l", "strings"),
    )
    full = read(contract(("ndjson",), *fields), b'{"t":"2026-01-01T00:00:00Z"}').frame
    empty = read(contract(("ndjson",), *fields), b"").frame
    assert full.schema == empty.schema
    assert full["t"][0] == datetime(2026, 1, 1, tzinfo=UTC)
