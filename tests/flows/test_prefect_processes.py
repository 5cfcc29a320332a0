"""Background processes: only ours are found, and all of ours are ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.processes import Background

# A process that starts another one in a session of its own, as a worker does with its runs.
SLEEP = "import time; time.sleep(600)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}], start_new_session=True)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); {SLEEP}"


def background(directory: Path, code: str = PARENT) -> Background:
    return Background("sample", directory, [sys.executable, "-c", code], dict(os.environ))


def test_stopping_ends_the_process_and_what_it_started(tmp_path: Path) -> None:
    process = background(tmp_path)
    process.start()
    while len(process.members()) < 2:
        assert process.pid is not None
    assert process.pid in process.members()

    process.stop()

    assert process.members() == []
    assert process.pid is None


def test_starting_twice_starts_one(tmp_path: Path) -> None:
    process = background(tmp_path, SLEEP)
    try:
        process.start()
        first = process.pid
        process.start()
        assert first is not None
        assert process.pid == first
        assert process.members() == [first]
    finally:
        process.stop()


def test_a_process_of_another_directory_or_nobody_is_not_ours(tmp_path: Path) -> None:
    other = background(tmp_path / "other", SLEEP)
    other.directory.mkdir()
    ours = background(tmp_path)
    stranger = subprocess.Popen([sys.executable, "-c", SLEEP])
    try:
        other.start()
        (tmp_path / "sample.pid").write_text(f"{stranger.pid}\n")

        assert ours.pid is None
        ours.stop()

        assert stranger.poll() is None
        assert other.pid is not None
    finally:
        stranger.kill()
        stranger.wait()
        other.stop()


def test_a_process_that_ignores_the_request_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.processes.STOP_SECONDS", 0.5)
    process = background(tmp_path, STUBBORN)
    process.start()
    while not process.log_file.stat().st_size:
        assert process.pid is not None

    process.stop()

    assert process.members() == []
