"""In transit and at rest: TLS that is verified, and objects under keys that a real KMS can destroy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows import evidence, pipeline, wiring
from flows.settings import Settings
from tasks.catalog.query import run_query
from tasks.catalog.session import Session
from tasks.errors import StoreRefusedError, StoreUnavailableError, UsageError
from tasks.evidence import paths
from tasks.storage import open_store
from tasks.storage.s3 import S3Store
from tasks.verify import reasons
from tests.support.faults import SOURCE, land, write_contract
from tests.support.openbao import OpenBao, run_openbao
from tests.support.secure_s3 import SecureS3, run_secure_s3
from tests.support.tls import new_authority

UNTIL = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with run_openbao(tmp_path_factory.mktemp("openbao")) as running:
        yield running


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, bao: OpenBao) -> Iterator[SecureS3]:
    with run_secure_s3(tmp_path_factory.mktemp("secure"), bao) as running:
        yield running


@pytest.fixture
def bucket(secure: SecureS3) -> str:
    return secure.bucket()


def at(secure: SecureS3, bucket: str, **options: Any) -> S3Store:
    """The bucket, by one who does not wait between repetitions."""
    return S3Store(bucket, **secure.section(**options), sleep=lambda _: None)


def untrusting(secure: SecureS3, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Ways to the server whose certificate does not hold."""
    return {
        "another authority": {"ca_bundle": new_authority(tmp_path, "another authority").bundle},
        "the system's authorities": {"ca_bundle": None},
        "another name": {"endpoint": secure.endpoint.replace("127.0.0.1", "localhost")},
    }


def test_a_server_with_a_certificate_of_the_given_authority_is_trusted(secure: SecureS3, bucket: str) -> None:
    store = open_store(f"s3://{bucket}", **secure.section())
    assert store.create("a", b"x", retain_until=UNTIL).retain_until == UNTIL
    assert store.read("a") == b"x"


def test_authorities_of_the_system_are_trusted_by_default(
    secure: SecureS3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.authority.bundle))
    store = at(secure, bucket, ca_bundle=None)
    store.create("a.csv", b"n\n1\n", retain_until=UNTIL)
    session = Session(store.uri, **secure.section(ca_bundle=None))
    assert session.connect(":memory:").sql(f"FROM '{session.locate('a.csv')}'").fetchall() == [(1,)]


@pytest.mark.parametrize("way", ["another authority", "the system's authorities", "another name"])
def test_nothing_is_sent_to_a_server_whose_certificate_does_not_hold(
    secure: SecureS3, bucket: str, tmp_path: Path, way: str
) -> None:
    options = untrusting(secure, tmp_path)[way]
    waits: list[float] = []
    store = S3Store(bucket, **secure.section(**options), sleep=waits.append)
    with pytest.raises(StoreRefusedError, match="certificate") as caught:
        store.create("a", b"x", retain_until=UNTIL)
    assert "ca_bundle" in caught.value.next_step
    assert waits == []  # the same certificate would be shown again
    assert list(at(secure, bucket).list_versions()) == []


@pytest.mark.parametrize("client", ["curl", "httplib"])  # DuckDB has two, and by default one verifies nothing
@pytest.mark.parametrize("way", ["another authority", "the system's authorities", "another name"])
def test_the_catalog_reads_from_no_server_whose_certificate_does_not_hold(
    secure: SecureS3, bucket: str, tmp_path: Path, way: str, client: str
) -> None:
    at(secure, bucket).create("a.csv", b"n\n1\n", retain_until=UNTIL)
    session = Session(f"s3://{bucket}", **secure.section(**untrusting(secure, tmp_path)[way]))
    connection = session.connect(":memory:")
    connection.execute(f"SET http_retries = 0; SET httpfs_client_implementation = '{client}'")
    with pytest.raises(Exception, match="SSL"):
        connection.sql(f"FROM '{session.locate('a.csv')}'")


def test_no_variable_of_the_environment_leads_elsewhere(
    secure: SecureS3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", secure.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", secure.endpoint)
    store = at(secure, bucket, endpoint=None)
    assert store._fs.s3.meta.endpoint_url == "https://s3.amazonaws.com"


@pytest.mark.parametrize("host", ["s3.example.org", "10.0.0.7:8333", "[fd00::7]:8333", "127.example.org"])
def test_http_is_refused_beyond_this_machine_unless_it_is_allowed(host: str) -> None:
    for uri, endpoint in ((f"s3://b?endpoint=http://{host}", None), ("s3://b", f"http://{host}")):
        with pytest.raises(UsageError, match="http://") as caught:
            open_store(uri, endpoint=endpoint)
        assert "allow_http" in caught.value.next_step
        assert open_store(uri, endpoint=endpoint, allow_http=True).uri == "s3://b"
        secure = endpoint and endpoint.replace("http:", "https:")
        assert open_store(uri.replace("http:", "https:"), endpoint=secure).uri == "s3://b"


