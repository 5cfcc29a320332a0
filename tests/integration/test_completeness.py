"""One drop, one line, an hour and a day taken away: four different findings, as an operator sees them."""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from flows import evidence
from flows.cli.app import app
from flows.completeness import check_completeness
from flows.heartbeats import seal_heartbeats
from tasks.completeness.intervals import floor
from tasks.errors import UsageError
from tasks.evidence import paths
from tasks.storage.local import LocalStore
from tasks.storage.s3 import S3Store
from tests.support.deployment import deployment
from tests.support.loadgen import generate
from tests.support.s3 import S3

# Heartbeats are about the past, up to now: three days, of which the last ends early.
FIRST = floor(datetime.now(UTC), "day") - timedelta(days=3)
SECOND, THIRD, END = (FIRST + timedelta(hours=hours) for hours in (24, 48, 58))
HOUR = FIRST + timedelta(hours=5)


@dataclass(frozen=True)
class Place:
    """A deployment in a directory, driven by its command."""

    base: Path

    @property
    def landing(self) -> Path:
        return self.base / "landing"

    def drops(self) -> list[Path]:
        return sorted(self.landing.rglob("*.json.gz"))

    def run(self, line: str, *arguments: str, code: int = 0) -> Any:
        """What a command answers with `--json`."""
        environment = {
            "INDELIBLE_CONFIG": str(self.base / "none.toml"),
            "INDELIBLE_STATE": str(self.base / "state"),
            "INDELIBLE_STORE__URI": (self.base / "store").as_uri(),
            "INDELIBLE_LANDING__URIS": json.dumps({"cloudtrail": self.landing.as_uri()}),
        }
        result = CliRunner().invoke(app, [*line.split(), *arguments, "--json"], env=environment)
        assert result.exit_code == code, result.output + str(result.exception)
        return json.loads(result.stdout)

    def check(self, code: int = 0) -> Any:
        """`completeness check` of the three days."""
        window = ["--since", f"{FIRST:%Y-%m-%d}", "--until", f"{END:%Y-%m-%dT%H:%M}"]
        return self.run("completeness check cloudtrail", *window, code=code)


def events(drop: Path) -> list[datetime]:
    records = json.loads(gzip.decompress(drop.read_bytes()))["Records"]
    return [datetime.fromisoformat(record["eventTime"]) for record in records]


def take_away(place: Place, since: datetime, until: datetime) -> None:
    """Remove each drop that holds an event of a time."""
    for drop in place.drops():
        if any(since <= event < until for event in events(drop)):
            drop.unlink()


def cut_a_line(drop: Path) -> None:
    """Remove the last record of a drop."""
    document = json.loads(gzip.decompress(drop.read_bytes()))
    document["Records"].pop()
    drop.write_bytes(gzip.compress(json.dumps(document).encode()))


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days of one CloudTrail trail, made from real events."""
    root = tmp_path_factory.mktemp("generated")
    options = {"cloudtrail_mb": 9, "gateway_mb": 0, "app_mb": 0, "accounts": 1, "days": 3}
    generate(root, "completeness", **options, regions="us-east-1", start=f"{FIRST:%Y-%m-%d}", clean=True)
    return root / "cloudtrail"


@pytest.fixture
def place(generated: Path, tmp_path: Path) -> Place:
    """A landing place with everything that was generated."""
    shutil.copytree(generated, tmp_path / "landing")
    return Place(tmp_path)


@pytest.fixture(scope="module")
def sealed(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Everything that was generated, sealed, and a heartbeat for each hour of the last day and since."""
    base = tmp_path_factory.mktemp("sealed")
    shutil.copytree(generated, base / "landing")
    place = Place(base)
    place.run("deliver cloudtrail")
    place.run("completeness heartbeat cloudtrail", "--since", f"{THIRD:%Y-%m-%d}")
    return place


