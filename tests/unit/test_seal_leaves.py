"""Row leaves by the fast path: byte for byte what the plain path of the format gives."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import leaves
from tasks.errors import IndelibleError
from tasks.evidence import rows
from tasks.evidence.rows import PersonalGroup, row_leaf, salts

SEED = bytes(range(32))
GROUP = PersonalGroup(("_time", "Alpha", "big", "list"), bytes(range(100, 132)))
SAFE = 2**53 - 1
NASTY = [
    "", " ", '"', "\\", "\\u0041", "/", "</script>", "\n\r\t\b\f", "\x00", "\x01\x1f", "\x7f", "\x80\x9f",
    "é", "e\u0301", "\u2028\u2029", "\ufeff", "\ufffd", "\ufffe", "\U0001f600", "\U0010ffff", "\ud7ff\ue000",
    "null", "true", "{}", '{"a":1}', "a" * 10_000, "\u202e", "%s%d{}", "'", "`",
    *(chr(code) for code in range(0x20)),
]  # fmt: skip

# Any text that UTF-8 has, with what JSON escapes made frequent.
TEXTS = st.text(
    st.characters(codec="utf-8") | st.sampled_from('"\\/\x00\x1f\x7f\u2028\u2029\ufeff\U0001f600'),
    max_size=30,
)
ROWS = st.lists(
    st.tuples(
        st.none() | TEXTS,
        st.none() | st.lists(st.none() | TEXTS, max_size=3),
        st.none() | st.integers(-SAFE, SAFE),
        st.none() | st.booleans(),
        st.none() | st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
    ),
    min_size=1,
    max_size=12,
)
SCHEMA: dict[str, pl.DataType] = {
    "text": pl.String(),
    "List": pl.List(pl.String),
    "number": pl.Int64(),
    "flag": pl.Boolean(),
    "_time": pl.Datetime("us", "UTC"),
}


def nasty_frame() -> pl.DataFrame:
    count = len(NASTY)
    return pl.DataFrame(
        {
            "zulu": NASTY,
            "Alpha": [None, *NASTY[1:]],
            "list": [
                [text, None, text] if i % 3 else ([] if i % 2 else None) for i, text in enumerate(NASTY)
            ],
            "flag": [(True, False, None)[i % 3] for i in range(count)],
            "big": [(SAFE, -SAFE, 0, -1, None)[i % 5] for i in range(count)],
            "small": pl.Series([i - 5 for i in range(count)], dtype=pl.Int32),
            "_time": pl.Series([-1, 0, 1_793_613_600_000_001, *[None] * (count - 3)]).cast(
                pl.Datetime("us", "UTC")
            ),
        },
        schema_overrides={"big": pl.Int64, "list": pl.List(pl.String)},
    )


def plain_leaves(frame: pl.DataFrame, seed: bytes) -> bytes:
    salt = salts(seed, 0, frame.height)
    return b"".join(
        row_leaf(leaves.plain_row(row), salt[16 * i : 16 * i + 16])
        for i, row in enumerate(frame.iter_rows(named=True))
    )


def test_the_fast_path_equals_the_plain_path_on_nasty_values() -> None:
    frame = nasty_frame()
    assert leaves.leaf_hashes(frame, SEED) == plain_leaves(frame, SEED)


@given(ROWS)
def test_the_fast_path_equals_the_plain_path_on_any_rows(values: list[tuple[object, ...]]) -> None:
    frame = pl.DataFrame(values, SCHEMA, orient="row")
    assert leaves.leaf_hashes(frame, SEED) == plain_leaves(frame, SEED)


# Where in the order of keys a run of columns stands that are null in all rows.
@pytest.mark.parametrize("places", [("A",), ("b",), ("z",), ("A", "b", "z")], ids="-".join)
def test_columns_without_any_value_stand_in_the_leaf(places: tuple[str, ...]) -> None:
    texts = ["{", "}", "{}", ",", "},{", None]
    names = [f"{place}{i}" for place in places for i in range(leaves._FOLDED_COLUMNS)]
    empty = {name: pl.Series([None] * len(texts), dtype=pl.String) for name in names}
    frame = pl.DataFrame({"a": texts, "c": texts, **empty})
    assert leaves.leaf_hashes(frame, SEED) == plain_leaves(frame, SEED)
    other = frame.with_columns(pl.Series(names[0], texts))
    assert leaves.leaf_hashes(other, SEED) == plain_leaves(other, SEED)


def test_a_personal_group_is_hashed_as_the_plain_path_does(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = nasty_frame()
    expected = b"".join(
        row_leaf(
            rows.withhold(leaves.plain_row(row), GROUP.columns, salts(GROUP.seed, i, 1)), salts(SEED, i, 1)
        )
        for i, row in enumerate(frame.iter_rows(named=True))
    )
    assert leaves.leaf_hashes(frame, SEED, personal=GROUP) == expected
    assert leaves.leaf_hashes(leaves.withhold(frame, GROUP), SEED) == expected
    monkeypatch.setattr(leaves, "ROW_GROUP", 8)
    monkeypatch.setattr(leaves, "_BLOCK_ROWS", 3)
    assert leaves.leaf_hashes(frame, SEED, personal=GROUP) == expected
    tail = leaves.leaf_hashes(frame.slice(11), SEED, 11, GROUP)
    assert tail == expected[32 * 11 :]


def test_what_is_withheld_has_no_personal_column_and_never_twice_the_same_hash() -> None:
    frame = pl.DataFrame({"ip": ["192.0.2.1"] * 3, "n": [1, 2, 3]})
    public = leaves.withhold(frame, PersonalGroup(("ip",), SEED))
    assert public.columns == ["n", "_p"]
    assert public["_p"].n_unique() == 3


@pytest.mark.parametrize("columns", [{"ip": ["a"], "_p": ["b"]}, {"n": [1]}, {"ip": ["a"], "_s": ["b"]}])
def test_a_group_that_the_frame_cannot_have_is_refused(columns: dict[str, list[object]]) -> None:
    with pytest.raises(IndelibleError):
        leaves.leaf_hashes(pl.DataFrame(columns), SEED, personal=PersonalGroup(("ip",), SEED))


def test_times_are_whole_microseconds_before_and_after_1970() -> None:
    moments = [datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), datetime(2026, 11, 2, 10, 0, 0, 1, UTC)]
    assert [leaves.plain_row({"t": moment})["t"] for moment in moments] == [-1, 1_793_613_600_000_001]


def test_salts_go_on_across_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = nasty_frame()
    whole = leaves.leaf_hashes(frame, SEED)
    monkeypatch.setattr(leaves, "ROW_GROUP", 8)
    assert leaves.leaf_hashes(frame, SEED) == whole


def test_equal_rows_have_different_leaves_and_another_seed_gives_others() -> None:
    frame = pl.DataFrame({"ip": ["192.0.2.1"] * 3})
    hashes = leaves.leaf_hashes(frame, SEED)
    assert len({hashes[i : i + 32] for i in range(0, 96, 32)}) == 3
    assert leaves.leaf_hashes(frame, bytes(32)) != hashes


def test_no_rows_have_no_leaves() -> None:
    assert leaves.leaf_hashes(nasty_frame().clear(), SEED) == b""


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Binary, pl.Date, pl.UInt64, pl.List(pl.Int64)])
def test_types_that_have_no_exact_form_are_refused(dtype: pl.DataType) -> None:
    with pytest.raises(IndelibleError, match="wrong"):
        leaves.check_sealable(pl.DataFrame({"wrong": pl.Series([], dtype=dtype)}))


def test_an_encoder_that_differs_in_one_row_in_four_seals_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = nasty_frame().head(4)  # as many as the guard looks at
    honest = leaves._digests

    def wrong(rows: pl.DataFrame, salt: bytes, prefix: str) -> pl.Series:
        return honest(rows, salt, prefix).scatter(3, 64 * "0")

    monkeypatch.setattr(leaves, "_digests", wrong)
    with pytest.raises(IndelibleError, match="nothing was sealed"):
        leaves.leaf_hashes(frame, SEED)


def test_an_integer_that_json_cannot_hold_exactly_is_not_sealed() -> None:
    with pytest.raises(IndelibleError):
        leaves.leaf_hashes(pl.DataFrame({"n": [SAFE + 1]}), SEED)
