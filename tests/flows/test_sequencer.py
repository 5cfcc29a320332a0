"""The hand-over: a worker without the log's key has batches sealed, and nobody else has anything sealed."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flows import pipeline, sequencer
from flows.sequencer import Handled, hand_over, sequence, sequence_inbox
from flows.wiring import Runtime
from tasks.errors import StoreUnavailableError, UsageError
from tasks.evidence import paths
from tasks.evidence.note import NoteSigner
from tasks.seal.manifest import ManifestRefusedError, open_manifest, sign_manifest
from tasks.seal.seal import OvertakenError
from tasks.storage.local import LocalStore
from tests.support.faults import (
    MOMENT,
    SOURCE,
    FaultyStore,
    check_history,
    land,
    seal_entries,
    small_runtime,
    write_contract,
)
from tests.support.logs import private_key

WORKER = "worker-1.example"


class Place:
    """A worker and a sequencer on one store and one key table, each with keys of its own."""

    def __init__(self, base: Path) -> None:
        self.base, self.landing = base, base / "landing"
        self.landing.mkdir()
        self.store = FaultyStore(LocalStore(base / "store"), clock=MOMENT)
        write_contract(base / "worker" / "contracts")
        write_contract(base / "sequencer" / "contracts")
        self.sequencer = self.runtime("sequencer")
        (base / "worker" / "keys").mkdir(mode=0o700)
        root = base / "sequencer" / "keys" / "root.key"
        (base / "worker" / "keys" / "root.key").touch(mode=0o600)
        (base / "worker" / "keys" / "root.key").write_bytes(root.read_bytes())
        self.worker = self.runtime("worker", worker=WORKER, wait_s=1)
        self.key = sequencer.worker_signer(self.worker.settings, self.worker.keyring)
        self.sequencer = self.runtime("sequencer", workers=[self.key.vkey])
        assert self.run() == []  # opens the year's log

    def runtime(self, name: str, **settings: Any) -> Runtime:
        return small_runtime(
            self.store.as_store(),
            self.base / name,
            self.landing,
            sequencer={"max_age_s": 3600, **settings},
            key_table={"url": f"sqlite:///{self.base / 'table.db'}"},  # one for all; the KEK is the workers'
        )

    def run(self) -> list[Handled]:
        with self.sequencer.catalog() as catalog:
            return sequence_inbox(self.sequencer, catalog)

    def inbox(self) -> list[str]:
        return [info.path for info in self.store.list(paths.INBOX_PREFIX)]

    def hand_over(self, *numbers: int) -> bytes:
        """Let drops land, and a worker hand them over and give up waiting."""
        land(self.landing, *numbers)
        before = set(self.inbox())
        with pytest.raises(StoreUnavailableError, match="was not sealed within 1 seconds"):
            pipeline.deliver(self.worker, SOURCE)
        (path,) = set(self.inbox()) - before
        return bytes(self.store.read(path))

    def sequence(self, note: bytes) -> int:
        with self.sequencer.catalog() as catalog:
            return sequence(self.sequencer, catalog, note)[1].index

    def refusal(self, note: bytes) -> str:
        before = seal_entries(self.store.as_store())
        with pytest.raises(ManifestRefusedError) as caught:
            self.sequence(note)
        assert seal_entries(self.store.as_store()) == before
        return caught.value.reason

    def altered(self, note: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
        """A manifest that the worker's own key signs over something else: what a taken-over worker can do."""
        manifest = open_manifest(note, [self.key.verifier])
        body = copy.deepcopy(dict(manifest.body))
        change(body)
        return sign_manifest(manifest.log, manifest.planned_seq, body, self.key)

    def junk(self, path: Callable[[str], str], data: bytes) -> dict[str, Any]:
        """Store an object under its digest; what an entry would say of it."""
        digest = hashlib.sha256(data).hexdigest()
        info = self.store.create(path(digest), data, retain_until=MOMENT + timedelta(days=9000))
        return {"bytes": len(data), "path": path(digest), "sha256": digest, "version_id": info.version_id}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(pipeline, "hand_over", partial(hand_over, sleep=lambda _: None))
    return Place(tmp_path)


