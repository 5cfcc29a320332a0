"""What only a directory does: durable files, links, hidden partial files, errors of the file system."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from tasks.errors import NotFoundError, StoreRefusedError, StoreUnavailableError
from tasks.storage.local import LocalStore


def test_it_is_not_worm(local_store: LocalStore) -> None:
    assert not local_store.worm
    made = local_store.create("a", b"x", retain_until=None)
    assert made.retain_until is None
    local_store.delete("a", made.version_id)
    assert list(local_store.list()) == []


def test_files_are_read_only_and_no_partial_file_stays(local_store: LocalStore, tmp_path: Path) -> None:
    local_store.create("a/b", b"x", retain_until=None)
    local_store.replace("a/b", b"y")
    assert stat.S_IMODE((tmp_path / "store/a/b").stat().st_mode) == 0o444
    assert list((tmp_path / "store/.indelible-partial").iterdir()) == []
    assert [info.path for info in local_store.list()] == ["a/b"]


def test_the_etag_is_size_and_time(local_store: LocalStore, tmp_path: Path) -> None:
    made = local_store.create("a", b"abc", retain_until=None)
    assert made.etag == f"3-{(tmp_path / 'store/a').stat().st_mtime_ns}"


def test_all_paths_are_in_byte_order(local_store: LocalStore) -> None:
    names = ["a/b", "a-b", "a.c/d", "a0", "x/y-z", "x/y/z", "é"]
    for name in names:
        local_store.create(name, b"", retain_until=None)
    ordered = sorted(names, key=str.encode)
    assert [info.path for info in local_store.list()] == ordered
    for start in names:
        listed = [info.path for info in local_store.list(start_after=start)]
        assert listed == ordered[ordered.index(start) + 1 :]


def test_a_link_that_leads_out_is_refused_and_not_listed(local_store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    local_store.create("a", b"x", retain_until=None)
    (tmp_path / "store/file").symlink_to(tmp_path / "secret")
    (tmp_path / "store/up").symlink_to(tmp_path)
    for path in ("file", "up/secret"):
        with pytest.raises(StoreRefusedError, match="does not lie inside"):
            local_store.read(path)
        with pytest.raises(StoreRefusedError, match="does not lie inside"):
            local_store.replace(path, b"overwritten")
    assert [info.path for info in local_store.list()] == ["a"]
    assert (tmp_path / "secret").read_text() == "outside"


@pytest.mark.parametrize("path", ["a//b", "a/", ".indelible-partial/x"])
def test_a_second_name_of_a_file_is_refused(local_store: LocalStore, path: str) -> None:
    with pytest.raises(StoreRefusedError):
        local_store.create(path, b"x", retain_until=None)


def test_a_directory_is_no_object(local_store: LocalStore) -> None:
    local_store.create("a/b", b"x", retain_until=None)
    for call in (
        lambda: local_store.read("a"),
        lambda: local_store.head("a"),
        lambda: local_store.read("a/b/c"),
    ):
        with pytest.raises(NotFoundError):
            call()
    with pytest.raises(StoreRefusedError):
        local_store.create("a/b/c", b"x", retain_until=None)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, StoreUnavailableError),
        (errno.EIO, StoreUnavailableError),
        (errno.EPERM, StoreRefusedError),
    ],
)
def test_a_failing_disk_leaves_nothing_behind(
    local_store: LocalStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[Exception],
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(error):
        local_store.create("a/b", b"x", retain_until=None)
    assert list(local_store.list()) == []
    assert list((tmp_path / "store/.indelible-partial").iterdir()) == []
