"""The compose file's own commands and secrets, run without an engine: from empty volumes to a restore drill."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from flows import evidence, key_backups, logs, pipeline
from flows.settings import Settings
from flows.wiring import Runtime, build
from tasks.catalog.query import run_query
from tasks.errors import StoreRefusedError
from tasks.storage.bucket import bucket_state
from tasks.storage.s3 import S3Store
from tests.support.compose import INFRA, ORIGIN, Outside
from tests.support.postgres import PASSWORD, USER, Postgres

YEAR = datetime.now(UTC).year


def make_secrets(directory: Path) -> None:
    spec = importlib.util.spec_from_file_location("new_secrets", INFRA / "new_secrets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write_secrets(directory, datetime.now(UTC))


@pytest.fixture(scope="module")
def services(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Databases, store, keys and Prefect, each healthy by the file's own check; then `provision` has run."""
    directory = tmp_path_factory.mktemp("compose")
    make_secrets(directory / "secrets")
    services = Outside(directory, directory / "secrets", postgres.port, postgres.binaries)
    services.prepare("postgres")
    superuser = {
        "POSTGRES_USER": USER,
        "PGPASSWORD": PASSWORD,
        "PGHOST": "127.0.0.1",
        "PGPORT": f"{postgres.port}",
    }
    script = INFRA / "compose" / "databases.sh"
    subprocess.run([script], env={**services.environment("postgres"), **superuser}, check=True)
    with services.running("seaweedfs", "openbao", "prefect"):
        done = services.run("provision")
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        assert made["buckets"] == ["s3://indelible", "s3://landing"]
        assert "deliver/app" in made["deployments"]
        yield services


def worker(services: Outside, context: pytest.MonkeyPatch, state: Path) -> Runtime:
    """As the worker's container sees the deployment, with its own state directory."""
    services.prepare("worker")
    environment = services.environment("worker")
    secrets = Path(environment["SECRETS"]).glob("INDELIBLE_*")
    environment |= {file.name: file.read_text() for file in secrets}
    environment["INDELIBLE_STATE"] = str(state)
    for name, value in environment.items():
        if name.startswith("INDELIBLE_"):
            context.setenv(name, value)
    return build(Settings())


def land(services: Outside, name: str, *persons: str) -> None:
    now = datetime.now(UTC).isoformat()
    lines = [
        f'{{"time":"{now}","level":"info","message":"{name} {n}","user":"{p}"}}\n'
        for n, p in enumerate(persons)
    ]
    s3(services, "collector", "landing").request(
        "put_object", Key=f"app/{name}", Body="".join(lines).encode()
    )


def people(runtime: Runtime) -> list[tuple[Any, ...]]:
    """Pseudonyms with how many records each has."""
    query = 'SELECT "user", count(*) FROM app GROUP BY ALL ORDER BY ALL'
    return run_query(runtime.session(), runtime.catalog_path, query)[1]


def s3(services: Outside, identity: str, bucket: str, prefix: str = "") -> S3Store:
    key, secret = ((services.secrets / f"{identity}-{part}-key").read_text() for part in ("access", "secret"))
    return S3Store(
        bucket,
        prefix,
        endpoint=services.url(8333, "https"),
        access_key=key,
        secret_key=secret,
        ca_bundle=services.secrets / "ca.pem",
    )


def test_a_drop_is_sealed_and_a_lost_machine_comes_back_from_store_keys_and_one_backup(
    services: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = bucket_state(s3(services, "admin", "indelible"))
    assert (bucket.versioning, bucket.object_lock, bucket.default_days) == (True, True, 1)
    land(services, "1.ndjson", "kim", "lee", "kim")
    first = worker(services, monkeypatch, tmp_path / "first")

    pipeline.deliver(first, "app")

    assert f"{ORIGIN}/{YEAR}" in s3(services, "auditor", "indelible").read(f"log/{YEAR}/checkpoint").decode()
    data = next(iter(s3(services, "auditor", "indelible").list("data/")))
    with pytest.raises(StoreRefusedError):
        s3(services, "writer", "indelible").delete(data.path, "")
    directory = first.settings.key_directory
    assert not list(directory.glob("signing-*"))  # OpenBao has it
    assert not (directory / "table.db").exists()  # PostgreSQL has it

    # The drill of infra/docs/backup.md. Store, OpenBao, key directory and one backup of the key table are kept.
    before = people(first)
    key_backups.back_up(first, tmp_path / "table.backup")
    shutil.rmtree(tmp_path / "first")
    lose_key_table(services)
    second = worker(services, monkeypatch, tmp_path / "second")
    assert key_backups.restore(second, tmp_path / "table.backup").keys > 0
    land(services, "2.ndjson", "lee")

    receipts, _ = pipeline.deliver(second, "app")

    # Exactly what is new, to the same persons, and all of it holds.
    assert [receipt.accepted for receipt in receipts] == [1]
    assert sorted(count for _, count in before) == [1, 2]
    assert [name for name, _ in people(second)] == [name for name, _ in before]
    assert [count for _, count in people(second)] == [2, 2]
    report = evidence.verify_store(second)
    assert report.ok, report.findings


def lose_key_table(services: Outside) -> None:
    url = services.here("worker", (services.secrets / "keys-database-url").read_text())
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as connection:
        connection.execute("DROP OWNED BY keys")
        connection.execute("CREATE SCHEMA IF NOT EXISTS public")


def test_the_servers_pages_may_ask_this_server_only_and_it_logs_as_we_do(services: Outside) -> None:
    answer = requests.get(services.url(4200), timeout=10)
    assert answer.status_code == 200
    assert f"connect-src 'self' {services.url(4200)} " in answer.headers["content-security-policy"]
    # Where the file is not there, Prefect says nothing and logs as it likes.
    assert Path(services.environment("prefect")["PREFECT_LOGGING_SETTINGS_PATH"]) == logs.PREFECT_CONFIG


def test_the_token_uses_keys_and_cannot_rotate_make_or_read_them(services: Outside) -> None:
    def ask(token: str, path: str, **body: str | bool) -> int:
        return requests.post(
            f"{services.url(8200, 'https')}/v1/transit/{path}",
            json=body,
            headers={"X-Vault-Token": (services.secrets / token).read_text()},
            verify=str(services.secrets / "ca.pem"),
            timeout=10,
        ).status_code

    assert ask("openbao-token", "encrypt/indelible-key-table", plaintext="aaaa") == 200
    assert ask("openbao-token", "encrypt/another", plaintext="aaaa") == 403
    assert ask("openbao-token", "keys/indelible-key-table/rotate") == 403
    assert ask("openbao-token", "keys/indelible-key-table/config", exportable=True) == 403
    assert ask("openbao-administrator-token", "keys/indelible-key-table/rotate") in {200, 204}
    assert ask("openbao-administrator-token", "encrypt/indelible-key-table", plaintext="aaaa") == 403
