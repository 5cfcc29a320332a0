from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from tasks.batch import EXTRA, TYPE_FAULTS
from tasks.contracts import Contract
from tasks.contracts.compile import broken_masks, rule_counts, rule_names
from tasks.contracts.model import Rule
from tasks.validate.rows import MAX_UNKNOWN_NAMES, OTHER_NAMES, judge, unknown_fields
from tests.support.batches import typed_frame
from tests.support.contracts import build, document, schema_of


@pytest.fixture(scope="module")
def contract() -> Contract:
    content = document()
    advice = {**schema_of(content)["quality"][0], "name": "has_user", "severity": "warning"}
    schema_of(content)["quality"].append({**advice, "implementation": '"user" IS NOT NULL'})
    return build(content)


def rows(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    good = {"time": 0, "id": "a1", "user": "u", "status": 200}
    return [{**good, **change} for change in changes]


def test_a_row_gets_the_names_of_all_rules_it_breaks(contract: Contract) -> None:
    frame = typed_frame(
        contract,
        rows(
            {},
            {"id": "A", "status": 600},
            {"time": None},
            {"status": None, TYPE_FAULTS: ["status.type"]},
            {"id": None, "user": None},
        ),
    )
    verdict = judge(frame, contract.rules)
    assert verdict.failed.to_list() == [False, True, True, True, True]
    assert verdict.rules.to_list() == [
        ["id.pattern", "status.range"],
        ["time.required"],
        ["status.type"],
        ["user_or_id"],
    ]


def test_advisory_rules_are_counted_and_fail_nobody(contract: Contract) -> None:
    verdict = judge(typed_frame(contract, rows({}, {"user": None})), contract.rules)
    assert not verdict.failed.any()
    assert verdict.violations == {"has_user": 1}


def test_every_rule_is_measured_even_when_nobody_breaks_it(contract: Contract) -> None:
    verdict = judge(
        typed_frame(contract, rows({}, {TYPE_FAULTS: ["status.type", "id.type"]})), contract.rules
    )
    assert verdict.measured == {
        "time.required": 0,
        "id.pattern": 0,
        "status.range": 0,
        "user_or_id": 0,
        "has_user": 0,
        "type": 1,
    }
    assert verdict.violations == {"status.type": 1, "id.type": 1}


def test_null_satisfies_every_rule_but_required(contract: Contract) -> None:
    verdict = judge(typed_frame(contract, rows({"id": None, "status": None})), contract.rules)
    assert verdict.failed.to_list() == [False]


def test_no_rows_give_no_verdicts(contract: Contract) -> None:
    verdict = judge(typed_frame(contract, []), contract.rules)
    assert verdict.failed.len() == 0
    assert verdict.rules.len() == 0
    assert set(verdict.measured.values()) == {0}


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 128, 200])
def test_any_number_of_rules_fits_into_the_masks(count: int) -> None:
    rules = [
        Rule(f"n.range{i}", "n", "error", "range", f"n <= {i}", {"max": i - 1}) for i in range(1, count + 1)
    ]
    values = [0, 1, 64, 65, 199, 200, None]
    frame = pl.DataFrame({"n": pl.Series(values, dtype=pl.Int64)})
    masks = broken_masks(frame, rules)
    broken = [[] if value is None else [rule.id for rule in rules[:value]] for value in values]
    assert rule_names(masks, rules).to_list() == broken
    assert rule_counts(masks, rules) == {
        rule.id: sum(rule.id in names for names in broken)
        for rule in rules
        if any(rule.id in names for names in broken)
    }


def extras(contract: Contract, *found: dict[str, Any] | None) -> dict[str, int]:
    texts = [None if extra is None else json.dumps(extra) for extra in found]
    return unknown_fields(typed_frame(contract, rows(*({EXTRA: text} for text in texts))))


def test_unknown_fields_are_counted_by_name(contract: Contract) -> None:
    counts = extras(contract, None, {"pid": 1, "@version": "1"}, {"pid": {"deep": 2}})
    assert counts == {"pid": 2, "@version": 1}


@pytest.mark.parametrize("name", ["bob@example.com", "192.0.2.7", "4111111111111", "Jane Doe", "", "x" * 80])
def test_a_key_that_may_be_personal_is_not_reported_by_name(contract: Contract, name: str) -> None:
    assert extras(contract, {name: 1, "pid": 2}) == {OTHER_NAMES: 1, "pid": 1}


def test_the_number_of_reported_names_is_bounded(contract: Contract) -> None:
    counts = extras(contract, {f"key{i}": i for i in range(MAX_UNKNOWN_NAMES + 7)}, {"key0": 1, "late": 1})
    assert len(counts) == MAX_UNKNOWN_NAMES + 1
    assert counts[OTHER_NAMES] == 8
    assert counts["key0"] == 2