@pytest.fixture
def delivered(sealed: Place, tmp_path: Path) -> Place:
    """A copy of `sealed`, to do harm to."""
    shutil.copytree(sealed.base, tmp_path, dirs_exist_ok=True)
    return Place(tmp_path)


def test_one_drop_one_line_an_hour_and_a_day_are_four_findings(place: Place) -> None:
    take_away(place, HOUR, HOUR + timedelta(hours=1))
    take_away(place, SECOND, THIRD)
    beats = place.run("completeness heartbeat cloudtrail", "--since", f"{THIRD:%Y-%m-%d}")
    third = [drop for drop in place.drops() if f"_{THIRD:%Y%m%d}T" in drop.name]
    assert sum(beat["counts"]["waiting"] for beat in beats) == len(third)
    assert any(beat["counts"]["landed"] == 0 for beat in beats)

    drop, shortened = third[10], third[20]
    content = drop.read_bytes()
    drop.unlink()
    cut_a_line(shortened)
    place.run("deliver cloudtrail")

    checked = place.check(code=6)
    found = {finding["code"]: finding for finding in checked["findings"]}
    assert Counter(f["code"] for f in checked["findings"]) == {
        "drop-vanished": 1,
        "drop-changed": 1,
        "event-gap": 1,
        "day-missing": 1,
    }
    assert found["drop-vanished"]["key"] == drop.relative_to(place.landing).as_posix()
    assert found["drop-changed"]["key"] == shortened.relative_to(place.landing).as_posix()
    assert found["event-gap"]["since"] <= f"{HOUR:%Y-%m-%dT%H:%M:%SZ}"
    assert found["event-gap"]["until"] >= f"{HOUR + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    assert found["day-missing"]["since"] <= f"{SECOND:%Y-%m-%dT%H:%M:%SZ}"
    assert all(finding["next_step"] for finding in checked["findings"])
    verified = place.run("verify")
    assert {
        f["reason"] for f in verified["findings"] if "heartbeat" in f["reason"] or "drop" in f["reason"]
    } == {"drop-not-sealed"}

    window = ["--since", f"{FIRST:%Y-%m-%d}", "--until", f"{END:%Y-%m-%dT%H:%M}"]
    people = ["--approver", "bob", "--requested-by", "alice", "--reason", "The trail was paused."]
    gap = place.run(
        "completeness approve cloudtrail", *window, *people, "--code", "event-gap", "--code", "day-missing"
    )
    assert {finding["code"] for finding in gap["explained"]} == {"event-gap", "day-missing"}
    drop.write_bytes(content)
    done = place.run("completeness reconcile cloudtrail", *window, code=6)
    assert len(done["batches"]) == 1
    assert [(f["code"], f["gap"] is None) for f in done["findings"] if f["gap"] is None] == [
        ("drop-changed", True)
    ]
    register = place.run("completeness gaps")
    assert [(g["codes"], g["approver"], g["findings"]) for g in register] == [
        (["day-missing", "event-gap"], "bob", 2)
    ]
    assert place.run("verify")["ok"]


def test_where_nothing_was_taken_away_nothing_is_open_until_it_is(delivered: Place) -> None:
    checked = delivered.check()
    assert (checked["findings"], checked["landed_drops"]) == ([], len(delivered.drops()))
    states = delivered.run(
        "query", "SELECT state, count(*) AS n FROM completeness GROUP BY state ORDER BY state"
    )
    assert {row["state"] for row in states} == {"sealed", "silent"}

    cut_a_line(delivered.drops()[40])
    assert [finding["code"] for finding in delivered.check(code=6)["findings"]] == ["drop-changed"]
    expired = delivered.drops()[50]
    expired.unlink()
    assert [finding["code"] for finding in delivered.check(code=6)["findings"]] == ["drop-changed"]


