"""`indelible metrics` as a person calls it, and what Prefect's server says of attempts."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import prefect
import pytest
from prefect.settings import PREFECT_API_URL
from typer.testing import CliRunner

from flows.cli.app import app
from flows.metrics.runs import api_url, beyond_first, runs
from flows.settings import Settings
from tasks.metrics import families as f
from tasks.storage.local import LocalStore
from tests.flows.conftest import drop
from tests.support.ports import free_port
from tests.support.sealed_store import SealedStore

NOISE = "part landing-app could not be computed"


def test_print_shows_what_is_sealed_and_what_waits(place: Path) -> None:
    sealed = SealedStore(LocalStore(place / "store")).open()
    sealed.add("app", date(2026, 11, 2), rows=9)
    sealed.sign()
    drop(place, "b.ndjson", good=1)
    result = CliRunner().invoke(app, ["metrics", "print"])
    assert result.exit_code == 0, result.output
    for line in (
        'indelible_records_total{outcome="accepted",source="app"} 9.0',
        'indelible_quarantine_open_lines{source="app"} 1.0',
        'indelible_backlog_drops{source="app"} 1.0',
        'indelible_completeness_open_findings{code="drop-vanished",source="app"} 0.0',
        'indelible_exporter_up{part="log"} 1.0',
    ):
        assert line in result.output.splitlines()


def test_a_part_that_is_down_fails_the_command_after_the_others_were_told(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (place / "landing" / "app").rmdir()
    with caplog.at_level(logging.WARNING):
        result = CliRunner().invoke(app, ["metrics", "print"])
    assert result.exit_code != 0
    assert 'indelible_exporter_up{part="log"} 1.0' in result.output
    assert 'indelible_exporter_up{part="landing-app"} 0.0' in result.output
    assert "landing-app" in str(result.exception)
    assert NOISE in caplog.text


def test_serve_answers_until_it_is_ended(place: Path, tmp_path: Path) -> None:
    port = free_port()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    line = [str(Path(sys.executable).with_name("indelible")), "metrics", "serve", "--port", str(port)]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    process = subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == f"metrics at http://127.0.0.1:{port}/metrics\n"
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        assert b"indelible_build_info" in answer.read()
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    assert rest.endswith("ended\n")
    assert process.returncode == 0
    assert not list(scratch.glob("indelible-catalog-*"))


def test_prefect_is_asked_only_where_it_is(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert api_url(Settings(state=state)) is None
    named = Settings.model_validate({"state": state, "metrics": {"prefect_api": "http://127.0.0.1:1/api"}})
    assert api_url(named) == "http://127.0.0.1:1/api"
    port = free_port()
    (state / "prefect").mkdir(parents=True)
    (state / "prefect" / "port").write_text(f"{port}\n")
    assert api_url(Settings(state=state)) == f"http://127.0.0.1:{port}/api"


def test_second_attempts_and_failures_are_counted_by_prefect(prefect_server: None) -> None:
    failures = iter([True, True, False])

    @prefect.flow(retries=2, retry_delay_seconds=0)
    def delivers() -> None:
        if next(failures):
            raise ConnectionError

    @prefect.flow
    def fails() -> None:
        raise ValueError

    def now() -> dict[tuple[str, ...], float]:
        found = runs(str(PREFECT_API_URL.value()))
        return {(s.metric.name, *s.labels): float(s.value) for s in found if isinstance(s.value, int | float)}

    before = now()
    delivers()
    with pytest.raises(ValueError):
        fails()
    after = now()
    grown = {key: after[key] - before[key] for key in after if after[key] != before[key]}
    assert grown == {
        (f.RETRIES.name, "run"): 2,
        (f.RUNS.name, "completed"): 1,
        (f.RUNS.name, "failed"): 1,
    }


class Attempts:
    """Stands for a run of which only the number of attempts is asked."""

    def __init__(self, run_count: int) -> None:
        self.run_count = run_count


@pytest.mark.parametrize(("length", "pages"), [(0, 1), (199, 1), (200, 2), (5000, 10)])
def test_attempts_are_counted_page_by_page_up_to_a_bound(length: int, pages: int) -> None:
    everything: list[Any] = [Attempts(n % 3) for n in range(length)]
    asked: list[int] = []

    def read(start: int) -> list[Any]:
        asked.append(start)
        return everything[start : start + 200]

    assert beyond_first(read) == sum(run.run_count == 2 for run in everything[:2000])
    assert asked == [200 * page for page in range(pages)]
