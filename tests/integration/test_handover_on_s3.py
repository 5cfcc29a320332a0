"""The hand-over on a real server, each side with the credentials of its role and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flows import evidence, pipeline, sequencer
from flows.audit import audit
from flows.audit_plan import Order
from flows.wiring import Runtime
from tasks.errors import StoreRefusedError
from tasks.evidence import paths
from tasks.seal.manifest import ManifestRefusedError, sign_manifest
from tasks.seal.seal import store_batch
from tasks.storage.s3 import S3Store
from tests.support.faults import SOURCE, land, seal_entries, small_runtime, write_contract
from tests.support.s3 import S3, start_s3

WORKER = "worker-1.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server of its own: roles are bound to the bucket's root, where no other test may write."""
    running = start_s3(tmp_path_factory.mktemp("roles"))
    yield running
    running.server.stop(grace=0)


class Place:
    """A worker as `deliverer`, a sequencer as `sequencer`, on one bucket."""

    def __init__(self, server: S3, base: Path) -> None:
        self.server, self.base, self.landing = server, base, base / "landing"
        self.landing.mkdir()
        for name in ("worker", "sequencer"):
            write_contract(base / name / "contracts")
        self.worker = self.runtime("worker", "deliverer", worker=WORKER, wait_s=60)
        self.key = sequencer.worker_signer(self.worker.settings, self.worker.keyring)
        self.sequencer = self.runtime("sequencer", "sequencer", workers=[self.key.vkey])

    def runtime(self, name: str, role: str, **settings: Any) -> Runtime:
        return small_runtime(
            self.server.store("indelible", identity=role),
            self.base / name,
            self.landing,
            sequencer=settings,
            key_table={"url": f"sqlite:///{self.base / 'table.db'}"},
            store={"uri": "s3://indelible", **self.server.section(role)},
        )

    def run(self) -> list[sequencer.Handled]:
        with self.sequencer.catalog() as catalog:
            return sequencer.sequence_inbox(self.sequencer, catalog)


@pytest.fixture(scope="module")
def place(server: S3, tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(server, tmp_path_factory.mktemp("handover"))
    place.run()
    return place


def test_two_roles_seal_together_what_neither_can_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sequencer runs while the worker waits.
    monkeypatch.setattr(pipeline, "hand_over", partial(sequencer.hand_over, sleep=lambda _: place.run()))
    land(place.landing, 1, 2)
    ((receipt,), _) = pipeline.deliver(place.worker, SOURCE)
    assert receipt.drops == 2
    auditor = place.runtime("sequencer", "auditor")
    report = evidence.verify_store(auditor)
    assert report.ok, report.findings
    year, store = receipt.shard, place.worker.store
    with pytest.raises(StoreRefusedError, match="403"):
        store.create(paths.sequence(year, 999), b"{}", retain_until=store.now() + timedelta(days=2))
    with pytest.raises(StoreRefusedError, match="403"):
        place.sequencer.store.create("data/x", b"x", retain_until=store.now() + timedelta(days=2))


def test_an_examiner_audits_and_seals_what_it_found_and_can_store_no_record(place: Place) -> None:
    examiner = place.runtime("sequencer", "examiner")
    without = frozenset({"probe"})  # which needs the keys of all roles
    done = audit(examiner, Order(whole=True, without=without))
    assert done.holds, done.lines
    assert done.published
    report = evidence.verify_store(place.runtime("sequencer", "auditor"))
    assert report.ok, report.findings
    for prefix in (paths.DATA_PREFIX, paths.INBOX_PREFIX):
        with pytest.raises(StoreRefusedError, match="403"):
            examiner.store.create(f"{prefix}x", b"x", retain_until=examiner.store.now() + timedelta(days=2))


@pytest.fixture(scope="module")
def stored_body(place: Place) -> dict[str, Any]:
    """The body of a batch that a worker stored and has not handed over yet."""
    stored: list[dict[str, Any]] = []

    class Caught(BaseException):  # what an Exception leaves behind counts as the drop's fault
        pass

    def catch(*arguments: Any, **keywords: Any) -> None:
        stored.append(store_batch(*arguments, **keywords))
        raise Caught

    land(place.landing, 7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "store_batch", catch)
        with pytest.raises(Caught):
            pipeline.deliver(place.worker, SOURCE)
    return stored[0]


@pytest.fixture
def body(stored_body: dict[str, Any]) -> dict[str, Any]:
    """That body, to be altered."""
    return copy.deepcopy(stored_body)


def signed(place: Place, body: dict[str, Any]) -> bytes:
    store = place.sequencer.store
    return sign_manifest(place.sequencer.origin(store.now().year), len(seal_entries(store)), body, place.key)


def refusal(place: Place, body: dict[str, Any]) -> str:
    store = place.sequencer.store
    before = seal_entries(store)
    note = signed(place, body)
    with place.sequencer.catalog() as catalog, pytest.raises(ManifestRefusedError) as caught:
        sequencer.sequence(place.sequencer, catalog, note)
    assert seal_entries(store) == before
    return caught.value.reason


def put_over(place: Place, path: str, data: bytes, **lock: Any) -> str:
    """What stolen credentials of a deliverer can do: a newer version under a delivered name."""
    keys = asdict(place.server.server.credentials("deliverer"))
    thief = S3Store("indelible", endpoint=place.server.endpoint, **keys)
    return str(thief.request("put_object", Key=path, Body=data, **lock)["VersionId"])


def test_a_version_without_a_long_enough_lock_is_refused(place: Place, body: dict[str, Any]) -> None:
    file = body["files"][0]
    data = place.worker.store.read(file["path"], file["version_id"])
    until = place.worker.store.now() + timedelta(days=9000)
    for lock in ({}, {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}):
        file["version_id"] = put_over(place, file["path"], data, **lock)
        assert refusal(place, body) == "manifest-lock"


def test_a_version_that_is_not_named_is_refused(place: Place, body: dict[str, Any]) -> None:
    body["files"][0]["version_id"] = ""
    assert refusal(place, body) == "manifest-lock"


def test_a_version_with_other_content_is_refused(place: Place, body: dict[str, Any]) -> None:
    file = body["files"][0]
    until = place.worker.store.now() + timedelta(days=9000)
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    junk = bytes(file["bytes"])
    file["version_id"] = put_over(place, file["path"], junk, **lock)
    assert refusal(place, body) == "object-hash"


def test_a_version_that_never_was_is_refused(place: Place, body: dict[str, Any]) -> None:
    body["files"][0]["version_id"] = "0" * 32
    assert refusal(place, body) == "object-missing"


def test_the_manifest_as_it_was_planned_is_sealed_whatever_lies_over_its_objects(
    place: Place, body: dict[str, Any]
) -> None:
    file = body["files"][0]
    put_over(place, file["path"], b"a newer version, which nothing names")
    with place.sequencer.catalog() as catalog:
        sequencer.sequence(place.sequencer, catalog, signed(place, body))
    assert seal_entries(place.sequencer.store)[-1]["files"] == body["files"]
    report = evidence.verify_store(place.runtime("sequencer", "auditor"))
    assert (evidence.EXTRA_VERSION, file["path"]) in {(one.reason, one.path) for one in report.findings}
