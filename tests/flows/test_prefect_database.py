"""Where the server of one machine keeps its runs: SQLite by itself, PostgreSQL by a setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.server import LocalPrefect
from flows.settings import Settings
from tasks.errors import UsageError

NAME = "PREFECT_SERVER_DATABASE_CONNECTION_URL"


def local(place: Path, url: str | None) -> LocalPrefect:
    return LocalPrefect.of(Settings.model_validate({"state": place, "prefect": {"database_url": url}}))


def test_a_laptop_has_sqlite_in_its_state_directory(tmp_path: Path) -> None:
    environment = local(tmp_path, None).server.environment

    assert NAME not in environment
    assert environment["PREFECT_HOME"] == str(tmp_path / "prefect")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg"])
def test_a_postgresql_url_reaches_the_server_in_its_own_form_and_no_run(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INDELIBLE_PREFECT__DATABASE_URL", f"{scheme}://kim:hidden@db.example:5432/prefect")
    prefect = local(tmp_path, f"{scheme}://kim:hidden@db.example:5432/prefect")

    assert prefect.server.environment[NAME] == "postgresql+asyncpg://kim:hidden@db.example:5432/prefect"
    assert not [name for name, value in prefect.worker.environment.items() if "hidden" in value]


def test_another_database_is_refused_without_its_url(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no PostgreSQL URL") as refused:
        _ = local(tmp_path, "mysql://kim:hidden@db.example/prefect").server

    assert "hidden" not in str(refused.value)


def test_leases_outlive_the_server_and_nothing_is_asked_outside(tmp_path: Path) -> None:
    environment = local(tmp_path, None).server.environment

    assert environment["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith("lease_storage.filesystem")
    assert environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"
    assert {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
    }.items() <= environment.items()
