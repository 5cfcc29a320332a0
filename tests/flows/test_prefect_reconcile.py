"""The flow `reconcile-gaps`: what it delivers, how it ends, and what it leaves to read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from flows import completeness
from flows.holding import Order
from flows.reconcile import reconcile_gaps
from flows.work import open_runtime
from tasks.completeness.intervals import Interval
from tests.flows.conftest import drop
from tests.flows.test_prefect_deliver import receipt, run

pytestmark = pytest.mark.usefixtures("prefect_server")
DAY, NEXT = date(2026, 11, 2), date(2026, 11, 3)


def test_what_was_left_behind_is_delivered_and_what_stays_open_fails_the_run_until_it_is_explained(
    place: Path,
) -> None:
    drop(place, "2026-11-02-person.ndjson", good=30)

    state = run(reconcile_gaps, source="app", since=DAY, until=NEXT)

    assert (state.name, state.message) == (
        "Incomplete",
        "Open: 1 event-gap. Next: indelible completeness check app",
    )
    text = receipt("completeness-app")
    for row in ("| batches delivered | 1 |", "| lines sealed | 30 |", "| `event-gap` | missing | 1 |"):
        assert row in text
    assert "person" not in text

    whole = Interval(datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC))
    completeness.explain(open_runtime(), "app", whole, [], Order("bob", "alice", "Closed in the afternoon."))
    state = run(reconcile_gaps, source="app", since=DAY, until=NEXT)

    assert state.is_completed()
    assert str(state.message).startswith("Nothing is open; 0 batches")
    assert "| findings explained | 1 |" in receipt("completeness-app")


def test_days_that_cannot_be_meant_are_refused(place: Path) -> None:
    del place
    state = run(reconcile_gaps, source="app", since=NEXT, until=DAY)
    assert state.is_failed()
    assert "does not lie after" in str(state.message)
