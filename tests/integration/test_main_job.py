"""The main job on real logs, from a directory and from S3: sums that an independent count confirms."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flows import evidence, pipeline
from flows.wiring import Runtime
from tasks.storage.local import LocalStore
from tasks.storage.s3 import S3Store
from tests.support.counts import cloudtrail_records, lines
from tests.support.deployment import deployment
from tests.support.s3 import S3
from tests.support.shared import REAL

CLOUDTRAIL = REAL / "cloudtrail" / "invictus-ir__aws_dataset"
APACHE = REAL / "gateway" / "elastic__examples" / "apache_logs"
API_GATEWAY = REAL / "gateway" / "aws-solutions__centralized-logging-with-opensearch"


def _sums(receipts: list[pipeline.BatchReceipt], name: str) -> int:
    return sum(getattr(receipt, name) for receipt in receipts)


def _clean(runtime: Runtime) -> None:
    report = evidence.verify_store(runtime)
    assert report.ok, [finding for finding in report.findings]


@pytest.fixture
def landing(tmp_path: Path) -> dict[str, str]:
    """Real drops of all three sources in directories."""
    shutil.copytree(CLOUDTRAIL, tmp_path / "cloudtrail")
    (tmp_path / "gateway").mkdir()
    shutil.copy(APACHE, tmp_path / "gateway" / "apache_logs")
    shutil.copy(API_GATEWAY / "apigateway1.log", tmp_path / "gateway")
    (tmp_path / "app").mkdir()
    for path in (REAL / "app").rglob("*"):
        if path.is_file() and path.suffix != ".yaml":
            shutil.copy(path, tmp_path / "app" / f"{path.parent.name}-{path.name}")
    return {name: (tmp_path / name).as_uri() for name in ("cloudtrail", "gateway", "app")}


def test_real_cloudtrail_from_a_directory_is_complete_and_stays_as_it_is(
    landing: dict[str, str], worm_store: S3Store, s3: S3, tmp_path: Path
) -> None:
    runtime = deployment(worm_store, tmp_path / "state", landing, store=s3.section())
    receipts, first = pipeline.deliver(runtime, "cloudtrail")

    expected = cloudtrail_records(CLOUDTRAIL.glob("*.json"))
    assert expected == 2900
    assert _sums(receipts, "lines") == expected
    assert _sums(receipts, "accepted") == expected
    _clean(runtime)

    again, second = pipeline.deliver(runtime, "cloudtrail")
    assert again == []
    assert (second.size, second.root) == (first.size, first.root)


def test_real_gateway_and_application_logs_are_complete(
    landing: dict[str, str], local_store: LocalStore, tmp_path: Path
) -> None:
    runtime = deployment(local_store, tmp_path / "state", landing)
    for source in ("gateway", "app"):
        receipts, _ = pipeline.deliver(runtime, source)
        drops = [p for p in (tmp_path / source).iterdir()]
        assert _sums(receipts, "drops") == len(drops)
        if source == "gateway":
            assert _sums(receipts, "lines") == sum(lines(p.read_bytes()) for p in drops)
            assert _sums(receipts, "accepted") >= 10_000
        for r in receipts:
            assert r.lines == r.accepted + r.quarantined + r.duplicate + r.blank
    _clean(runtime)


def test_the_same_drops_from_s3_give_the_same_sums(
    landing: dict[str, str], worm_store: S3Store, s3: S3, landing_store: S3Store, tmp_path: Path
) -> None:
    for path in sorted(CLOUDTRAIL.glob("*.json")):
        landing_store.create(f"AWSLogs/{path.name}", path.read_bytes(), retain_until=None)
    places = {"uris": {"cloudtrail": f"{landing_store.uri}/AWSLogs"}, **s3.section()}
    runtime = deployment(worm_store, tmp_path / "state", places, store=s3.section())
    receipts, first = pipeline.deliver(runtime, "cloudtrail")
    assert _sums(receipts, "accepted") == 2900
    again, second = pipeline.deliver(runtime, "cloudtrail")
    assert again == []
    assert second.root == first.root
    _clean(runtime)
