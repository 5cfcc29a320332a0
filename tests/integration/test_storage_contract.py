"""What every adapter guarantees, asked of a directory, of a WORM bucket and of a plain bucket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tasks.errors import AlreadyExistsError, NotFoundError, StoreRefusedError
from tasks.storage import ObjectStore
from tests.support.s3 import S3


@pytest.fixture(params=["local_store", "worm_store", "landing_store"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def test_what_was_created_reads_back(store: ObjectStore) -> None:
    made = store.create("a/b.txt", b"hello", retain_until=None)
    assert (made.path, made.size) == ("a/b.txt", 5)
    assert made.modified.utcoffset() == timedelta(0)
    assert store.read("a/b.txt") == b"hello"
    assert store.read("a/b.txt", made.version_id) == b"hello"
    assert store.head("a/b.txt", made.version_id) == made


def test_create_never_changes_what_is_there(store: ObjectStore) -> None:
    store.create("a", b"first", retain_until=None)
    for data in (b"second", b"first"):
        with pytest.raises(AlreadyExistsError):
            store.create("a", data, retain_until=None)
    assert store.read("a") == b"first"
    assert len(list(store.list_versions())) == 1


def test_of_ten_concurrent_creators_exactly_one_wins(store: ObjectStore) -> None:
    def create(number: int) -> int | None:
        try:
            store.create("seq/0", b"%d" % number, retain_until=None)
        except AlreadyExistsError:
            return None
        return number

    with ThreadPoolExecutor(10) as pool:
        winners = [n for n in pool.map(create, range(10)) if n is not None]
    assert len(winners) == 1
    assert store.read("seq/0") == b"%d" % winners[0]


def test_replace_shows_the_new_bytes(store: ObjectStore) -> None:
    for data in (b"one", b"two", b"two"):
        assert store.replace("checkpoint", data).size == 3
        assert store.read("checkpoint") == data


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 2, b"01"), (8, 5, b"89"), (10, 1, b""), (99, 1, b""), (3, 0, b""), (0, 10, b"0123456789")],
)
def test_a_range_ends_with_the_object(store: ObjectStore, start: int, length: int, expected: bytes) -> None:
    store.create("r", b"0123456789", retain_until=None)
    assert store.read_range("r", start, length) == expected


def test_an_empty_object_can_be_stored(store: ObjectStore) -> None:
    assert store.create("empty", b"", retain_until=None).size == 0
    assert store.read("empty") == b""


@pytest.mark.parametrize(
    "name", ["é/ü +%&=?#;@.json", "a'b\"c", "x~y", "event_date=2026-11-24/%2F.gz", "日本"]
)
def test_any_printable_name_survives(store: ObjectStore, name: str) -> None:
    store.create(name, b"x", retain_until=None)
    assert [info.path for info in store.list()] == [name]
    assert store.read(name) == b"x"


@pytest.mark.parametrize("path", ["", "/a", "..", "a/../b", "./a", "a/.", "a\0b", "x" * 1025, "\udcff"])
def test_a_path_that_leaves_the_store_is_refused(store: ObjectStore, path: str) -> None:
    for call in (
        lambda: store.create(path, b"x", retain_until=None),
        lambda: store.replace(path, b"x"),
        lambda: store.read(path),
        lambda: store.read_range(path, 0, 1),
        lambda: store.head(path),
        lambda: store.delete(path, ""),
    ):
        with pytest.raises(StoreRefusedError, match="not a path inside a store"):
            call()


def test_what_is_absent_is_not_found(store: ObjectStore) -> None:
    store.create("a", b"x", retain_until=None)
    for call in (
        lambda: store.read("b"),
        lambda: store.head("b"),
        lambda: store.read_range("b", 0, 1),
        lambda: store.read("a", "0123456789abcdef0123456789abcdef"),
    ):
        with pytest.raises(NotFoundError):
            call()


def test_a_listing_is_filtered_and_in_byte_order_within_a_directory(store: ObjectStore) -> None:
    names = ["d/Z", "d/a", "d/a0", "d/é", "d/b.x", "d/b", "e/1", "dd"]
    for name in names:
        store.create(name, b"x", retain_until=None)
    in_d = [name.decode() for name in sorted(n.encode() for n in names if n.startswith("d/"))]
    assert [info.path for info in store.list("d/")] == in_d
    assert [info.path for info in store.list("d/a")] == ["d/a", "d/a0"]
    assert [info.path for info in store.list("d/", start_after="d/a")] == in_d[in_d.index("d/a") + 1 :]
    assert list(store.list("nothing/here")) == []
    assert list(store.list(start_after="~")) == [i for i in store.list() if i.path.encode() > b"~"]


def test_nothing_is_left_out_after_a_name_beside_a_directory(store: ObjectStore) -> None:
    """SeaweedFS walks `d/a/` before `d/a-b`, and started there it would leave `d/a/b` out."""
    names = {"d/a/b", "d/a-b", "d/a b", "d/a.p/1", "d/a0", "d/b"}
    for name in names:
        store.create(name, b"x", retain_until=None)
    for start in names:
        found = [info.path for info in store.list("d/", start_after=start)]
        assert sorted(found) == sorted(name for name in names if name > start)


def test_the_clock_of_the_store_is_that_of_this_machine(store: ObjectStore) -> None:
    store.create("a", b"x", retain_until=None)
    now = store.now()
    assert now.utcoffset() == timedelta(0)
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=60)


def test_no_secret_is_shown(s3: S3, worm_store: ObjectStore) -> None:
    keys = s3.server.credentials("admin")
    shown = repr(worm_store) + worm_store.uri + repr(keys) + repr(s3)
    assert keys.secret_key not in shown
