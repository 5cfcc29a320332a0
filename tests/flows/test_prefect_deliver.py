"""The flows on a Prefect server: how runs end, what they leave to read, what is tried again."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.sorting import FlowRunSort

from flows import deliver as deliver_module
from flows import deployments, pipeline
from flows.backfill import backfill
from flows.deliver import deliver, seal_batch
from flows.exporting import export_evidence
from flows.registration import register
from flows.replay import replay_quarantine
from flows.settings import RecoverySettings, ScheduleSettings
from flows.verification import verify
from tasks.errors import StoreRefusedError, StoreUnavailableError
from tests.flows.conftest import drop

pytestmark = pytest.mark.usefixtures("prefect_server")


def run(flow: Any, **parameters: Any) -> State[Any]:
    return flow(**parameters, return_state=True)  # type: ignore[no-any-return]


def newest_run() -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)[0]


def receipt(key: str) -> str:
    artifact: Any = Artifact.get(key)
    assert artifact is not None
    return str(artifact.data)


def test_a_delivery_seals_what_is_new_and_leaves_a_receipt_whose_sums_add_up(place: Path) -> None:
    drop(place, "2026-11-02.ndjson", good=98, bad=2)

    state = run(deliver, source="app")

    assert (state.name, state.message) == ("Completed", "1 batch sealed: 98 of 100 lines accepted.")
    text = receipt("deliver-app")
    assert "# app: 1 batch sealed" in text
    for row in ("| accepted | 98 |", "| quarantined | 2 |", "| duplicate | 0 |", "| **lines** | **100** |"):
        assert row in text
    assert "| `json.syntax` | 2 |" in text
    assert "(**not WORM**)" in text
    assert "indelible verify" in text
    assert newest_run().name.startswith("deliver-app-20")


def test_the_same_run_again_changes_nothing(place: Path) -> None:
    drop(place, "2026-11-02.ndjson", good=10)
    run(deliver, source="app")
    before = root(receipt("deliver-app"))

    state = run(deliver, source="app")

    assert state.message == "Nothing new: every drop is sealed."
    assert root(receipt("deliver-app")) == before
    assert "# app: nothing new" in receipt("deliver-app")


def test_a_held_batch_ends_the_run_red_and_the_next_run_is_clean(place: Path) -> None:
    drop(place, "2026-11-02.ndjson", good=5, bad=95)

    state = run(deliver, source="app")

    assert (state.type.value, state.name) == ("FAILED", "Held")
    assert state.message is not None
    assert state.message.startswith("1 of 1 batch held by the contract's gate")
    assert "## Held" in receipt("deliver-app")
    assert run(deliver, source="app").name == "Completed"


def test_a_window_leaves_other_days_alone_and_names_the_run(place: Path) -> None:
    drop(place, "2026-11-02.ndjson", good=3)
    drop(place, "2026-11-03.ndjson", good=4)

    state = run(deliver, source="app", since=date(2026, 11, 3), until=date(2026, 11, 4))

    assert state.message == "1 batch sealed: 4 of 4 lines accepted."
    assert newest_run().name == "deliver-app-2026-11-03-to-2026-11-04"


def test_what_is_transient_is_tried_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(place, "2026-11-02.ndjson", good=3)
    failures = [StoreUnavailableError("away"), StoreUnavailableError("still away")]
    let_fail(monkeypatch, failures)

    assert run(deliver, source="app").name == "Completed"
    assert not failures


def test_a_refusal_is_final_at_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(place, "2026-11-02.ndjson", good=3)
    failures = [StoreRefusedError("no permission"), StoreRefusedError("asked twice")]
    let_fail(monkeypatch, failures)

    state = run(deliver, source="app")

    assert state.name == "Failed"
    assert "no permission" in str(state.message)
    assert len(failures) == 1


def test_an_unexpected_exception_does_not_carry_a_value_out(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    drop(place, "2026-11-02.ndjson", good=3)
    let_fail(monkeypatch, [ValueError("cannot parse 'alice@example.com'")])

    state = run(deliver, source="app")

    assert state.name == "Failed"
    assert "ValueError, by way of" in str(state.message)
    assert "alice" not in str(state.message)
    assert "alice" not in str(state.result(raise_on_failure=False))
    assert "alice" not in caplog.text


def test_a_replay_of_what_is_still_broken_says_that_nothing_changed(place: Path) -> None:
    drop(place, "2026-11-02.ndjson", good=98, bad=2)
    run(deliver, source="app")

    run(replay_quarantine, source="app")

    assert "# app: nothing new" in receipt("replay-app")


def test_verification_reports_what_it_checked_and_turns_red_on_a_flipped_byte(place: Path) -> None:
    drop(place, "2026-11-02.ndjson", good=10)
    run(deliver, source="app")
    assert run(verify).name == "Completed"
    assert "# Everything is as it was sealed" in receipt("verify")

    (sealed,) = (place / "store").glob("data/**/*.parquet")
    content = bytearray(sealed.read_bytes())
    content[len(content) // 2] ^= 1
    sealed.chmod(0o644)
    sealed.write_bytes(content)

    assert run(verify).name == "EvidenceBroken"
    assert "# Evidence does not hold" in receipt("verify")


def test_an_export_writes_the_bundle_of_the_days_asked_for(place: Path) -> None:
    drop(place, "2026-11-02.ndjson", good=10)
    run(deliver, source="app")

    state = run(export_evidence, since=date(2026, 11, 1), until=date(2026, 11, 30))

    assert state.name == "Completed"
    bundle = place / "state" / "bundles" / "evidence-2026-11-01-to-2026-11-30.zip"
    assert bundle.stat().st_size > 0
    assert f"indelible-verify {bundle} --policy" in receipt("export-evidence")
    assert run(export_evidence, since=date(2020, 1, 1), until=date(2020, 1, 31)).name == "NothingSealed"


def test_a_backfill_asks_for_a_run_a_day_and_asked_twice_starts_none_twice(place: Path) -> None:
    register(
        deployments.declare(ScheduleSettings(), RecoverySettings(), ["app"], []), ["app"], RecoverySettings()
    )
    asked = {"source": "app", "since": date(2026, 11, 1), "until": date(2026, 11, 3), "reason": "late drops"}

    assert run(backfill, **asked).message == "3 days asked for, in the queue backfill."
    run(backfill, **asked)

    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter.model_validate({"tags": {"all_": ["backfill"]}})
        runs = client.read_flow_runs(flow_run_filter=wanted)
    assert sorted(run.name for run in runs) == [
        f"deliver-app-2026-11-0{day}-to-2026-11-0{day + 1}" for day in (1, 2, 3)
    ]
    assert {run.work_queue_name for run in runs} == {"backfill"}
    assert "Reason given: late drops" in receipt("backfill-app")


def let_fail(monkeypatch: pytest.MonkeyPatch, failures: list[Any]) -> None:
    """The next calls of the sealing stage raise these instead; retries come without delay."""
    work = pipeline.deliver_batch

    def unreliable(*arguments: Any, **keywords: Any) -> Any:
        if failures:
            raise failures.pop(0)
        return work(*arguments, **keywords)

    monkeypatch.setattr(pipeline, "deliver_batch", unreliable)
    monkeypatch.setattr(deliver_module, "seal_batch", seal_batch.with_options(retry_delay_seconds=0))


def root(text: str) -> str:
    """The line of a receipt with the root of the log."""
    return next(line for line in text.splitlines() if line.startswith("| root |"))