@pytest.mark.parametrize("host", ["127.0.0.1:8333", "127.1.2.3", "localhost:8333", "[::1]:8333"])
def test_http_to_this_machine_is_allowed(host: str) -> None:
    assert open_store("s3://b", endpoint=f"http://{host}").uri == "s3://b"


def test_a_bundle_without_a_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for name in ("empty.pem", "absent.pem"):
        with pytest.raises(UsageError, match=name):
            open_store("s3://b", ca_bundle=tmp_path / name)
        with pytest.raises(UsageError, match=name):
            Session("s3://b", ca_bundle=tmp_path / name).connect(":memory:")


def test_each_path_is_encrypted_under_its_key_and_that_is_read_back(
    secure: SecureS3, bao: OpenBao, bucket: str
) -> None:
    for name in ("records", "proofs"):
        bao.create_key(name)
    store = at(secure, bucket, kms_keys={"": "records", "log/": "proofs"})
    store.create("data/a", b"x", retain_until=UNTIL)
    store.create("log/a", b"x", retain_until=UNTIL)
    store.replace("log/checkpoint", b"x")
    for path, key in {"data/a": "records", "log/a": "proofs", "log/checkpoint": "proofs"}.items():
        answer = store.request("head_object", Key=path)
        assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"]) == ("aws:kms", key)


@pytest.mark.parametrize("ignored", ["both headers", "the key"])
def test_a_store_that_encrypts_otherwise_than_asked_is_refused(
    secure: SecureS3, bao: OpenBao, bucket: str, ignored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("asked", "other"):
        bao.create_key(name)
    store = at(secure, bucket, kms_keys={"": "asked"})
    send = store._once

    def forgetful(method: str, **parameters: Any) -> Any:
        if method == "put_object" and ignored == "the key":
            parameters["SSEKMSKeyId"] = "other"
        elif method == "put_object":
            del parameters["SSEKMSKeyId"], parameters["ServerSideEncryption"]
        return send(method, **parameters)

    monkeypatch.setattr(store, "_once", forgetful)
    with pytest.raises(StoreRefusedError, match="encryption"):
        store.create("a", b"x", retain_until=UNTIL)


def test_a_key_that_could_mean_another_or_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="alias"):
        open_store("s3://b", kms_keys={"": "alias/records"})
    with pytest.raises(UsageError, match="directory"):
        open_store(str(tmp_path), kms_keys={"": "records"})


def test_records_are_unreadable_and_undeletable_once_their_key_is_gone_and_the_log_still_verifies(
    secure: SecureS3, bao: OpenBao, bucket: str, tmp_path: Path
) -> None:
    bao.create_key("year-records")
    bao.create_key("year-log")
    land(tmp_path / "landing", 1, 2)
    settings = {
        "state": tmp_path / "state",
        "contracts": write_contract(tmp_path / "contracts"),
        "store": secure.section(uri=f"s3://{bucket}", kms_key="year-records", kms_key_log="year-log"),
        "landing": {"uris": {SOURCE: (tmp_path / "landing").as_uri()}},
        "log": {"origin": "audit.example/kms"},
    }
    runtime = wiring.build(Settings.model_validate(settings))
    receipts, _ = pipeline.deliver(runtime, SOURCE)
    assert sum(receipt.accepted for receipt in receipts) == 7  # three of each drop, and one of both
    before = evidence.verify_store(runtime)
    assert before.ok, before.findings
    rows = run_query(runtime.session(), runtime.catalog_path, f'SELECT count(*) FROM "{SOURCE}"')[1]
    assert rows == [(7,)]

    bao.destroy_key("year-records")

    store = at(secure, bucket, kms_keys={"": "year-records", "log/": "year-log"})
    sealed = next(info for info in store.list_versions(paths.DATA_PREFIX))
    with pytest.raises(StoreRefusedError, match="encrypted under the KMS key year-records"):
        store.read(sealed.path, sealed.version_id)
    with pytest.raises(StoreRefusedError, match="AccessDenied"):
        store.delete(sealed.path, sealed.version_id)
    with pytest.raises((StoreRefusedError, StoreUnavailableError)):
        store.create("data/new", b"x", retain_until=UNTIL)  # no new key takes the old one's place
    after = evidence.verify_store(replace(runtime, store=store))
    assert after.shards == before.shards
    assert after.shards[0].signed
    lost = [finding for finding in after.findings if finding.reason == reasons.OBJECT_UNREADABLE]
    assert sealed.path in {finding.path for finding in lost}
    assert not any(finding.path.startswith(paths.LOG_PREFIX) for finding in after.findings)
