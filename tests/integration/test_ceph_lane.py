"""The second lane: Ceph RGW, whose gaps are those that are declared, and what holds in spite of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows import pipeline
from flows.wiring import Runtime
from tasks.errors import AlreadyExistsError, StoreRefusedError
from tasks.storage.capabilities import KNOWN_GAPS
from tasks.storage.probe import probe
from tasks.storage.s3 import S3Store
from tests.support.ceph import KEYS, Ceph, run_ceph
from tests.support.faults import SOURCE, check_history, land, small_runtime, write_contract

UNTIL = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
DECLARED = {gap.code for gap in KNOWN_GAPS["Ceph RGW 16.2"]}
# An administrator, as this lane's user is, may always configure the bucket.
BY_PERMISSION = {"default-retention-change"}


@pytest.fixture(scope="module")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    with run_ceph(tmp_path_factory.mktemp("ceph")) as running:
        yield running


@pytest.fixture
def turns(tmp_path: Path) -> Path:
    return tmp_path / "turns"


def deployment(store: S3Store, base: Path) -> tuple[Runtime, dict[str, bytes]]:
    """A deployment on Ceph, and the drops that landed for it."""
    contents = land(base / "landing", 1, 2)
    write_contract(base / "contracts")
    return small_runtime(store, base, base / "landing", store=KEYS), contents


def test_the_probe_finds_the_declared_gaps_and_no_other(ceph: Ceph) -> None:
    found = {finding.code for finding in probe(ceph.bucket()) if not finding.ok}
    assert found - BY_PERMISSION == DECLARED


def test_taking_turns_closes_the_gap_of_create_if_absent(ceph: Ceph, turns: Path) -> None:
    codes = {finding.code for finding in probe(ceph.bucket(create_lock=turns)) if not finding.ok}
    assert codes - BY_PERMISSION == DECLARED - {"create-if-absent"}


def test_nothing_is_sealed_without_turns(ceph: Ceph, tmp_path: Path) -> None:
    store = ceph.bucket()
    runtime, _ = deployment(store, tmp_path)
    with pytest.raises(StoreRefusedError, match="If-None-Match"):
        pipeline.deliver(runtime, SOURCE)
    assert list(store.list("log/")) == []
    assert list(store.list("data/")) == []


def test_of_ten_creators_that_take_turns_exactly_one_wins(ceph: Ceph, turns: Path) -> None:
    store = ceph.bucket(create_lock=turns)

    def creates(number: int) -> bool:
        try:
            store.create("log/seq", b"%d" % number, retain_until=UNTIL)
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(creates, range(10))) == 1
    assert len(list(store.list_versions())) == 1


def test_a_large_object_keeps_its_lock_because_it_is_one_put(ceph: Ceph, turns: Path) -> None:
    store = ceph.bucket(lock_days=None, create_lock=turns)
    made = store.create("data/large", bytes(40 << 20), retain_until=UNTIL)
    assert store.head("data/large", made.version_id).retain_until == UNTIL
    with pytest.raises(StoreRefusedError, match="AccessDenied"):
        store.delete("data/large", made.version_id)


def test_a_lock_that_a_multipart_upload_lost_is_repaired(ceph: Ceph, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that turns one PutObject into parts would lose the lock, as any multipart upload does here."""
    store = ceph.bucket(lock_days=None)
    send = store._once

    def in_parts(method: str, **parameters: Any) -> Any:
        if method != "put_object":
            return send(method, **parameters)
        lock = {name: parameters[name] for name in ("ObjectLockMode", "ObjectLockRetainUntilDate")}
        upload = send("create_multipart_upload", Key=parameters["Key"], **lock)
        part = {"Key": parameters["Key"], "UploadId": upload["UploadId"]}
        tag = send("upload_part", PartNumber=1, Body=parameters["Body"], **part)["ETag"]
        whole = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
        made = send("complete_multipart_upload", MultipartUpload=whole, **part)
        locks.append(send("head_object", Key=parameters["Key"]).get("ObjectLockMode"))
        return made

    locks: list[str | None] = []
    monkeypatch.setattr(store, "_once", in_parts)
    made = store.create("data/a", b"x", retain_until=UNTIL)
    assert locks == [None]  # Ceph did drop it
    assert store.head("data/a", made.version_id).retain_until == UNTIL
    with pytest.raises(StoreRefusedError, match="AccessDenied"):
        store.delete("data/a", made.version_id)


def test_damaged_bytes_are_noticed_although_the_server_does_not_look(
    ceph: Ceph, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ceph.bucket()
    send = store._once

    def damage(method: str, **parameters: Any) -> Any:
        if method == "put_object":
            parameters["Body"] = b"wrong"  # under the SHA-256 of the right bytes
        return send(method, **parameters)

    monkeypatch.setattr(store, "_once", damage)
    with pytest.raises(StoreRefusedError, match="SHA-256"):
        store.create("data/a", b"right", retain_until=UNTIL)
    assert store.read("data/a") == b"wrong"  # the server took it; no entry will name it


def test_drops_are_delivered_and_verified(ceph: Ceph, turns: Path, tmp_path: Path) -> None:
    runtime, contents = deployment(ceph.bucket(create_lock=turns), tmp_path)
    pipeline.deliver(runtime, SOURCE)
    assert pipeline.deliver(runtime, SOURCE)[0] == []
    check_history(runtime, contents)
    for info in runtime.store.list_versions("log/"):
        assert (
            info.path.endswith("/checkpoint") or runtime.store.head(info.path, info.version_id).retain_until
        )