def test_what_a_worker_handed_over_is_sealed_and_verifies(place: Place) -> None:
    contents = land(place.landing, 1, 2)
    place.hand_over(1, 2)
    (handled,) = place.run()
    assert handled.refused is None
    check_history(place.sequencer, contents)
    receipts, checkpoint = pipeline.deliver(place.worker, SOURCE)
    assert receipts == []
    assert (checkpoint.size, checkpoint.advanced) == (handled.entry + 1 if handled.entry else None, False)


def test_a_waiting_worker_gets_the_entry_that_was_sealed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = land(place.landing, 1, 2, 3)
    # The sequencer runs while the worker sleeps.
    monkeypatch.setattr(pipeline, "hand_over", partial(hand_over, sleep=lambda _: place.run()))
    worker = place.worker.settings.model_copy(
        update={"limits": place.worker.settings.limits.model_copy(update={"batch_drops": 2})}
    )
    place.worker = Runtime(worker, place.worker.store, place.worker.keyring)
    receipts, checkpoint = pipeline.deliver(place.worker, SOURCE)
    assert [receipt.drops for receipt in receipts] == [2, 1]
    assert checkpoint.size == receipts[-1].entry + 1
    check_history(place.sequencer, contents)


def test_a_worker_has_no_key_of_the_log_and_writes_nothing_into_it(place: Place) -> None:
    place.store.writes.clear()
    place.hand_over(1)
    assert not [path for path in place.store.writes if path.startswith(paths.LOG_PREFIX)]
    keys = {path.name for path in (place.base / "worker" / "keys").iterdir()}
    assert keys == {"root.key", f"signing-{WORKER}.pem", "table-kek-1.key"}
    place.run()
    assert not list((place.base / "sequencer" / "keys").glob("table*"))


def test_a_manifest_is_sealed_once(place: Place) -> None:
    note = place.hand_over(1)
    place.sequence(note)
    with pytest.raises(OvertakenError):
        place.sequence(note)
    assert place.run() == []
    assert len(seal_entries(place.store.as_store())) == 1


def test_a_replay_that_claims_to_be_planned_anew_is_refused(place: Place) -> None:
    note = place.hand_over(1)
    place.sequence(note)
    body = open_manifest(note, [place.key.verifier]).body
    log = place.sequencer.origin(MOMENT.year)
    assert place.refusal(sign_manifest(log, 1, body, place.key)) == "manifest-replayed"


def test_of_two_manifests_of_one_plan_one_is_sealed(place: Place) -> None:
    first = place.hand_over(1)
    second = place.hand_over(2)
    place.sequence(second)
    with pytest.raises(OvertakenError):
        place.sequence(first)


def test_write_access_to_the_bucket_without_a_workers_key_seals_nothing(place: Place) -> None:
    note = place.hand_over(1)
    manifest = open_manifest(note, [place.key.verifier])
    thief = NoteSigner(WORKER, private_key("thief"))
    forged = sign_manifest(manifest.log, manifest.planned_seq, manifest.body, thief)
    assert place.refusal(forged) == "manifest-signature"
    path = paths.manifest(MOMENT.date().isoformat(), hashlib.sha256(forged).hexdigest())
    place.store.create(path, forged, retain_until=None)
    sealed = {one.path: one.refused for one in place.run()}
    assert sealed.pop(path, "").startswith("manifest-signature")  # type: ignore[union-attr]
    assert list(sealed.values()) == [None]  # the worker's own is sealed all the same


def test_a_data_file_that_is_none_is_refused(place: Place) -> None:
    note = place.hand_over(1)

    def change(body: dict[str, Any]) -> None:
        day = body["files"][0]["event_date"]
        body["files"][0].update(place.junk(lambda digest: paths.data_file(SOURCE, day, digest), b"junk"))

    assert place.refusal(place.altered(note, change)) == "parquet-unreadable"


def test_a_root_that_the_rows_do_not_give_is_refused(place: Place) -> None:
    note = place.hand_over(1)
    change = lambda body: body["files"][0].update(root="00" * 32)  # noqa: E731
    assert place.refusal(place.altered(note, change)) == "file-root-mismatch"


def test_a_ledger_of_other_drops_is_refused(place: Place) -> None:
    note = place.hand_over(1)

    def change(body: dict[str, Any]) -> None:
        data = place.store.read(body["ledger"]["path"]).replace(b"001.ndjson", b"999.ndjson")
        body["ledger"].update(place.junk(lambda digest: paths.ledger(SOURCE, digest), data))

    assert place.refusal(place.altered(note, change)) == "ledger-root"


