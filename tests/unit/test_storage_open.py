"""Which URI names which store, and what is said of one that names none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.errors import UsageError
from tasks.storage import open_store
from tasks.storage.s3 import S3Store


def test_a_path_and_a_file_uri_name_a_directory(tmp_path: Path) -> None:
    for uri in (str(tmp_path / "a b"), (tmp_path / "a b").as_uri(), f"file://localhost{tmp_path}/a%20b"):
        store = open_store(uri)
        assert (store.uri, store.worm) == ((tmp_path / "a b").as_uri(), False)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("s3://bucket/a%20b?endpoint=http://127.0.0.1:8333", "s3://bucket/a b"),
    ],
)
def test_an_s3_uri_names_bucket_and_prefix(uri: str, expected: str) -> None:
    store = open_store(uri, access_key="k", secret_key="s")
    assert isinstance(store, S3Store)
    assert store.uri == expected


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "ftp://host/x",
        "s3://",
        "s3:///prefix",
        "s3://key:hidden@bucket/x",
        "s3://bucket/a/../b",
        "s3://bucket/x?secret=hidden",
        "s3://bucket/x?endpoint=127.0.0.1:8333",
        "s3://bucket/x?endpoint=http://key:hidden@host",
        "s3://bucket/x#y",
        "file://host/x",
        "file://",
        "file:///x?y=hidden",
    ],
)
def test_a_bad_uri_is_explained_without_its_secrets(uri: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(uri)
    assert caught.value.next_step
    assert "hidden" not in f"{caught.value} {caught.value.next_step}"


def test_one_key_without_the_other_is_refused() -> None:
    with pytest.raises(UsageError):
        open_store("s3://bucket", access_key="k")


def test_a_landing_place_must_exist_and_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="does not exist"):
        open_store(str(tmp_path / "absent"), must_exist=True)
    with pytest.raises(UsageError, match="not a directory"):
        open_store(str(tmp_path / "file"))


def test_a_directory_costs_no_s3_library(tmp_path: Path) -> None:
    code = (
        "import sys; from tasks.storage import open_store; open_store(sys.argv[1]);"
        "print(sorted({'s3fs', 'botocore', 'aiohttp'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    assert result.stdout == "[]\n"
