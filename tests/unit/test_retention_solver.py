"""Which rule decides how long an object stays, as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.errors import ContractError, UsageError
from tasks.retention import KINDS, LOG_MARGIN_DAYS, Terms, solve
from tests.support import contracts

TERMS = Terms("app", "standard", (("operational", 90), ("regulatory", 400)))
LONG = replace(TERMS, source="trail", minimums=(("regulatory", 2557),))


@pytest.mark.parametrize(
    ("change", "days", "rule"),
    [
        ({}, 400, "contract:regulatory"),
        ({"minimums": (("", 30),)}, 30, "contract"),
        ({"minimums": (("operational", 500), ("regulatory", 400))}, 500, "contract:operational"),
        ({"raised": 500}, 500, "settings"),
        ({"raised": 399}, 400, "contract:regulatory"),
        ({"raised": 400}, 400, "contract:regulatory"),
        ({"maximum": 400}, 400, "contract:regulatory"),
        ({"maximum": 500, "raised": 500}, 500, "settings"),
        ({"override": 1}, 1, "trial"),
        ({"override": 1, "raised": 500}, 1, "trial"),
    ],
)
def test_the_longest_demand_decides_for_records_and_what_proves_them(
    change: dict[str, Any], days: int, rule: str
) -> None:
    terms = replace(TERMS, **change)
    for kind in KINDS:
        if kind not in {"log", "catalog"}:
            decision = solve(terms, kind, [LONG])
            assert (decision.days, decision.rule) == (days, rule)
            assert all(str(asked) in " ".join(decision.reasons) for _, asked in terms.minimums)


def test_the_log_outlives_the_longest_records_of_any_source() -> None:
    decision = solve(TERMS, "log", [TERMS, LONG])
    assert (decision.days, decision.rule) == (2557 + LOG_MARGIN_DAYS, "log")
    assert "records of trail are kept longest, 2557 days" in decision.reasons
    assert solve(TERMS, "log").days > solve(TERMS, "data").days
    # The privacy maximum is about records; the log has digests and counts of them.
    assert solve(replace(TERMS, maximum=400), "log", [LONG]).days == decision.days


def test_a_catalog_is_kept_for_convenience() -> None:
    assert (solve(TERMS, "catalog").days, solve(TERMS, "catalog").rule) == (30, "catalog")


def test_a_minimum_above_the_maximum_is_the_contracts_fault() -> None:
    with pytest.raises(ContractError, match=r"regulatory of app asks for 400 days.* allows 399"):
        solve(replace(TERMS, maximum=399), "data")


def test_settings_above_the_maximum_are_refused() -> None:
    with pytest.raises(UsageError, match=r"ask for 401 days for app.* allows 400"):
        solve(replace(TERMS, maximum=400, raised=401), "data")


def test_a_hold_changes_no_date_and_says_that_it_goes_beyond_the_maximum() -> None:
    held = solve(replace(TERMS, maximum=400), "data", holds=["2026-12"])
    assert held.days == 400
    assert held.reasons[-1] == (
        "legal hold 2026-12 keeps it until it is released, also beyond the privacy maximum of 400 days"
    )
    assert solve(TERMS, "log", holds=["2026-12"]).reasons[-1].startswith("legal hold 2026-12 keeps it")


def test_the_end_is_counted_from_the_stores_time() -> None:
    now = datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert solve(TERMS, "data").until(now) == datetime(2027, 12, 29, 10, tzinfo=UTC)


def sla(**properties: Any) -> dict[str, Any]:
    return {"property": "retention", "unit": "d", **properties}


def document(*properties: dict[str, Any]) -> dict[str, Any]:
    return {**contracts.document(), "slaProperties": list(properties)}


MAXIMUM = {"property": "retentionMaximum", "driver": "privacy", "unit": "d"}


def test_a_contract_gives_a_minimum_a_driver_a_maximum_and_a_class() -> None:
    content = document(
        sla(value=90, driver="operational"),
        sla(value=1, unit="y", driver="regulatory"),
        MAXIMUM | {"value": 400},
    )
    contracts.set_property(content, "retentionClass", "audit-1y")
    contract = contracts.build(content)
    assert contract.retention_minimums == (("operational", 90), ("regulatory", 366))
    assert (contract.retention_days, contract.retention_max_days) == (366, 400)
    assert contract.retention_class == "audit-1y"


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ([sla(value=401), MAXIMUM | {"value": 400}], "at least 401 days contradicts"),
        ([sla(value=1), sla(value=2)], "needs a driver of its own"),
        ([sla(value=1, driver="regulatory"), sla(value=2, driver="regulatory")], "needs a driver of its own"),
        ([sla(value=1, driver="Law")], "needs a driver of its own"),
        ([sla(value=1), MAXIMUM | {"value": 2, "driver": "regulatory"}], "with driver privacy"),
        ([sla(value=1), MAXIMUM | {"value": 2}, MAXIMUM | {"value": 3}], "may be one"),
        ([sla(value=1), MAXIMUM | {"value": "2"}], "retentionMaximum needs a whole number"),
        ([sla(value=1), MAXIMUM | {"value": 0}], "retentionMaximum must be 1 to"),
    ],
)
def test_a_contract_that_contradicts_itself_is_not_loaded(
    properties: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        contracts.build(document(*properties))


def test_the_name_of_a_class_has_a_form() -> None:
    content = contracts.document()
    contracts.set_property(content, "retentionClass", "7 years")
    with pytest.raises(ContractError, match="retentionClass must match"):
        contracts.build(content)
