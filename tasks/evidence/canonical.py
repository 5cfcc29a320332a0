"""Canonical JSON: RFC 8785 (JCS) without its numbers trouble.

Floats and integers beyond 2**53-1 are refused instead of rounded, so every value has one byte form in
every language. Keys are ordered by UTF-16 code units; strings must be valid Unicode.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any, Final, NoReturn

from tasks.evidence.reasons import MALFORMED_JSON, UNREPRESENTABLE_VALUE, failure

MAX_SAFE_INTEGER: Final = 2**53 - 1
MAX_DEPTH: Final = 64


def canonical_json(value: object) -> bytes:
    """The one byte form of `value`.

    Args:
        value: None, bool, int, str, or lists, tuples and string-keyed mappings of these.

    Raises:
        VerificationError: `unrepresentable-value` for anything else.
    """
    return encode_utf8(json_text(value))


def parse_canonical(data: bytes) -> Any:
    """The value of canonical bytes; any other spelling of the same value is refused.

    Raises:
        VerificationError: `malformed-json`.
    """
    try:
        value = json.loads(data.decode("utf-8"), parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:
        raise failure(MALFORMED_JSON, "not JSON, or holds a float or too deep nesting") from error
    try:
        canonical = canonical_json(value)
    except Exception as error:
        raise failure(MALFORMED_JSON, "holds a value that has no canonical form") from error
    if canonical != data:
        raise failure(MALFORMED_JSON, "JSON is not in its canonical form")
    return value


def json_text(value: object, depth: int = 0) -> str:
    """As `canonical_json`, as text, for callers that join many values before they encode.

    Lone surrogates are only found when the text is encoded, see `encode_utf8`.
    """
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar(value)
    if depth >= MAX_DEPTH:
        raise failure(UNREPRESENTABLE_VALUE, f"value is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        items = sorted(value.items(), key=lambda item: _utf16_order(item[0]))
        return "{" + ",".join(f"{encode_basestring(k)}:{json_text(v, depth + 1)}" for k, v in items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join([json_text(item, depth + 1) for item in value]) + "]"
    raise failure(UNREPRESENTABLE_VALUE, f"type {type(value).__name__} has no canonical form")


def column_texts(values: Sequence[object]) -> list[str]:
    """`json_text` of each value, several times faster for values that are not nested."""
    try:
        return [_SCALARS[type(value)](value) for value in values]
    except KeyError:
        return [json_text(value, 1) for value in values]


def encode_utf8(text: str) -> bytes:
    """UTF-8 of `text`.

    Raises:
        VerificationError: `unrepresentable-value` when it holds a lone surrogate.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise failure(UNREPRESENTABLE_VALUE, "a string holds a lone surrogate") from error


def key_order(key: str) -> bytes:
    """Sort key that orders names as RFC 8785 section 3.2.3 does: by UTF-16 code units."""
    return key.encode("utf-16-be", "surrogatepass")


def _utf16_order(key: object) -> bytes:
    if type(key) is not str:
        raise failure(UNREPRESENTABLE_VALUE, "an object key is not a string")
    return key_order(key)


def _integer(value: int) -> str:
    if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        return str(value)
    raise failure(UNREPRESENTABLE_VALUE, "an integer lies beyond 2**53-1")


def _no_float(_text: str) -> NoReturn:
    raise ValueError("floats have no place in canonical JSON")


_SCALARS: Final[Mapping[type, Callable[[Any], str]]] = {
    str: encode_basestring,
    int: _integer,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _value: "null",
}
