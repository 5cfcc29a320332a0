"""DuckDB and Polars give the same verdict on every rule and every value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.batch import EXTRA, TYPE_FAULTS
from tasks.contracts import Contract, Field, Rule, load_contract
from tasks.contracts.compile import broken_masks, rule_names
from tests.support.batches import typed_frame
from tests.support.contracts import build, document, field_of, schema_of

MOMENTS = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), None)
LIKELY_TEXT = st.sampled_from(
    [
        "",
        "-",
        "GET",
        "1.09",
        "us-east-1",
        "AwsApiCall",
        "123456789012",
        "a7",
        "Insight",
        "success",
        "a\n",
        "\na7",
    ]
)
TEXT = st.one_of(st.none(), LIKELY_TEXT, st.text(max_size=70), st.text("aä€😀\n\r\0'\"%:\\", max_size=70))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "number": TEXT,
    "json": TEXT,
    "integer": st.one_of(
        st.none(), st.sampled_from([0, 99, 100, 599, 600, 999, 1000]), st.integers(-(2**53) + 1, 2**53 - 1)
    ),
    "boolean": st.sampled_from([True, False, None]),
    "timestamp": st.sampled_from(MOMENTS),
    "strings": st.none(),
}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as opened:
        yield opened


def rows_of(fields: Sequence[Field]) -> st.SearchStrategy[list[dict[str, Any]]]:
    columns = {field.name: VALUES[field.type] for field in fields}
    row = st.fixed_dictionaries({**columns, EXTRA: st.sampled_from([None, "{}"]), TYPE_FAULTS: st.just([])})
    return st.lists(row, min_size=1, max_size=20)


def by_duckdb(
    connection: duckdb.DuckDBPyConnection, frame: pl.DataFrame, rules: Sequence[Rule]
) -> list[list[str]]:
    connection.register("batch", frame.to_arrow())
    columns = ", ".join(f"NOT coalesce(({rule.sql}), true)" for rule in rules)
    found = connection.execute(f"SELECT {columns} FROM batch").fetchall()
    return [[rule.id for rule, broken in zip(rules, row, strict=True) if broken] for row in found]


def by_polars(frame: pl.DataFrame, rules: Sequence[Rule]) -> list[list[str]]:
    names: list[list[str]] = rule_names(broken_masks(frame, rules), rules).to_list()
    return names


def strict_contract() -> Contract:
    """Every kind of rule, on patterns and predicates that try the engines' differences."""
    content = document()
    patterns = (
        r"^a.b$",
        r"^\d+$",
        r"^[^a]*$",
        r"^(a|b)+$",
        r"a$",
        r"^$",
        r"[ä-ö€😀]",
        r"^[\]\\^-]*$",
        r"'",
        r"^.{2}$",
    )
    properties = schema_of(content)["properties"]
    for index, pattern in enumerate(patterns):
        properties.append(
            {
                "name": f"p{index}",
                "logicalType": "string",
                "logicalTypeOptions": {"pattern": pattern, "maxLength": 3},
            }
        )
    properties.append({"name": "word", "logicalType": "string", "enum": [{"value": "a'b"}, {"value": "ä"}]})
    properties.append({"name": "code", "logicalType": "integer", "enum": [{"value": 0}, {"value": -1}]})
    properties.append({"name": "flag", "logicalType": "boolean", "required": True})
    field_of(content, "status")["required"] = True
    predicates = (
        "status < 500 OR id IS NOT NULL",
        "NOT (flag AND status BETWEEN 200 AND 299)",
        "word <> id",
        "word IN ('a', 'ä') OR code >= 0",
        "code + 1 > status",
        "id = p0 AND NOT flag",
    )
    schema_of(content)["quality"] += [
        {"name": f"row{index}", "type": "custom", "engine": "indelible", "implementation": sql}
        for index, sql in enumerate(predicates)
    ]
    return build(content)


CONTRACTS = {source: load_contract(source) for source in ("app", "cloudtrail", "gateway")} | {
    "strict": strict_contract()
}


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(data=st.data())
def test_both_engines_give_the_same_verdict(
    connection: duckdb.DuckDBPyConnection, contract: Contract, data: st.DataObject
) -> None:
    judged = {rule.field for rule in contract.rules}
    named = " ".join(rule.sql for rule in contract.rules)
    used = [field for field in contract.fields if field.name in judged or field.name in named]
    frame = typed_frame(contract, data.draw(rows_of(used)))
    assert by_polars(frame, contract.rules) == by_duckdb(connection, frame, contract.rules)