def test_what_is_taken_away_from_the_sealed_side_is_told_by_verify(delivered: Place) -> None:
    store = delivered.base / "store"
    first, second, *_ = sorted((store / "data").rglob(f"event_date={FIRST:%Y-%m-%d}/*")) + sorted(
        (store / "data").rglob(f"event_date={SECOND:%Y-%m-%d}/*")
    )
    for file in (first, second):
        file.chmod(0o600)
    table = pq.read_table(first, partitioning=None)
    pq.write_table(table.slice(1), first, compression="zstd")
    second.unlink()
    document = delivered.run("verify", code=6)
    lost = [f for f in document["findings"] if f["reason"] == "line-missing"]
    day = [f["path"] for f in document["findings"] if f["reason"] == "object-missing"]
    assert day == [second.relative_to(store).as_posix()]
    # The ledger is not complete without the day's file, so a single line is told by the file's rows.
    codes = {f["reason"] for f in document["findings"] if f["path"] == first.relative_to(store).as_posix()}
    assert lost or "row-count" in codes


def test_two_runners_seal_one_heartbeat_an_interval_and_it_is_locked(
    s3: S3, worm_store: S3Store, landing_store: S3Store, tmp_path: Path
) -> None:
    now = worm_store.now()
    hours = [floor(now, "hour") - timedelta(hours=n) for n in range(6, 3, -1)]
    for hour in hours:
        key = f"apigw/{hour:%Y/%m/%d/%H}/access.ndjson"
        landing_store.request("put_object", Key=landing_store.key(key), Body=b"{}\n")
    landing = {"uris": {"gateway": landing_store.uri}, **s3.section()}
    runners = [deployment(worm_store, tmp_path / "state", landing, store=s3.section())]
    runners.append(type(runners[0])(runners[0].settings, worm_store, runners[0].keyring))
    with ThreadPoolExecutor(2) as pool:
        sealed = list(pool.map(lambda runner: seal_heartbeats(runner, "gateway", hours[0]), runners))
    intervals = sorted(beat.interval for some in sealed for beat in some)
    assert len(intervals) == len(set(intervals)) >= 3
    assert [interval.since for interval in intervals[:3]] == hours
    again = seal_heartbeats(runners[0], "gateway")  # an hour may have ended meanwhile
    assert not {beat.interval for beat in again} & set(intervals)
    for info in worm_store.list(paths.LISTS_PREFIX):
        head = worm_store.head(info.path)
        assert head.retain_until is not None
        assert head.retain_until > now + timedelta(days=365)
    report = evidence.verify_store(runners[0])
    assert report.ok
    assert {f.reason for f in report.findings} == {"drop-not-sealed"}
    checked = check_completeness(runners[0], "gateway", hours[0])
    assert {finding.code for finding in checked.open} <= {"drop-unsealed", "event-gap"}


def test_a_bundle_holds_the_inventories_of_its_days_and_its_report_says_what_was_measured(
    delivered: Place, tmp_path: Path
) -> None:
    target = tmp_path / "evidence.zip"
    days = ["--since", f"{SECOND:%Y-%m-%d}", "--until", f"{THIRD:%Y-%m-%d}"]
    delivered.run("export", *days, "-o", str(target))
    with zipfile.ZipFile(target) as bundle:
        lists = [name for name in bundle.namelist() if name.startswith(paths.LISTS_PREFIX)]
        page = bundle.read("report.html").decode()
    stored = list((delivered.base / "store" / "lists").iterdir())
    assert len(lists) == len(stored) > 5
    assert f"{SECOND:%Y-%m-%d} 00:00 to {THIRD:%Y-%m-%d} 00:00" in page  # no heartbeat was about this day
    assert "No gap was explained." in page
    report = delivered.run("verify")
    assert not [finding for finding in report["findings"] if "heartbeat" in finding["reason"]]


def test_who_hands_over_seals_no_heartbeat(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    landing = {"gateway": (tmp_path / "landing").as_uri()}
    worker = deployment(
        LocalStore(tmp_path / "store"), tmp_path / "state", landing, sequencer={"worker": "one"}
    )
    with pytest.raises(UsageError, match="appends nothing"):
        seal_heartbeats(worker, "gateway")
