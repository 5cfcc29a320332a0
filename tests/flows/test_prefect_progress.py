"""A run of several batches shows how far it is; its receipt leads on to other pages of the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import FlowRunSort

from flows.deliver import deliver
from tests.flows.conftest import drop

pytestmark = pytest.mark.usefixtures("prefect_server")


def newest(key: str) -> Any:
    return Artifact.get(key)


def test_a_bar_is_full_when_all_batches_are_sealed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDELIBLE_LIMITS__BATCH_DROPS", "1")
    for day in (2, 3, 4):
        drop(place, f"2026-11-0{day}.ndjson", good=3)

    deliver(source="app", return_state=True)

    bar = newest("progress-app")
    assert (bar.type, float(bar.data), bar.description) == ("progress", 100.0, "app: 3 batches to seal")
    assert "# app: 3 batches sealed" in newest("deliver-app").data


def test_a_receipt_links_its_run_and_the_last_verification(place: Path) -> None:
    drop(place, "2026-11-02.ndjson", good=3)

    deliver(source="app", return_state=True)

    with get_client(sync_client=True) as client:
        run = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)[0]
    text = newest("deliver-app").data
    assert f"](/runs/flow-run/{run.id})" in text
    assert "[Last verification](/artifacts/key/verify)" in text
    assert 'FROM access_events\n    WHERE shard = 2026 AND entry = 2 LIMIT 1"' in text
