from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tasks.errors import VerificationError
from tasks.evidence.rows import column_leaves, row_leaf, salts, withhold, withhold_columns

SEED = bytes(range(32))


def test_salts_of_a_range_are_a_slice_of_all_salts() -> None:
    everything = salts(SEED, 0, 1000)
    assert len(everything) == 16_000
    assert salts(SEED, 300, 200) == everything[300 * 16 : 500 * 16]
    assert salts(SEED, 5, 0) == b""


@pytest.mark.parametrize(("seed", "start", "count"), [(b"short", 0, 1), (SEED, -1, 1), (SEED, 0, -1)])
def test_salts_outside_a_file_are_refused(seed: bytes, start: int, count: int) -> None:
    with pytest.raises(VerificationError) as error:
        salts(seed, start, count)
    assert error.value.reason == "out-of-range"


def test_a_row_leaf_is_the_hash_of_the_salted_json() -> None:
    salt = bytes(range(16))
    text = json.dumps({"_s": salt.hex(), "a": None, "b": [1]}, separators=(",", ":"))
    assert row_leaf({"b": [1], "a": None}, salt) == hashlib.sha256(b"\x00" + text.encode()).digest()


def test_columns_give_the_leaves_of_their_rows() -> None:
    columns: dict[str, list[Any]] = {
        "z%s": ["100%", None, '"\\'],
        "_drop": [0, 1, 2],
        "ok": [True, False, None],
        "list": [["a", "\u00e9"], [], None],
        "\U0001f600": ["\U0001f600", "", "\x01"],
        "\ufb33": [1, -1, 2**53 - 1],
    }
    packed = salts(SEED, 7, 3)
    expected = [
        row_leaf({name: values[i] for name, values in columns.items()}, packed[i * 16 : i * 16 + 16])
        for i in range(3)
    ]
    assert column_leaves(columns, packed) == b"".join(expected)


def test_a_personal_group_is_one_salted_hash_of_its_own_kind() -> None:
    salt = bytes(range(16))
    text = json.dumps({"_s": salt.hex(), "ip": "192.0.2.1", "user": None}, separators=(",", ":"))
    public = withhold({"user": None, "ok": True, "ip": "192.0.2.1"}, ("ip", "user"), salt)
    assert public == {"ok": True, "_p": hashlib.sha256(b"\x02" + text.encode()).hexdigest()}


def test_columns_are_withheld_as_their_rows_are() -> None:
    columns: dict[str, list[Any]] = {"user": ["ann", None], "ok": [True, False], "_line": [1, 2]}
    public = withhold_columns(columns, ["user"], salts(SEED, 4, 2))
    rows = [{name: values[i] for name, values in columns.items()} for i in range(2)]
    expected = [withhold(row, ["user"], salts(SEED, 4 + i, 1)) for i, row in enumerate(rows)]
    assert [{name: values[i] for name, values in public.items()} for i in range(2)] == expected


@pytest.mark.parametrize("row", [{"ok": 1}, {"user": "ann", "_p": "00"}, {"user": "ann", "_s": "00"}])
def test_a_row_that_has_no_such_group_is_refused(row: dict[str, Any]) -> None:
    columns = {name: [value] for name, value in row.items()}
    for attempt in (
        lambda: withhold(row, ["user"], bytes(16)),
        lambda: withhold_columns(columns, ["user"], bytes(16)),
    ):
        with pytest.raises(VerificationError) as error:
            attempt()
        assert error.value.reason == "unrepresentable-value"


@pytest.mark.parametrize(
    "columns", [{"a": [1]}, {"a": [1, 2, 3]}, {"_s": [1, 2]}, {"a": [1, 1.5]}, {"a": ["x", "\ud800"]}]
)
def test_columns_that_are_no_rows_are_refused(columns: dict[str, list[Any]]) -> None:
    with pytest.raises(VerificationError) as error:
        column_leaves(columns, salts(SEED, 0, 2))
    assert error.value.reason == "unrepresentable-value"


def test_a_row_cannot_bring_its_own_salt() -> None:
    with pytest.raises(VerificationError):
        row_leaf({"_s": "00"}, bytes(16))
    with pytest.raises(VerificationError):
        row_leaf({"a": 1}, bytes(15))
