"""Which columns of a contract are personal, and that what an auditor needs is not among them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.contracts.load import list_sources, load_contract

SOURCES = list_sources()
PUBLIC = {
    "app": {"time", "event_action", "event_outcome", "http_method", "http_status", "service"},
    "cloudtrail": {"eventTime", "eventName", "eventSource", "errorCode", "awsRegion", "readOnly", "eventID"},
    "gateway": {"time", "method", "status", "resource_path", "protocol", "request_id"},
}


@pytest.mark.parametrize("source", SOURCES)
def test_what_a_contract_classifies_or_hides_is_personal(source: str) -> None:
    contract = load_contract(source)
    personal = contract.personal_columns
    assert list(personal) == sorted(set(personal))
    for field in contract.fields:
        told = field.classification in {"personal", "pii", "secret"}
        hidden = field.treatment in {"pseudonym", "truncate_ip", "mask", "drop"}
        assert (field.name in personal) >= (told or hidden), field.name


@pytest.mark.parametrize("source", SOURCES)
def test_what_stands_for_the_whole_raw_line_is_personal(source: str) -> None:
    personal = load_contract(source).personal_columns
    assert {"_extra", "_fingerprint", "_offset"} <= set(personal)
    assert {"_drop", "_line", "_time"}.isdisjoint(personal)


@pytest.mark.parametrize("source", SOURCES)
def test_time_action_resource_and_outcome_can_be_shown(source: str) -> None:
    contract = load_contract(source)
    assert PUBLIC[source].isdisjoint(contract.personal_columns)
    assert contract.time_field not in contract.personal_columns


def test_a_field_that_is_merely_scanned_is_public_until_it_is_classified() -> None:
    field = replace(load_contract("gateway").field("resource_path"), classification="")
    assert field.treatment == "scan"
    assert not field.is_personal
    assert replace(field, classification="pii").is_personal


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_scanned_because_it_may_hold_anything_is_classified(source: str) -> None:
    """Else a field that somebody distrusted would be shown in evidence that withholds the persons."""
    scanned = [field for field in load_contract(source).fields if field.treatment == "scan"]
    assert [field.name for field in scanned if not field.classification] == []
