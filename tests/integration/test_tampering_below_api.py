"""A provider who changes, below the S3 API, what Object Lock holds: `verify` names each object and what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows import evidence, pipeline
from flows.cli.app import app
from flows.wiring import Runtime
from tasks.errors import VerificationError
from tasks.evidence import paths
from tasks.evidence import reasons as evidence_reasons
from tasks.storage.s3 import S3Store
from tasks.verify import reasons
from tests.support.deployment import deployment
from tests.support.s3 import S3
from tests.support.seaweed_filer import Filer
from tests.support.shared import REPO

SAMPLES = REPO / "data_contracts" / "sources" / "app" / "samples" / "drops"


class Delivered:
    """The bundled samples of one source, sealed under Object Lock, and the hand of whoever owns the disk."""

    def __init__(self, s3: S3, base: Path) -> None:
        shutil.copytree(SAMPLES, base / "landing")
        self.base, self.s3 = base, s3
        self.store: S3Store = s3.fresh("indelible", "writer")
        landing = {"app": (base / "landing").as_uri()}
        section = s3.section("writer")
        self.runtime: Runtime = deployment(self.store, base / "state", landing, store=section)
        (receipt, *_), checkpoint = pipeline.deliver(self.runtime, "app")
        self.year, self.size = receipt.shard, checkpoint.size
        self.entry: dict[str, Any] = json.loads(self.store.read(paths.sequence(self.year, receipt.entry)))
        self.filer = Filer(s3, self.store)
        assert self.found() == set()

    def path(self, name: str) -> str:
        """The object that a test calls by this name."""
        entry = self.entry
        named = {
            "data": entry["files"][0]["path"],
            "more data": entry["files"][1]["path"],
            "quarantine": entry["quarantine"][0]["path"],
            "ledger": entry["ledger"]["path"],
            "gate": entry["gate"]["path"],
            "redaction": entry["redaction"]["path"],
            "contract": entry["contract"]["path"],
            "genesis": paths.sequence(self.year, 0),
            "entry": paths.sequence(self.year, 1),
            "checkpoint": paths.checkpoint_at(self.year, self.size),
            "pointer": paths.checkpoint(self.year),
            "tile": f"{paths.log_prefix(self.year)}tile/0/000.p/{self.size}",
            "bundle": f"{paths.log_prefix(self.year)}tile/entries/000.p/{self.size}",
        }
        return str(named[name])

    def found(self) -> set[tuple[str, str]]:
        """Reason and object of everything that is changed or missing."""
        report = evidence.verify_store(self.runtime)
        return {(f.reason, f.path) for f in report.findings if f.verdict.value in {"changed", "missing"}}

    @contextmanager
    def restored(self, *names: str) -> Iterator[None]:
        """Put the bytes of objects back at the end, and see that all holds again."""
        before = {name: self.store.read(self.path(name)) for name in names}
        locks = {name: self.store.head(self.path(name)) for name in names}
        yield
        for name in names:
            shown = self.store.head(self.path(name))
            assert (shown.version_id, shown.retain_until) == (
                locks[name].version_id,
                locks[name].retain_until,
            )
            self.filer.rewrite(self.path(name), before[name])
        assert self.found() == set()


@pytest.fixture(scope="module")
def delivered(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    return Delivered(s3, tmp_path_factory.mktemp("tampered"))


@pytest.mark.parametrize(
    ("how", "name", "reason"),
    [
        (Filer.flip, "data", reasons.OBJECT_HASH),
        (Filer.flip, "quarantine", reasons.OBJECT_HASH),
        (Filer.flip, "ledger", reasons.OBJECT_HASH),
        (Filer.flip, "gate", reasons.OBJECT_HASH),
        (Filer.flip, "redaction", reasons.OBJECT_HASH),
        (Filer.flip, "contract", reasons.OBJECT_HASH),
        (Filer.flip, "genesis", reasons.SEQUENCE_MISMATCH),
        (Filer.flip, "entry", reasons.SEQUENCE_MISMATCH),
        (Filer.flip, "tile", reasons.TILE_MISMATCH),
        (Filer.flip, "bundle", reasons.ENTRY_BUNDLE_MISMATCH),
        (Filer.flip, "checkpoint", evidence_reasons.CHECKPOINT_UNKNOWN_KEY),
        (Filer.flip, "pointer", evidence_reasons.CHECKPOINT_UNKNOWN_KEY),
        (Filer.truncate, "data", reasons.OBJECT_SIZE),
        (Filer.truncate, "ledger", reasons.OBJECT_SIZE),
        (Filer.truncate, "entry", reasons.SEQUENCE_MISMATCH),
        (Filer.truncate, "bundle", reasons.ENTRY_BUNDLE_MISMATCH),
        (Filer.truncate, "checkpoint", evidence_reasons.MALFORMED_NOTE),
    ],
)
def test_other_bytes_under_a_lock_are_named(
    delivered: Delivered, how: Callable[[Filer, str], None], name: str, reason: str
) -> None:
    path = delivered.path(name)
    with delivered.restored(name):
        how(delivered.filer, path)
        found = delivered.found()
        assert (reason, path) in found
        assert {where for _, where in found} == {path}


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ("data", "more data", evidence_reasons.FILE_ROOT_MISMATCH),
        ("data", "quarantine", reasons.OBJECT_SIZE),
        ("ledger", "gate", reasons.OBJECT_SIZE),
        ("genesis", "entry", reasons.SEQUENCE_MISMATCH),
    ],
)
def test_two_objects_that_change_places_are_both_named(
    delivered: Delivered, one: str, other: str, reason: str
) -> None:
    with delivered.restored(one, other):
        delivered.filer.swap(delivered.path(one), delivered.path(other))
        assert {(reason, delivered.path(one)), (reason, delivered.path(other))} <= delivered.found()


def test_what_is_taken_away_or_covered_is_named_and_the_command_fails(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered = Delivered(s3, tmp_path)
    root = delivered.store.uri.removeprefix("s3://indelible/")
    admin = s3.store("indelible", root)
    steps: list[tuple[str, str, Callable[[str], object]]] = [
        (reasons.OBJECT_MISSING, "data", delivered.filer.remove),
        (reasons.EXTRA_VERSION, "gate", lambda path: admin.replace(path, b"a newer one")),
        (reasons.DELETE_MARKER, "ledger", lambda path: admin.delete(path, "")),
        (reasons.SEQUENCE_MISSING, "entry", delivered.filer.remove),
        (reasons.TILE_MISSING, "tile", delivered.filer.remove),
    ]
    expected = set()
    for reason, name, harm in steps:
        harm(delivered.path(name))
        expected.add((reason, delivered.path(name)))
        assert delivered.found() == expected
    settings = {"STATE": str(tmp_path / "state"), "LOG__ORIGIN": "audit.example/test"}
    settings |= {f"STORE__{name.upper()}": value for name, value in s3.section("writer").items()}
    for name, value in {**settings, "STORE__URI": delivered.store.uri}.items():
        monkeypatch.setenv(f"INDELIBLE_{name}", value)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["verify", "--json"])
    assert result.exit_code == VerificationError.exit_code
    listed = {(f["reason"], f["path"]) for f in json.loads(result.stdout)["findings"]}
    assert expected <= listed
