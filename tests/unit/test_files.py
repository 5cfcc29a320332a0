"""Local files are whole, whoever else writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.files import whole_file


def test_of_two_who_write_one_file_at_once_the_last_ones_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with whole_file(path) as first:
        first.write(b"the first")
        with whole_file(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
        first.write(b" is last")
    assert path.read_bytes() == b"the first is last"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"half", "no bytes"])  # type: ignore[list-item]
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_private_file_is_never_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with whole_file(path, mode=0o600) as file:
        assert [draft.stat().st_mode & 0o777 for draft in tmp_path.iterdir()] == [0o600]
        file.write(b"secret")
    assert path.stat().st_mode & 0o777 == 0o600
