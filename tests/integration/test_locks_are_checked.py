"""`verify` asks the store for the lock of every sealed version: bytes that are right may still be deletable."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from flows import evidence, pipeline
from flows.cli.app import app
from flows.evidence import StoreReader
from flows.locks import check_locks
from flows.wiring import Runtime
from tasks.errors import VerificationError
from tasks.evidence import paths
from tasks.evidence.canonical import canonical_json
from tasks.evidence.note import NoteSigner
from tasks.log import writer
from tasks.storage.protocol import ObjectInfo, ObjectStore
from tasks.verify import reasons
from tasks.verify.report import Findings, Report, Verdict
from tests.support.faults import SOURCE, Delivery, fresh_bucket, land, remembered_gate, write_contract
from tests.support.logs import private_key
from tests.support.s3 import S3

LOCK_CODES = {reasons.LOCK_MISSING, reasons.LOCK_SHORT, reasons.LOCKS_SKIPPED}
SHORT = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)


@pytest.fixture(scope="module", autouse=True)
def gate() -> Iterator[None]:
    with remembered_gate():
        yield


@dataclass
class ShortStore:
    """A store of a deliverer that was changed: what it likes is locked for an hour."""

    inner: ObjectStore
    shortened: Callable[[str], bool]

    def create(self, path: str, data: bytes, *, retain_until: datetime | None) -> ObjectInfo:
        until = SHORT if self.shortened(path) else retain_until
        return self.inner.create(path, data, retain_until=until)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def delivered(s3: S3, base: Path, shortened: Callable[[str], bool]) -> Runtime:
    write_contract(base / "contracts")
    delivery = Delivery(base, base / "landing", base / "state", s3=fresh_bucket(s3))
    land(delivery.landing, 1)
    honest = delivery.store()
    pipeline.deliver(delivery.runtime(cast("ObjectStore", ShortStore(honest, shortened))), SOURCE)
    return delivery.runtime(honest)


def about_locks(report: Report) -> set[tuple[str, str, Verdict]]:
    return {(f.reason, f.path, f.verdict) for f in report.findings if f.reason in LOCK_CODES}


def test_an_honest_store_has_every_lock_and_each_was_looked_at(s3: S3, tmp_path: Path) -> None:
    runtime = delivered(s3, tmp_path, lambda _: False)
    report = evidence.verify_store(runtime)
    assert report.findings == ()
    prefixes = (
        *(f"{kind}/" for kind in ("data", "quarantine", "ledger", "gate", "redaction", "contracts")),
        "log/",
    )
    stored = [info.path for prefix in prefixes for info in runtime.store.list(prefix)]
    looked_at = [
        path for path in stored if not path.startswith("log/") or "/seq/" in path or "points/" in path
    ]
    assert report.counted["locks"] == len(looked_at) > 8

    unasked = evidence.verify_store(runtime, locks=False)
    assert unasked.ok
    assert about_locks(unasked) == {(reasons.LOCKS_SKIPPED, "log/", Verdict.NOT_MEASURED)}
    assert "locks" not in unasked.counted


def test_each_sealed_version_whose_lock_ends_before_its_entry_says_is_named(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    year = datetime.now(UTC).year
    # A genesis entry gives no date: any lock will do. Tiles and entry bundles follow from the sequence.
    spared = (paths.sequence(year, 0), paths.policy(year), f"{paths.log_prefix(year)}tile/", "catalog/")
    runtime = delivered(s3, tmp_path, lambda _: True)
    report = evidence.verify_store(runtime)
    wrong = {
        info.path
        for info in runtime.store.list()
        if info.path.split("/")[0]
        in {"data", "quarantine", "ledger", "gate", "redaction", "contracts", "log"}
        and not info.path.startswith(spared)
        and info.path != paths.checkpoint(year)
        and (
            paths.sequence_prefix(year) not in info.path or b'"type":"seal"' in runtime.store.read(info.path)
        )
    }
    assert len(wrong) > 6
    assert about_locks(report) == {(reasons.LOCK_SHORT, path, Verdict.CHANGED) for path in wrong}
    assert not report.ok
    assert all("Z; an entry gives " in f.sentence and f.next_step for f in report.findings)

    settings = {
        "STATE": str(tmp_path / "state"),
        "CONTRACTS": str(tmp_path / "contracts"),
        "KEYS__DIRECTORY": str(tmp_path / "keys"),
        "LOG__ORIGIN": "audit.example/faults",
        "STORE__URI": runtime.store.uri,
        **{f"STORE__{name.upper()}": value for name, value in s3.section().items()},
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"INDELIBLE_{name}", value)
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, ["verify", "--json"])
    assert found.exit_code == VerificationError.exit_code
    assert {f["path"] for f in json.loads(found.stdout)["findings"]} == wrong
    unasked = CliRunner().invoke(app, ["verify", "--json", "--no-locks"])
    assert unasked.exit_code == 0
    assert [f["reason"] for f in json.loads(unasked.stdout)["findings"]] == [reasons.LOCKS_SKIPPED]


def test_versions_without_a_lock_are_named_and_what_an_extension_promised_is_asked_for(s3: S3) -> None:
    store = s3.store(f"bare-{sha256(str(SHORT).encode()).hexdigest()[:12]}")
    store.request("create_bucket", ObjectLockEnabledForBucket=True)
    assert store.worm
    year = store.now().year
    signer = NoteSigner("audit.example/bare", private_key("bare"))
    writer.open_shard(store, year, signer, SHORT, sealed_at="2026-01-01T00:00:00Z")
    extended = store.create("data/extended", b"records", retain_until=SHORT)
    forgotten = store.create("data/forgotten", b"records", retain_until=None)
    listed = b"".join(
        canonical_json({"path": info.path, "version_id": info.version_id}) + b"\n"
        for info in (extended, forgotten)
    )
    digest = sha256(listed).hexdigest()
    objects = store.create(paths.object_list(digest), listed, retain_until=SHORT + timedelta(days=2))
    entry = {
        "action": "extend",
        "approver": "ann",
        "format": "indelible/1",
        "log_retain_until": f"{SHORT + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}",
        "objects": {
            "bytes": len(listed),
            "count": 2,
            "path": objects.path,
            "sha256": digest,
            "version_id": objects.version_id,
        },
        "reason": "inquiry",
        "requested_by": "bob",
        "retain_until": f"{SHORT + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        "scope": {"since": None, "source": SOURCE, "subject": None, "until": None},
        "sealed_at": "2026-01-01T00:00:00Z",
        "type": "retention",
    }
    store.create(paths.sequence(year, 1), canonical_json(entry), retain_until=None)
    findings = Findings()
    check_locks(store, StoreReader(store).versions, findings, lambda *_: None)
    assert {(f.reason, f.path) for f in findings.listed} == {
        (reasons.LOCK_SHORT, "data/extended"),
        (reasons.LOCK_MISSING, "data/forgotten"),
        (reasons.LOCK_MISSING, paths.sequence(year, 1)),
    }
