"""Object Lock and versions on a real S3 server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from tasks.errors import StoreRefusedError, StoreUnavailableError
from tasks.storage.bucket import bucket_state, ensure_bucket
from tasks.storage.s3 import S3Store
from tests.support.s3 import S3


@pytest.fixture
def until(worm_store: S3Store) -> datetime:
    return worm_store.now() + timedelta(days=2)


def test_a_lock_is_stored_and_told(worm_store: S3Store, until: datetime) -> None:
    made = worm_store.create("a", b"x", retain_until=until)
    assert made.retain_until == until
    assert worm_store.head("a", made.version_id).retain_until == until


def test_a_retention_is_rounded_up_to_a_second(worm_store: S3Store, until: datetime) -> None:
    made = worm_store.create("a", b"x", retain_until=until + timedelta(microseconds=1))
    assert made.retain_until == until + timedelta(seconds=1)


def test_nobody_deletes_or_shortens_a_locked_version(worm_store: S3Store, until: datetime) -> None:
    made = worm_store.create("a", b"x", retain_until=until)
    with pytest.raises(StoreRefusedError, match="AccessDenied"):
        worm_store.delete("a", made.version_id)
    with pytest.raises(StoreRefusedError, match="AccessDenied"):
        worm_store.set_retention("a", made.version_id, until - timedelta(hours=1))
    assert worm_store.read("a", made.version_id) == b"x"
    worm_store.set_retention("a", made.version_id, until + timedelta(hours=1))
    assert worm_store.head("a").retain_until == until + timedelta(hours=1)


def test_a_version_reads_below_a_newer_one_and_below_a_delete_marker(worm_store: S3Store) -> None:
    made = worm_store.create("a", b"old", retain_until=None)
    worm_store.replace("a", b"new")
    worm_store.delete("a", "")  # without a version: a marker
    assert worm_store.read("a", made.version_id) == b"old"
    versions = list(worm_store.list_versions())
    assert [v.is_delete_marker for v in versions].count(True) == 1
    assert len(versions) == 3
    assert [v.is_latest for v in versions].count(True) == 1
    assert list(worm_store.list()) == []


def test_a_lock_is_refused_where_the_bucket_has_none(landing_store: S3Store, until: datetime) -> None:
    with pytest.raises(StoreRefusedError):
        landing_store.create("a", b"x", retain_until=until)
    assert list(landing_store.list()) == []


def test_the_bucket_says_whether_it_is_worm(worm_store: S3Store, landing_store: S3Store) -> None:
    assert (worm_store.worm, landing_store.worm) == (True, False)
    assert bucket_state(worm_store).default_days == 1
    assert bucket_state(landing_store).versioning


def test_a_listing_goes_over_pages(landing_store: S3Store) -> None:
    names = [f"p/{number:020d}" for number in range(1005)]
    root = landing_store.uri.removeprefix("s3://landing/")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: landing_store.request("put_object", Key=f"{root}/{n}", Body=b""), names))
    assert [info.path for info in landing_store.list("p/")] == names
    assert [info.path for info in landing_store.list("p/", start_after=names[2])] == names[3:]
    assert [info.path for info in landing_store.list_versions("p/")] == names


def test_an_analyst_cannot_write_and_does_not_see_the_landing_place(s3: S3) -> None:
    with pytest.raises(StoreRefusedError, match="403"):
        s3.store("indelible", identity="analyst").create("x", b"x", retain_until=None)
    with pytest.raises(StoreRefusedError, match="403"):
        list(s3.store("landing", identity="analyst").list())
    with pytest.raises(StoreRefusedError, match="403"):
        ensure_bucket(s3.store("another", identity="writer"), lock_days=None)


def test_wrong_keys_are_refused_and_not_shown(s3: S3) -> None:
    store = S3Store("indelible", endpoint=s3.endpoint, access_key="AKIAWRONG", secret_key="wrong-and-secret")
    with pytest.raises(StoreRefusedError) as caught:
        store.read("a")
    assert "wrong-and-secret" not in f"{caught.value} {caught.value.next_step} {store!r}"
    assert "AKIAWRONG" not in str(caught.value)


def test_a_server_that_is_away_is_unavailable() -> None:
    pauses: list[float] = []
    store = S3Store("b", endpoint="http://127.0.0.1:9", access_key="a", secret_key="b", sleep=pauses.append)
    for call in (lambda: store.read("a"), lambda: store.create("a", b"", retain_until=None), store.now):
        with pytest.raises(StoreUnavailableError):
            call()
    assert pauses == [0.2, 0.6, 1.8] * 3
