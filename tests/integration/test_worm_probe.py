"""The WORM probe and the start-up probe: what they say of a server that enforces, and of those that do not."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from flows import evidence, pipeline
from flows.cli.app import app
from flows.probe import check_names, probe_store
from flows.readiness import check_store
from flows.wiring import Runtime
from tasks.errors import StoreRefusedError
from tasks.evidence import paths
from tasks.storage import open_store
from tasks.storage.attempts import ATTEMPTS
from tasks.storage.bucket import ensure_bucket
from tasks.storage.finding import Finding
from tasks.storage.local import LocalStore
from tasks.storage.probe import probe
from tasks.storage.protocol import ObjectInfo
from tasks.storage.s3 import S3Store
from tests.support.deployment import deployment
from tests.support.s3 import S3

HOUR = timedelta(hours=1)
TRIED_BY_EACH = {attempt.code for attempt in ATTEMPTS} | {"suspend-versioning", "default-retention-change"}


def failed(findings: tuple[Finding, ...]) -> dict[str, str]:
    return {finding.code: finding.sentence for finding in findings if not finding.ok}


@pytest.fixture
def runtime(s3: S3, tmp_path: Path) -> Runtime:
    """Delivers as `writer`; an administrator is named for the probe."""
    identities = {"admin": asdict(s3.server.credentials("admin"))}
    store = s3.fresh("indelible", "writer")
    return deployment(store, tmp_path / "state", store=s3.section("writer"), probe={"identities": identities})


@pytest.fixture(scope="module")
def moto_endpoint() -> str:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"  # its daemon thread ends with the session: stop() waits 10 s for clients


def moto_store(endpoint: str, bucket: str) -> S3Store:
    store = open_store(f"s3://{bucket}", endpoint=endpoint, access_key="a", secret_key="b")
    assert isinstance(store, S3Store)
    ensure_bucket(store, lock_days=1)
    return store


def test_a_server_that_enforces_withstands_deliverer_and_administrator_and_keeps_the_result(
    runtime: Runtime, s3: S3
) -> None:
    probed = probe_store(runtime, retain_for=HOUR)
    assert failed(probed.findings) == {}
    assert probed.enforced
    for identity in ("", "admin"):
        assert {f.code for f in probed.findings if f.identity == identity} >= TRIED_BY_EACH
    assert probed.server.startswith("SeaweedFS")
    assert probed.place is not None
    data = runtime.store.read(paths.sequence(*probed.place))
    entry = json.loads(data)
    assert (entry["type"], entry["kind"], entry["enforced"]) == ("audit", "worm-probe", True)
    assert entry["findings"] == [asdict(finding) for finding in probed.findings]
    for name in ("writer", "admin"):
        assert s3.server.credentials(name).access_key not in data.decode()
        assert s3.server.credentials(name).secret_key not in data.decode()
    # What the probe leaves behind is no finding afterwards.
    assert any(info.is_delete_marker for info in runtime.store.list_versions("probe/"))
    assert failed(tuple(check_names(runtime.store))) == {}
    assert evidence.verify_store(runtime).ok


def test_markers_and_shadows_on_sealed_names_are_named(worm_store: S3Store) -> None:
    shadowed, covered = paths.sequence(2026, 0), paths.sequence(2026, 1)
    for path in (shadowed, covered, paths.checkpoint(2026), "probe/x"):
        worm_store.create(path, b"sealed", retain_until=None)
    worm_store.replace(paths.checkpoint(2026), b"the one object that may change")
    assert failed(tuple(check_names(worm_store))) == {}
    for path in (shadowed, "probe/x"):
        worm_store.replace(path, b"shadow")
    for path in (covered, "probe/x"):
        worm_store.delete(path, "")
    found = failed(tuple(check_names(worm_store)))
    assert set(found) == {evidence.EXTRA_VERSION, evidence.DELETE_MARKER}
    assert f"1 sealed names have another version on them: {shadowed}." in found[evidence.EXTRA_VERSION]
    assert f"1 sealed names have a delete marker on them: {covered}." in found[evidence.DELETE_MARKER]


def test_credentials_that_deliver_and_may_configure_the_bucket_are_a_finding(worm_store: S3Store) -> None:
    found = failed(probe(worm_store, retain_for=HOUR))
    assert set(found) == {"default-retention-change"}
    assert "may not configure the bucket" in found["default-retention-change"]


def test_an_identity_that_cannot_reach_the_bucket_does_not_count_as_refused(
    worm_store: S3Store, s3: S3
) -> None:
    stranger = S3Store(
        "indelible", endpoint=s3.endpoint, access_key="AKIAWRONG", secret_key="wrong-and-secret"
    )
    with pytest.raises(StoreRefusedError) as caught:
        probe(worm_store, retain_for=HOUR, others={"stranger": stranger})
    assert "wrong-and-secret" not in f"{caught.value} {caught.value.next_step}"


def test_a_server_that_only_plays_worm_is_told_what_it_let_happen(moto_endpoint: str, tmp_path: Path) -> None:
    store = moto_store(moto_endpoint, "played")
    keys = {"endpoint": moto_endpoint, "access_key": "a", "secret_key": "b"}
    runtime = deployment(store, tmp_path / "state", store=keys)
    probed = probe_store(runtime, retain_for=HOUR)
    found = failed(probed.findings)
    assert not probed.enforced
    assert set(found) == {
        "checksum",
        "multipart-lock",
        "shorten-lock",
        "downgrade-lock",
        "remove-lock",
        "suspend-versioning",
    }
    assert "its lock ends earlier" in found["shorten-lock"]
    assert "no longer under a COMPLIANCE lock" in found["downgrade-lock"]
    assert all("Use another server" in sentence for sentence in found.values())
    assert store.request("get_bucket_versioning")["Status"] == "Enabled"


def test_a_server_that_deletes_is_told_that_the_version_is_gone(worm_store: S3Store) -> None:
    found = failed(probe(_Deleting.like(worm_store), retain_for=HOUR))
    assert {"delete-version", "delete-bypass", "delete-batch"} <= set(found)
    assert "the version is gone" in found["delete-batch"]


def test_a_bucket_without_lock_is_named_and_nothing_is_sealed_in_it(
    landing_store: S3Store, s3: S3, tmp_path: Path
) -> None:
    runtime = deployment(landing_store, tmp_path / "state", store=s3.section())
    probed = probe_store(runtime, retain_for=HOUR)
    found = failed(probed.findings)
    assert set(found) == {"object-lock", "default-retention"}
    assert "create a new bucket" in found["object-lock"]
    assert probed.place is None
    assert {info.path.split("/")[0] for info in landing_store.list_versions()} == {"probe"}


def test_a_clock_that_is_off_is_named(worm_store: S3Store) -> None:
    late = worm_store.now() + timedelta(minutes=5)
    assert "clock" in failed(probe(worm_store, retain_for=HOUR, clock=lambda: late))


def test_a_directory_is_not_worm_and_the_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INDELIBLE_STATE", str(tmp_path / "state"))
    uri = (tmp_path / "store").as_uri()
    result = CliRunner().invoke(app, ["store", "probe", "--json", "--store", uri])
    assert result.exit_code == StoreRefusedError.exit_code
    answer = json.loads(result.stdout)
    assert not answer["enforced"]
    assert [f["code"] for f in answer["findings"] if not f["ok"]] == ["not-worm"]
    entry = json.loads(LocalStore(tmp_path / "store").read(paths.sequence(*answer["sealed"])))
    assert not entry["enforced"]


def test_nothing_is_delivered_into_a_bucket_without_lock(
    landing_store: S3Store, s3: S3, tmp_path: Path
) -> None:
    (tmp_path / "app").mkdir()
    landing = {"app": (tmp_path / "app").as_uri()}
    runtime = deployment(landing_store, tmp_path / "state", landing, store=s3.section())
    with pytest.raises(StoreRefusedError, match="create a new bucket with Object Lock"):
        pipeline.deliver(runtime, "app")
    assert list(landing_store.list_versions()) == []


def test_a_bucket_without_default_retention_is_refused(moto_endpoint: str, tmp_path: Path) -> None:
    store = moto_store(moto_endpoint, "bare")
    store.request("put_object_lock_configuration", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    with pytest.raises(StoreRefusedError, match="no default COMPLIANCE retention"):
        check_store(deployment(store, tmp_path / "state"))


def test_a_server_that_ignores_if_none_match_is_refused_each_time(
    worm_store: S3Store, tmp_path: Path
) -> None:
    runtime = deployment(_Careless.like(worm_store), tmp_path / "state")
    for _ in range(2):
        with pytest.raises(StoreRefusedError, match="does not honour If-None-Match"):
            check_store(runtime)


def test_creation_is_tried_once_a_store_and_again_when_that_is_forgotten(runtime: Runtime) -> None:
    def canaries() -> int:
        return sum(1 for _ in runtime.store.list_versions("probe/"))

    check_store(runtime)
    check_store(runtime)
    assert canaries() == 1
    shutil.rmtree(runtime.settings.state / "probed")
    check_store(runtime)
    assert canaries() == 2


class _Altered(S3Store):
    """The real server, but for what a subclass changes."""

    @classmethod
    def like(cls, store: S3Store) -> S3Store:
        made = cls.__new__(cls)
        made.__dict__.update(store.__dict__)
        return made


class _Careless(_Altered):
    """Everybody who creates wins."""

    def create(self, path: str, data: bytes, *, retain_until: datetime | None) -> ObjectInfo:
        return self.replace(path, data)


class _Deleting(_Altered):
    """What one asks to delete is gone."""

    def request(self, method: str, **parameters: object) -> dict[str, object]:
        if not method.startswith("delete_object"):
            return dict(super().request(method, **parameters))
        gone = self.__dict__.setdefault("gone", set())
        batch = parameters.get("Delete") or {"Objects": [parameters]}
        gone.update(item["VersionId"] for item in batch["Objects"] if "VersionId" in item)  # type: ignore[index]
        return {}

    def head(self, path: str, version_id: str | None = None) -> ObjectInfo:
        if version_id in self.__dict__.get("gone", ()):
            return super().head(f"{path}/gone", None)
        return super().head(path, version_id)
