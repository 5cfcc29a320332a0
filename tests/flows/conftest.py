"""One Prefect server for all flow tests, and a deployment in a directory for each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness

_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
}


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A real API on an empty SQLite file. The heartbeat thread of a run would cost a second at its end."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _QUIET.items():
            patch.setenv(name, value)
        with (
            temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
            prefect_test_harness(server_startup_timeout=240),
        ):
            yield


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a deployment in a directory: `place/landing/app` in, `place/store` out."""
    landing = tmp_path / "landing" / "app"
    landing.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INDELIBLE_CONFIG", raising=False)
    monkeypatch.setenv("INDELIBLE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("INDELIBLE_STORE__URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("INDELIBLE_LANDING__URIS", json.dumps({"app": landing.as_uri()}))
    return tmp_path


def drop(place: Path, name: str, good: int, bad: int = 0) -> None:
    """Let a drop land: so many lines in order, then so many that are no JSON."""
    lines = [
        json.dumps(
            {"time": f"2026-11-02T10:00:{n % 60:02d}Z", "level": "info", "message": f"{name} line {n}"}
        )
        for n in range(good)
    ]
    text = "".join(f"{line}\n" for line in [*lines, *(f"broken {n} of {name}" for n in range(bad))])
    (place / "landing" / "app" / name).write_text(text)
