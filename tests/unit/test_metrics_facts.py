"""What the exporter says of a sealed log: sums that the log confirms, at a cost that grows with what is new."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.entries import append_entry
from flows.wiring import Runtime
from tasks.batch import Drop
from tasks.catalog.catalog import Catalog
from tasks.catalog.session import Session
from tasks.log import reader
from tasks.metrics import families as f
from tasks.metrics.families import BOUNDS, Distribution, Metric, Sample
from tasks.metrics.growth import SEALED_PUBLISHED, STAGES
from tasks.metrics.log import SealedLog
from tasks.storage.local import LocalStore
from tests.support.deployment import deployment
from tests.support.sealed_store import SEALED_AT, YEAR, SealedStore

DAY = date(2026, 11, 20)


class ClockedStore(LocalStore):
    """A store whose clock a test sets, and that counts what is read."""

    clock = SEALED_AT + timedelta(days=1)
    reads = 0

    def now(self) -> datetime:
        return self.clock

    def read(self, path: str, version_id: str | None = None) -> bytes:
        self.reads += 1
        return super().read(path, version_id)


@pytest.fixture
def store(tmp_path: Path) -> ClockedStore:
    return ClockedStore(tmp_path / "store")


@pytest.fixture(scope="module")
def sealed_once(tmp_path_factory: pytest.TempPathFactory) -> SealedStore:
    """Two batches of app and one of gateway, all of them signed."""
    sealed = SealedStore(LocalStore(tmp_path_factory.mktemp("sealed"))).open()
    sealed.add("app", DAY, rows=3, rules=("json.syntax", "time.required"))
    sealed.add("gateway", DAY, rows=5, rules=())
    sealed.add("app", DAY + timedelta(days=1), rows=2)
    return sealed.sign()


@pytest.fixture
def sealed(sealed_once: SealedStore, store: ClockedStore, tmp_path: Path) -> SealedStore:
    """A copy of it."""
    shutil.copytree(sealed_once.store.uri.removeprefix("file://"), tmp_path / "store", dirs_exist_ok=True)
    return replace(sealed_once, store=store, sealed=[*sealed_once.sealed])


@pytest.fixture
def runtime(store: ClockedStore, tmp_path: Path) -> Runtime:
    return deployment(store, tmp_path / "state")


def sealed_log(store: ClockedStore) -> SealedLog:
    root = store.uri.removeprefix("file://")
    return SealedLog(store, lambda: Catalog(store, Session(root)))


@pytest.fixture
def log(store: ClockedStore) -> Iterator[SealedLog]:
    log = sealed_log(store)
    yield log
    log.close()


def values(log: SealedLog, metric: Metric) -> dict[tuple[str, ...], Any]:
    return {sample.labels: sample.value for sample in log.samples() if sample.metric == metric}


def as_set(samples: list[Sample]) -> set[tuple[str, tuple[str, ...], object]]:
    return {(sample.metric.name, sample.labels, sample.value) for sample in samples}


def test_records_are_those_of_the_ledgers_by_source_and_outcome(sealed: SealedStore, log: SealedLog) -> None:
    records = values(log, f.RECORDS)
    assert {key: n for key, n in records.items() if n} == {
        ("app", "accepted"): 5,
        ("app", "quarantined"): 3,
        ("gateway", "accepted"): 5,
    }
    assert values(log, f.DROPS) == {("app",): 2, ("gateway",): 1}
    assert values(log, f.DROP_BYTES) == {("app",): 80, ("gateway",): 50}
    assert values(log, f.BATCHES) == {("app",): 2, ("gateway",): 1}
    assert values(log, f.HELD_BATCHES) == {("app",): 0, ("gateway",): 0}
    assert values(log, f.REPLAYED) == {}


def test_quarantine_is_told_by_rule_and_by_the_age_of_what_is_open(
    sealed: SealedStore, log: SealedLog
) -> None:
    assert values(log, f.RULE_HITS) == {("app", "json.syntax"): 2, ("app", "time.required"): 1}
    assert values(log, f.OPEN_LINES) == {("app",): 3, ("gateway",): 0}
    first = (SEALED_AT + timedelta(minutes=1)).timestamp()
    assert values(log, f.OLDEST_OPEN) == {("app",): first}  # no age where nothing is open


def test_latency_counts_each_drop_and_each_batch_once(sealed: SealedStore, log: SealedLog) -> None:
    latency = values(log, f.LATENCY)
    assert set(latency) == {(source, stage) for source in ("app", "gateway") for stage in STAGES}
    assert all(len(d.counts) == len(BOUNDS) + 1 for d in latency.values())
    assert {key: sum(d.counts) for key, d in latency.items()} == {
        (source, stage): count for source, count in (("app", 2), ("gateway", 1)) for stage in STAGES
    }
    landed = 1_790_000_000
    sealed_at = [(SEALED_AT + timedelta(minutes=n)).timestamp() for n in (1, 3)]
    assert latency["app", "landed-sealed"].sum == sum(at - landed for at in sealed_at)


def test_what_is_sealed_and_not_signed_is_sealed_and_not_published(
    sealed: SealedStore, log: SealedLog
) -> None:
    sealed.add("app", DAY)
    assert values(log, f.ENTRIES) == {(str(YEAR),): 5}
    assert values(log, f.SIGNED) == {(str(YEAR),): 4}
    assert sum(values(log, f.LATENCY)["app", SEALED_PUBLISHED].counts) == 2
    sealed.sign()
    assert values(log, f.SIGNED) == {(str(YEAR),): 5}
    assert sum(values(log, f.LATENCY)["app", SEALED_PUBLISHED].counts) == 3


def test_an_exporter_that_lives_long_says_what_a_new_one_says(
    sealed: SealedStore, store: ClockedStore, log: SealedLog
) -> None:
    log.samples()
    for number in range(3):
        sealed.add("app", DAY + timedelta(days=number), rules=("json.syntax",) * (number + 1))
        if number % 2:
            sealed.sign()
        log.samples()
    fresh = sealed_log(store)
    assert as_set(log.samples()) == as_set(fresh.samples())
    fresh.close()


def test_reading_again_costs_what_is_new(sealed: SealedStore, store: ClockedStore, log: SealedLog) -> None:
    def reads() -> int:
        before = store.reads
        log.samples()
        return store.reads - before

    first, idle = reads(), reads()
    sealed.add("app", DAY)
    sealed.sign()
    one_more = reads()
    for number in range(6):
        sealed.add("app", DAY + timedelta(days=number))
    sealed.sign()
    reads()
    assert reads() == idle < one_more < first
    sealed.add("app", DAY)
    sealed.sign()
    assert reads() <= one_more + 1  # not a word of what was read before


def test_a_log_that_was_set_back_is_read_anew(
    sealed: SealedStore, store: ClockedStore, log: SealedLog, tmp_path: Path
) -> None:
    before = as_set(log.samples())
    copy = tmp_path / "copy"
    (tmp_path / "store").rename(copy)
    other = SealedStore(store).open()
    other.add("gateway", DAY, rows=7)
    other.sign()
    assert reader.integrated(store, YEAR) == 2
    assert values(log, f.DROPS) == {("gateway",): 1}
    assert values(log, f.RULE_HITS) == {("gateway", "json.syntax"): 1}
    (tmp_path / "store").rename(tmp_path / "other")
    copy.rename(tmp_path / "store")
    assert as_set(log.samples()) == before


def test_only_what_is_not_sealed_is_waiting(sealed: SealedStore, log: SealedLog) -> None:
    known = Drop("app", "0.json", 50, "etag", None, 1_790_000_000_000_000)
    new = Drop("app", "new.json", 50, "etag", None, 1_790_000_000_000_000)
    assert log.unsealed([known, new]) == [new]


def audit(runtime: Runtime, log: SealedLog, *, enforced: bool) -> None:
    body = {
        "enforced": enforced,
        "findings": [{"code": "x", "identity": "", "ok": enforced, "sentence": "It was tried."}],
        "kind": "worm-probe",
        "server": "test",
        "software": "indelible/test",
        "store": "test",
    }
    with runtime.catalog() as catalog:
        append_entry(runtime, catalog, "audit", body)


def test_the_newest_audit_counts(sealed: SealedStore, runtime: Runtime, log: SealedLog) -> None:
    assert values(log, f.AUDIT_OK) == {}  # none is not the same as one that does not hold
    audit(runtime, log, enforced=True)
    assert values(log, f.AUDIT_OK) == {("worm-probe", ""): 1}
    audit(runtime, log, enforced=False)
    assert values(log, f.AUDIT_OK) == {("worm-probe", ""): 0}
    assert values(log, f.AUDITS) == {("worm-probe", "", "ok"): 1, ("worm-probe", "", "failed"): 1}
    assert values(log, f.AUDIT_TIME) == {("worm-probe", ""): runtime.store.now().timestamp()}


OBJECTS = {"bytes": 1, "count": 1, "path": f"lists/{'ab' * 32}.jsonl", "sha256": "ab" * 32, "version_id": ""}
PEOPLE = {"approver": "one", "reason": "a matter", "requested_by": "other"}


def test_holds_count_until_they_are_released(sealed: SealedStore, runtime: Runtime, log: SealedLog) -> None:
    assert values(log, f.OPEN_HOLDS) == {("app",): 0, ("gateway",): 0}
    scope = {"since": None, "source": "app", "subject": None, "until": None}
    with runtime.catalog() as catalog:
        hold = {**PEOPLE, "case": None, "objects": OBJECTS, "scope": scope}
        places = [append_entry(runtime, catalog, "hold", hold) for _ in range(2)]
        assert values(log, f.OPEN_HOLDS) == {("app",): 2, ("gateway",): 0}
        shard, index = places[0]
        append_entry(runtime, catalog, "release", {**PEOPLE, "hold": f"{shard:04d}-{index}"})
    assert values(log, f.OPEN_HOLDS) == {("app",): 1, ("gateway",): 0}


@pytest.mark.parametrize(
    ("since", "until", "moved"),
    [
        pytest.param(None, None, 2, id="all-of-it"),
        pytest.param("2026-11-20", "2026-11-20", 1, id="one-day"),
        pytest.param("2026-12-01", None, 0, id="another-day"),
    ],
)
def test_extended_locks_end_later(
    sealed: SealedStore, runtime: Runtime, log: SealedLog, store: ClockedStore,
    since: str | None, until: str | None, moved: int,
) -> None:  # fmt: skip
    before = datetime(2040, 1, 1, tzinfo=UTC)
    after = datetime(2050, 1, 1, tzinfo=UTC)
    assert values(log, f.RETENTION_END) == {("app",): before.timestamp(), ("gateway",): before.timestamp()}
    body = {
        **PEOPLE,
        "action": "extend",
        "log_retain_until": "2050-02-01T00:00:00Z",
        "objects": OBJECTS,
        "retain_until": "2050-01-01T00:00:00Z",
        "scope": {"since": since, "source": "app", "subject": None, "until": until},
    }
    with runtime.catalog() as catalog:
        append_entry(runtime, catalog, "retention", body)
    end = after if moved == 2 else before
    assert values(log, f.RETENTION_END)["app",] == end.timestamp()
    store.clock = before + timedelta(hours=2)
    assert values(log, f.UNLOCKED_BATCHES) == {("app",): 2 - moved, ("gateway",): 1}


def test_an_empty_store_has_no_facts_and_no_zeros(store: ClockedStore, log: SealedLog) -> None:
    assert log.samples() == []


def test_every_sample_has_the_labels_of_its_metric(
    sealed: SealedStore, runtime: Runtime, log: SealedLog
) -> None:
    audit(runtime, log, enforced=True)
    for sample in log.samples():
        assert len(sample.labels) == len(sample.metric.labels)
        assert isinstance(sample.value, Distribution) == (sample.metric.kind == "histogram")
