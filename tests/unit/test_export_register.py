"""The record of processing activities says what contracts say, and nothing that they do not."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from tasks.contracts import Contract, list_sources, load_contract
from tasks.errors import ContractError
from tasks.export.register import (
    NOT_STATED,
    activity,
    duration,
    gaps,
    render_csv,
    render_html,
    render_json,
)
from tests.support import contracts

SHIPPED = [activity(load_contract(source)) for source in list_sources()]
OPERATORS_MATTER = {
    "processing.controller",
    "team, support",
    "processing.dataProtectionOfficer",
    "processing.legalBasis",
    "processing.transfers",
    "slaProperties, retentionMaximum",
}
COMPLETE: dict[str, Any] = {
    "controller": "Example Ltd, 1 High Street",
    "dataProtectionOfficer": "dpo@example.org",
    "legalBasis": "Art. 6(1)(f): security of the service",
    "transfers": "none",
    "purposes": ["Find <b>misuse</b>"],
    "persons": ["Customers"],
    "data": [{"category": "Identity", "fields": ["user"]}],
}


def small(processing: dict[str, Any] | None, **more: Any) -> Contract:
    document = contracts.document() | more
    if processing is not None:
        document["customProperties"] = [
            *document["customProperties"],
            {"property": "processing", "value": processing},
        ]
    return contracts.build(document)


def complete() -> Contract:
    longest = {"property": "retentionMaximum", "value": 2, "unit": "y", "driver": "privacy"}
    return small(
        COMPLETE,
        slaProperties=[*contracts.document()["slaProperties"], longest],
        name="Small log",
        description={"purpose": "One line, one request."},
        roles=[{"role": "auditor", "access": "read"}],
        team={"name": "Platform"},
        support=[{"channel": "#logs", "url": "https://chat.example/logs"}],
    )


def test_shipped_contracts_leave_out_only_what_the_operator_alone_can_know() -> None:
    assert {gap.where for gap in gaps(SHIPPED)} == OPERATORS_MATTER
    assert all(one.purposes and one.persons and one.records and one.recipients for one in SHIPPED)


@pytest.mark.parametrize("one", SHIPPED, ids=lambda one: one.source)
def test_each_personal_field_stands_in_the_record_once_with_its_treatment(one: Any) -> None:
    contract = load_contract(one.source)
    told = [(name, datum.treatment) for datum in one.data for name in datum.fields]
    assert sorted(told) == sorted((f.name, f.treatment) for f in contract.fields if f.is_personal)
    assert all(datum.category and datum.stored for datum in one.data)


def test_a_complete_contract_has_no_gap_and_all_its_words_are_there() -> None:
    one = activity(complete())
    assert gaps([one]) == []
    page = render_html([one]).decode()
    for text in ("Example Ltd, 1 High Street", "dpo@example.org", "Platform", "#logs https://chat.example/logs",
                 "Customers", "One line, one request.", "auditor: read"):  # fmt: skip
        assert text in page
    assert "Find &lt;b&gt;misuse&lt;/b&gt;" in page
    assert "<b>" not in page
    assert page.count(NOT_STATED) == 1  # the footer, which explains the words
    assert page.count("2 years") == 2


def test_a_silent_contract_is_said_to_be_silent() -> None:
    one = activity(small(None))
    assert {gap.where for gap in gaps([one])} >= OPERATORS_MATTER | {"processing.data", "roles"}
    assert render_html([one]).decode().count(NOT_STATED) > 10
    [row] = csv.DictReader(io.StringIO(render_csv([one]).decode(), newline=""))
    assert {row["controller"], row["purposes"], row["category"]} == {NOT_STATED}
    document = json.loads(render_json([one]))
    assert document["activities"][0]["controller"] is None
    assert len(document["not_stated"]) == len(gaps([one]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"controler": "typing error"}, "unknown keys: controler"),
        ({"controller": 7}, "controller must be a string"),
        ({"persons": "all"}, "persons must be a list"),
        ({"data": [{"category": "x"}]}, "data must be a list of"),
        ({"data": [{"category": "x", "fields": ["gone"]}]}, "names `gone`"),
        ({"data": [{"category": c, "fields": ["user"]} for c in "ab"]}, "stands there already"),
    ],
)
def test_a_mistake_in_a_contract_is_a_defect(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        small(COMPLETE | changes)


def test_what_a_policy_or_a_report_says_goes_before_the_contract() -> None:
    told = activity(complete(), {"user": "drop"})
    assert [(datum.treatment, datum.stored) for datum in told.data] == [("drop", "nothing")]
    assert told.erasure == "nothing is stored that leads to a person"


def test_equal_contracts_give_equal_bytes_and_a_page_that_asks_nothing_of_a_network() -> None:
    again = [activity(load_contract(source)) for source in list_sources()]
    for render in (render_html, render_json, render_csv):
        assert render(SHIPPED) == render(again)
    page = render_html(SHIPPED).decode()
    assert "default-src 'none'" in page
    assert re.findall(r'(?:src|href)="(?!#)', page) == []
    anchors = set(re.findall(r' id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (1, "1 day"),
        (400, "400 days"),
        (366, "1 year"),
        (2557, "7 years"),
        (2556, "2556 days"),
        (365, "365 days"),
    ],
)
def test_lengths_are_said_in_years_where_the_contract_meant_years(days: int, text: str) -> None:
    assert duration(days) == text