def test_sums_that_the_ledger_does_not_give_are_refused(place: Place) -> None:
    note = place.hand_over(1)
    change = lambda body: body["sums"].update(accepted=body["sums"]["accepted"] + 1)  # noqa: E731
    assert place.refusal(place.altered(note, change)) == "entry-sums"


def test_an_object_that_is_not_there_is_refused(place: Place) -> None:
    note = place.hand_over(1)

    def change(body: dict[str, Any]) -> None:
        body["gate"].update(sha256="00" * 32, path=paths.gate(SOURCE, "00" * 32))

    assert place.refusal(place.altered(note, change)) == "object-missing"


def test_too_short_a_retention_is_refused(place: Place) -> None:
    note = place.hand_over(1)
    change = lambda body: body.update(retain_until="2026-12-24T00:00:00Z")  # noqa: E731
    assert place.refusal(place.altered(note, change)) == "manifest-retention"


def test_a_contract_that_the_sequencer_does_not_have_is_refused(place: Place) -> None:
    path = place.base / "worker" / "contracts" / SOURCE / "contract.odcs.yaml"
    path.write_text(path.read_text() + "# changed\n")
    place.worker = place.runtime("worker", worker=WORKER, wait_s=1)
    assert place.refusal(place.hand_over(1)) == "manifest-contract"


def test_a_policy_that_the_sequencer_does_not_have_is_refused(place: Place) -> None:
    digest = "ab" * 32
    asked = {"bytes": 1, "purpose": "audit", "sha256": digest, "tenant": "default", "version_id": ""}
    rego = {**asked, "path": paths.treatment_policy(digest)}
    note = place.altered(place.hand_over(1), lambda body: body.update(rego=rego))
    assert place.refusal(note) == "manifest-contract"


def test_a_source_that_the_sequencer_does_not_have_is_refused(place: Place) -> None:
    note = place.hand_over(1)

    def change(body: dict[str, Any]) -> None:
        body["source"] = "other"
        body["contract"]["path"] = paths.contract("other", body["contract"]["sha256"])
        body["gate"]["path"] = paths.gate("other", body["gate"]["sha256"])
        body["ledger"]["path"] = paths.ledger("other", body["ledger"]["sha256"])
        body["redaction"]["path"] = paths.redaction("other", body["redaction"]["sha256"])
        for file in body["files"]:
            file["path"] = paths.data_file("other", file["event_date"], file["sha256"])
        for file in body["quarantine"]:
            file["path"] = paths.quarantine_file("other", file["sha256"])
        for file in body["identities"]:
            file["path"] = paths.identities_file("other", file["sha256"])

    assert place.refusal(place.altered(note, change)) == "manifest-contract"


def test_an_old_manifest_is_refused_and_then_not_looked_at(place: Place) -> None:
    note = place.hand_over(1)
    place.store.clock = MOMENT + timedelta(hours=1, seconds=1)
    assert place.refusal(note) == "manifest-stale"
    place.store.clock = MOMENT + timedelta(days=4)
    assert place.run() == []


def test_a_manifest_for_another_log_is_refused(place: Place) -> None:
    manifest = open_manifest(place.hand_over(1), [place.key.verifier])
    other = sign_manifest("audit.example/other/2026", manifest.planned_seq, manifest.body, place.key)
    assert place.refusal(other) == "manifest-stale"


def test_a_worker_does_not_open_a_log(tmp_path: Path) -> None:
    base = tmp_path / "worker"
    write_contract(base / "contracts")
    landing = tmp_path / "landing"
    landing.mkdir()
    land(landing, 1)
    worker = small_runtime(LocalStore(tmp_path / "store"), base, landing, sequencer={"worker": WORKER})
    with pytest.raises(StoreUnavailableError, match="is not open yet"):
        pipeline.deliver(worker, SOURCE)


def test_a_deployment_without_a_name_has_no_workers_key(place: Place) -> None:
    with pytest.raises(UsageError, match="no worker"):
        sequencer.worker_signer(place.sequencer.settings, place.sequencer.keyring)
