"""The main job on real logs, from a directory and from S3: sums that an independent count confirms."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import evidence, pipeline
from flows.receipts import BatchReceipt, CheckpointReceipt
from flows.wiring import Runtime
from tasks.storage.local import LocalStore
from tasks.storage.s3 import S3Store
from tests.support.counts import cloudtrail_records, lines
from tests.support.deployment import deployment
from tests.support.s3 import S3
from tests.support.shared import REAL

CLOUDTRAIL = REAL / "cloudtrail" / "invictus-ir__aws_dataset"
EVENTS = 2900
APACHE = REAL / "gateway" / "elastic__examples" / "apache_logs"
API_GATEWAY = REAL / "gateway" / "aws-solutions__centralized-logging-with-opensearch"
# One line of the Apache log ends within its user agent.
BROKEN_ACCESS_LINES = 1
TIME_NAMES = {"@timestamp", "date", "datetime", "time", "timestamp", "ts"}
# `"ts": "xxx"`, in a line that calls itself bad.
NO_REAL_TIME = 1


def ndjson_files() -> Iterator[Path]:
    """The real application logs whose first line is a JSON object."""
    for path in sorted((REAL / "app").rglob("*")):
        if path.is_file() and is_object(path.read_bytes().lstrip().partition(b"\n")[0]):
            yield path


def is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def has_time(line: bytes) -> bool:
    return is_object(line) and not TIME_NAMES.isdisjoint(json.loads(line))


def total(receipts: list[BatchReceipt], name: str) -> int:
    return sum(getattr(receipt, name) for receipt in receipts)


def assert_verifies(runtime: Runtime) -> None:
    report = evidence.verify_store(runtime)
    assert report.ok, report.findings


def assert_nothing_is_new(runtime: Runtime, source: str, before: CheckpointReceipt) -> None:
    receipts, after = pipeline.deliver(runtime, source)
    assert receipts == []
    assert (after.size, after.root) == (before.size, before.root)


@pytest.fixture
def landing(tmp_path: Path) -> dict[str, str]:
    """Real drops of all three sources in directories."""
    shutil.copytree(CLOUDTRAIL, tmp_path / "cloudtrail")
    (tmp_path / "gateway").mkdir()
    shutil.copy(APACHE, tmp_path / "gateway")
    shutil.copy(API_GATEWAY / "apigateway1.log", tmp_path / "gateway")
    (tmp_path / "app").mkdir()
    for path in ndjson_files():
        shutil.copy(path, tmp_path / "app" / f"{path.parent.name}-{path.name}.ndjson")
    return {name: (tmp_path / name).as_uri() for name in ("cloudtrail", "gateway", "app")}


def test_real_cloudtrail_into_a_worm_store_is_complete_and_stays_as_it_is(
    landing: dict[str, str], worm_store: S3Store, s3: S3, tmp_path: Path
) -> None:
    assert cloudtrail_records(CLOUDTRAIL.glob("*.json")) == EVENTS
    runtime = deployment(worm_store, tmp_path / "state", landing, store=s3.section())
    receipts, checkpoint = pipeline.deliver(runtime, "cloudtrail")
    assert total(receipts, "drops") == len(list(CLOUDTRAIL.glob("*.json")))
    assert total(receipts, "lines") == total(receipts, "accepted") == EVENTS
    assert_verifies(runtime)
    assert_nothing_is_new(runtime, "cloudtrail", checkpoint)


def test_the_same_drops_from_s3_give_the_same_sums(
    worm_store: S3Store, s3: S3, landing_store: S3Store, tmp_path: Path
) -> None:
    for path in sorted(CLOUDTRAIL.glob("*.json")):
        landing_store.create(f"AWSLogs/{path.name}", path.read_bytes(), retain_until=None)
    places = {"uris": {"cloudtrail": f"{landing_store.uri}/AWSLogs"}, **s3.section()}
    runtime = deployment(worm_store, tmp_path / "state", places, store=s3.section())
    receipts, checkpoint = pipeline.deliver(runtime, "cloudtrail")
    assert total(receipts, "lines") == total(receipts, "accepted") == EVENTS
    assert_verifies(runtime)
    assert_nothing_is_new(runtime, "cloudtrail", checkpoint)


def test_real_gateway_logs_are_complete(
    landing: dict[str, str], local_store: LocalStore, tmp_path: Path
) -> None:
    runtime = deployment(local_store, tmp_path / "state", landing)
    receipts, checkpoint = pipeline.deliver(runtime, "gateway")
    expected = lines(APACHE.read_bytes()) + lines((API_GATEWAY / "apigateway1.log").read_bytes())
    assert expected == 10_020
    assert total(receipts, "lines") == expected
    assert total(receipts, "accepted") == expected - BROKEN_ACCESS_LINES
    assert [receipt.rules for receipt in receipts] == [{"combined.syntax": BROKEN_ACCESS_LINES}]
    assert_verifies(runtime)
    assert_nothing_is_new(runtime, "gateway", checkpoint)


def test_real_application_logs_are_complete(
    landing: dict[str, str], local_store: LocalStore, tmp_path: Path
) -> None:
    runtime = deployment(local_store, tmp_path / "state", landing)
    receipts, checkpoint = pipeline.deliver(runtime, "app")
    texts = [path.read_bytes() for path in ndjson_files()]
    assert total(receipts, "drops") == len(texts) > 20
    assert total(receipts, "lines") == sum(map(lines, texts))
    timed = sum(has_time(line) for text in texts for line in text.split(b"\n"))
    assert timed > 150
    assert total(receipts, "accepted") == timed - NO_REAL_TIME
    assert total(receipts, "blank") == sum(not line.strip() for text in texts for line in text.splitlines())
    assert not any(receipt.held for receipt in receipts)
    assert_verifies(runtime)
    assert_nothing_is_new(runtime, "app", checkpoint)
