"""Canonical JSON against the `rfc8785` package, and row leaves by row and by column."""

from __future__ import annotations

from typing import Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tasks.evidence.canonical import MAX_SAFE_INTEGER, canonical_json, parse_canonical
from tasks.evidence.rows import column_leaves, row_leaf

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER),
    text,
    st.just("\U0001f600\ufb33"),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(text, inner, max_size=5)),
    max_leaves=20,
)


@given(values)
def test_bytes_are_those_of_rfc8785_and_come_back(value: Any) -> None:
    data = canonical_json(value)
    assert data == rfc8785.dumps(value)
    assert parse_canonical(data) == value


@given(
    st.lists(text.filter(lambda name: name != "_s"), min_size=1, max_size=6, unique=True).flatmap(
        lambda names: st.lists(
            st.fixed_dictionaries({name: st.one_of(scalars, st.lists(text, max_size=3)) for name in names}),
            max_size=4,
        ).map(lambda rows: (names, rows))
    ),
    st.binary(min_size=64, max_size=64),
)
def test_columns_have_the_leaves_of_their_rows(
    table: tuple[list[str], list[dict[str, Any]]], salts: bytes
) -> None:
    names, rows = table
    columns = {name: [row[name] for row in rows] for name in names}
    by_row = [row_leaf(row, salts[16 * i : 16 * i + 16]) for i, row in enumerate(rows)]
    assert column_leaves(columns, salts[: 16 * len(rows)]) == b"".join(by_row)
