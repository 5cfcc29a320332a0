from __future__ import annotations

from typing import Any

import pytest

from tasks.errors import VerificationError
from tasks.evidence.canonical import MAX_SAFE_INTEGER, canonical_json, parse_canonical


def test_keys_are_ordered_by_utf16_code_units_not_by_code_points() -> None:
    # U+1F600 is D83D DE00 in UTF-16, so it comes before U+FB33 although its code point is larger.
    value = {"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "a": 4, "\r": 5, "": 6}
    expected = '{"":6,"\\r":5,"a":4,"\u20ac":3,"\U0001f600":2,"\ufb33":1}'
    assert canonical_json(value) == expected.encode()


def test_strings_escape_only_what_json_requires() -> None:
    text = '"\\/\b\f\n\r\t\x00\x1f\x7f\u2028\u00e9'
    expected = '"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\u2028\u00e9"'
    assert canonical_json(text) == expected.encode()


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        MAX_SAFE_INTEGER + 1,
        -MAX_SAFE_INTEGER - 1,
        "\ud800",
        {"\udfff": 1},
        {1: 2},
        b"bytes",
        {1, 2},
        object(),
    ],
    ids=["float", "nan", "large", "small", "surrogate", "key", "number-key", "bytes", "set", "object"],
)
def test_values_without_one_form_are_refused(value: Any) -> None:
    with pytest.raises(VerificationError) as error:
        canonical_json([value])
    assert error.value.reason == "unrepresentable-value"


def test_nesting_is_limited() -> None:
    value: Any = 0
    for _ in range(100_000):
        value = [value]
    with pytest.raises(VerificationError):
        canonical_json(value)
    with pytest.raises(VerificationError):
        parse_canonical(b"[" * 100_000 + b"]" * 100_000)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u001F"',
        b"1.0",
        b"1e2",
        b"-0",
        b"NaN",
        b"-Infinity",
        b"9007199254740992",
        b"1" * 5000,
        b'"\\ud800"',
        b'"\xff"',
        b'\xef\xbb\xbf"a"',
        b" 1",
        b"1\n",
        b"",
    ],
)
def test_other_spellings_are_refused(data: bytes) -> None:
    with pytest.raises(VerificationError) as error:
        parse_canonical(data)
    assert error.value.reason == "malformed-json"


def test_values_come_back() -> None:
    value = {"a": [None, True, False, 0, -1, MAX_SAFE_INTEGER, "\U0001f600"], "b": {}}
    assert parse_canonical(canonical_json(value)) == value
