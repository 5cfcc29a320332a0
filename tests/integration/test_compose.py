"""The compose file's own commands, settings and secrets, run without an engine: from empty volumes to a sealed drop."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from flows import pipeline
from flows.settings import Settings
from flows.wiring import build
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


@pytest.fixture
def settings(services: Outside, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As the worker's container sees them."""
    services.prepare("worker")
    environment = services.environment("worker")
    secrets = Path(environment["SECRETS"]).glob("INDELIBLE_*")
    environment |= {file.name: file.read_text() for file in secrets}
    for name, value in environment.items():
        if name.startswith("INDELIBLE_"):
            monkeypatch.setenv(name, value)
    return Settings()


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


def test_a_drop_is_sealed_under_lock_and_signed_by_openbao(services: Outside, settings: Settings) -> None:
    state = bucket_state(s3(services, "admin", "indelible"))
    assert (state.versioning, state.object_lock, state.default_days) == (True, True, 1)
    line = f'{{"time":"{datetime.now(UTC).isoformat()}","level":"info","message":"here","user":{{"id":"kim"}}}}\n'
    s3(services, "collector", "landing").request("put_object", Key="app/1.ndjson", Body=line.encode())

    pipeline.deliver(build(settings), "app")

    auditor = s3(services, "auditor", "indelible")
    assert f"{ORIGIN}/{YEAR}" in auditor.read(f"log/{YEAR}/checkpoint").decode()
    (data,) = auditor.list("data/")
    with pytest.raises(StoreRefusedError):
        s3(services, "writer", "indelible").delete(data.path, "")
    assert not list((settings.key_directory).glob("signing-*"))  # OpenBao has it
    assert not (settings.key_directory / "table.db").exists()  # PostgreSQL has it


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
