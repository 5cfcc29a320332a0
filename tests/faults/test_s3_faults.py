"""What networks and busy servers do to a delivery on a real S3 server: it gets through, or says "again later".

Afterwards one run completes, and everything is derived anew from what lies in the bucket.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows import pipeline
from tasks.errors import AlreadyExistsError, StoreUnavailableError
from tasks.storage import s3 as adapter
from tasks.storage.s3 import S3Store
from tests.support.fault_proxy import FOREVER, Fault, FaultProxy, fault_proxy
from tests.support.faults import (
    SOURCE,
    Delivery,
    check_history,
    fresh_bucket,
    land,
    remembered_gate,
    seal_entries,
    write_contract,
)
from tests.support.s3 import S3

TIMEOUT_S = 1.5
FAULTS = {
    "put": ("429", "500", "503", "reset before", "reset after", "error after", "silence"),
    "get": ("503", "cut body"),
    "list": ("cut document", "cut page", "lost token"),
    "head": ("reset before",),
}
LASTING = {"503", "reset after", "cut body", "cut page", "lost token"}
PAGES = ("503", "cut body", "cut document", "cut page", "lost token", "slow start", "short pages")
FEWEST = {"put": 11, "get": 6, "list": 3, "head": 8}  # requests of the shortest delivery here


@pytest.fixture(scope="module", autouse=True)
def gate() -> Iterator[None]:
    with remembered_gate():
        yield


@pytest.fixture(scope="module")
def proxy(s3: S3) -> Iterator[FaultProxy]:
    """Before the server; the client gives up waiting soon."""
    with pytest.MonkeyPatch.context() as patch, fault_proxy(s3.endpoint) as running:
        patch.setitem(adapter._CONFIG, "read_timeout", TIMEOUT_S)
        yield running


def no_pause(_seconds: float) -> None:
    """The faults here end with a number of requests, not with time."""


def sealed(place: Disturbed) -> int:
    """Drops that an entry of the log covers."""
    return sum(entry["sums"]["drops"] for entry in seal_entries(place.delivery.store()))


@dataclass
class Disturbed:
    """One deployment on an empty place of the bucket, whose every request passes the proxy."""

    proxy: FaultProxy
    delivery: Delivery
    contents: dict[str, bytes]

    @classmethod
    def new(cls, s3: S3, proxy: FaultProxy, base: Path) -> Disturbed:
        write_contract(base / "contracts")
        place = fresh_bucket(s3)
        return cls(proxy, Delivery(base, base / "landing", base / "state", s3=place), {})

    def deliver(self, number: int, fault: Fault | None) -> int:
        """Let a drop land and deliver under a fault; how many requests met it."""
        self.contents |= land(self.delivery.landing, number)
        s3: dict[str, Any] = {**(self.delivery.s3 or {}), "endpoint": self.proxy.endpoint}
        runtime = replace(self.delivery, s3=s3).runtime(S3Store(**s3, sleep=no_pause))
        self.proxy.arm(fault)
        try:
            pipeline.deliver(runtime, SOURCE)
            return self.proxy.struck
        finally:
            self.proxy.arm(None)

    def check(self) -> None:
        """Judge what lies in the bucket, and not through the proxy."""
        check_history(self.delivery.runtime(self.delivery.store()), self.contents, leftovers=True)


def moments(kind: str, operation: str) -> tuple[int, int]:
    """Requests to strike, the same in every run."""
    first, second = random.Random(f"{kind} {operation}").sample(range(FEWEST[operation]), 2)
    return first, second


@pytest.mark.parametrize("operation", FAULTS)
def test_one_disturbed_request_is_repeated_and_a_lasting_fault_ends_as_transient(
    operation: str, s3: S3, proxy: FaultProxy, tmp_path: Path
) -> None:
    place = Disturbed.new(s3, proxy, tmp_path)
    for number, kind in enumerate(FAULTS[operation]):
        once, lasting = moments(kind, operation)
        assert place.deliver(2 * number, Fault(kind, operation, once)) == 1, kind
        assert sealed(place) == len(place.contents), kind
        if kind in LASTING:
            with pytest.raises(StoreUnavailableError) as failure:
                place.deliver(2 * number + 1, Fault(kind, operation, lasting, FOREVER))
            assert failure.value.transient, kind
            assert failure.value.next_step, kind
    place.deliver(2 * len(FAULTS[operation]), None)
    place.check()


def test_slow_answers_slow_bodies_and_pages_of_one_key_change_nothing(
    s3: S3, proxy: FaultProxy, tmp_path: Path
) -> None:
    place = Disturbed.new(s3, proxy, tmp_path)
    assert place.deliver(0, Fault("short pages", "list", times=FOREVER)) > FEWEST["list"]
    assert place.deliver(1, Fault("slow body", "get", times=FOREVER)) >= FEWEST["get"]
    assert place.deliver(2, Fault("slow start", "put", 3, 4)) == 4
    place.check()
    assert sealed(place) == 3


def test_a_landing_place_whose_listing_is_cut_hides_no_drop(s3: S3, proxy: FaultProxy) -> None:
    bucket, _, prefix = s3.fresh("landing").uri.removeprefix("s3://").partition("/")
    keys = {name: fresh_bucket(s3)[name] for name in ("access_key", "secret_key")}
    landing = S3Store(bucket, prefix, endpoint=proxy.endpoint, **keys, sleep=no_pause)
    names = [f"2026-11-02/{number:03d}.ndjson" for number in range(5)]
    for name in names:
        landing.create(name, name.encode(), retain_until=None)
    for kind in PAGES:
        proxy.arm(Fault(kind, "list", times=1 if kind != "short pages" else FOREVER))
        assert [info.path for info in landing.list("2026-11-02/")] == names
        assert proxy.struck
        proxy.arm(Fault(kind, "list", times=1 if kind != "short pages" else FOREVER))
        if kind != "cut page":  # ListObjectVersions has no count of its own
            assert [info.path for info in landing.list_versions("2026-11-02/")] == names
    proxy.arm(Fault("cut page", "list", times=FOREVER))
    with pytest.raises(StoreUnavailableError):
        list(landing.list("2026-11-02/"))
    proxy.arm(None)


@pytest.mark.parametrize("kind", ["reset after", "error after", "silence"])
def test_a_create_that_was_stored_without_an_answer_knows_its_own_object(
    kind: str, s3: S3, proxy: FaultProxy
) -> None:
    place = fresh_bucket(s3)
    store = S3Store(**{**place, "endpoint": proxy.endpoint}, sleep=no_pause)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    store.create("warm", b"a connection that is used again", retain_until=until)
    proxy.arm(Fault(kind, "put"))
    stored = store.create("log/entry", b"mine", retain_until=until)
    assert (proxy.struck, proxy.seen["put"]) == (1, 2)
    assert stored.retain_until == until
    assert len(list(S3Store(**place).list_versions("log/"))) == 1


@pytest.mark.parametrize("kind", ["503", "reset before"])
def test_an_older_object_with_another_lock_is_another_writers_even_after_a_lost_answer(
    kind: str, s3: S3, proxy: FaultProxy
) -> None:
    store = S3Store(**{**fresh_bucket(s3), "endpoint": proxy.endpoint}, sleep=no_pause)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    store.create("contracts/one", b"shared by batches", retain_until=until)
    proxy.arm(Fault(kind, "put"))
    with pytest.raises(AlreadyExistsError):
        store.create("contracts/one", b"shared by batches", retain_until=until + timedelta(days=1))
    proxy.arm(None)
    assert store.head("contracts/one").retain_until == until
