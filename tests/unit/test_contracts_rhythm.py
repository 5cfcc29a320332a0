"""What a contract expects of its source: how often, how late, how steadily."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tasks.contracts import list_sources, load_contract
from tasks.contracts.rhythm import Rhythm
from tasks.errors import ContractError
from tests.support.contracts import build, document, set_property

FREQUENCY = {"property": "frequency", "value": 15, "unit": "min"}
LATENCY = {"property": "latency", "value": 2, "unit": "h"}


def with_rhythm(rhythm: object, *sla: dict[str, Any]) -> dict[str, Any]:
    content = document()
    set_property(content, "rhythm", rhythm)
    content["slaProperties"] += sla
    return content


def test_the_expected_rhythm_is_read_from_the_standard_properties_and_our_own() -> None:
    given = {"interval": "day", "maxEventGapMinutes": 90, "minVolumePct": 12.5}
    assert build(with_rhythm(given, FREQUENCY, LATENCY)).rhythm == Rhythm(
        "day", timedelta(minutes=15), timedelta(hours=2), timedelta(minutes=90), 12.5
    )
    assert build(with_rhythm({"interval": "hour"}, FREQUENCY, LATENCY)).rhythm == Rhythm(
        "hour", timedelta(minutes=15), timedelta(hours=2)
    )


def test_a_contract_may_expect_nothing_and_the_shipped_ones_expect_something() -> None:
    assert build(document()).rhythm is None
    assert all(load_contract(source).rhythm is not None for source in list_sources())


@pytest.mark.parametrize(
    ("rhythm", "sla", "complaint"),
    [
        ({"interval": "hour"}, [FREQUENCY], "need each other"),
        ({}, [FREQUENCY, LATENCY], "need each other"),
        ({"interval": "week"}, [FREQUENCY, LATENCY], "one of hour, day"),
        ({"interval": "hour", "maxGap": 3}, [FREQUENCY, LATENCY], "unknown keys: maxGap"),
        ({"minVolumePct": 101, "interval": "hour"}, [FREQUENCY, LATENCY], "at most 100"),
        ({"maxEventGapMinutes": True, "interval": "hour"}, [FREQUENCY, LATENCY], "above 0"),
        ({"interval": "hour"}, [FREQUENCY, LATENCY, LATENCY], "latency must stand once"),
        ({"interval": "hour"}, [FREQUENCY | {"unit": "w"}, LATENCY], "whole number of min, h or d"),
        ({"interval": "hour"}, [FREQUENCY | {"value": 0}, LATENCY], "frequency must be 1 min"),
        ({"interval": "hour"}, [FREQUENCY | {"value": 1.5}, LATENCY], "whole number of min, h or d"),
    ],
    ids=range(10),
)
def test_a_rhythm_that_cannot_be_meant_is_refused(
    rhythm: object, sla: list[dict[str, Any]], complaint: str
) -> None:
    with pytest.raises(ContractError, match=complaint):
        build(with_rhythm(rhythm, *sla))
