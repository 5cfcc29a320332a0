"""Readers of copies: bounded to the copy, and honest about what they cannot read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tasks.errors import NotFoundError, StoreRefusedError
from tasks.verify import DirectoryReader, ZipReader


def archive(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members:
            out.writestr(name, data)
    return path


@pytest.mark.parametrize("path", ["../secret", "/etc/hostname", "a/../../secret", "", "a\x00b"])
def test_a_path_that_leaves_the_copy_is_not_followed(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "copy").mkdir()
    reader = DirectoryReader(tmp_path / "copy")
    assert reader.size(path) is None
    with pytest.raises(NotFoundError):
        reader.read(path)


def test_a_directory_in_the_place_of_an_object_is_not_an_object(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    reader = DirectoryReader(tmp_path)
    assert reader.size("a") is None
    with pytest.raises(NotFoundError):
        reader.read("a")


def test_directory_listing_is_by_prefix_and_leaves_out_dot_names(tmp_path: Path) -> None:
    for name in ("log/1", "log/.tmp", ".indelible-partial/x", "data/a=1/b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    reader = DirectoryReader(tmp_path)
    assert list(reader.list()) == ["data/a=1/b", "log/1"]
    assert list(reader.list("log/")) == ["log/1"]


def test_zip_members_are_objects(tmp_path: Path) -> None:
    reader = ZipReader(archive(tmp_path / "b.zip", ("log/1", b"one"), ("data/2", b"two")))
    assert list(reader.list("log/")) == ["log/1"]
    assert (reader.read("data/2"), reader.size("data/2"), reader.size("data/3")) == (b"two", 3, None)
    with pytest.raises(NotFoundError):
        reader.read("data/3")
    reader.close()


def test_a_damaged_member_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    path = archive(tmp_path / "b.zip", ("one", b"1" * 500), ("two", b"2" * 500))
    data = bytearray(path.read_bytes())
    data[36] ^= 0xFF
    path.write_bytes(data)
    reader = ZipReader(path)
    with pytest.raises(StoreRefusedError):
        reader.read("one")
    assert reader.read("two") == b"2" * 500


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = archive(tmp_path / "b.zip", ("one", b"1"), ("one", b"2"))
    with pytest.raises(StoreRefusedError, match="two members"):
        ZipReader(path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(StoreRefusedError):
        ZipReader(tmp_path / "b.zip")
