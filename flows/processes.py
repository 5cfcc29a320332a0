"""Background processes of one machine: started detached, found again, ended. Linux.

A process is ours when its environment carries our mark, which names the state directory and the role. A
process id alone proves nothing after a reboot; and what our processes start inherits the mark, whatever
session it moves to.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tasks.errors import IndelibleError

MARK: Final = "INDELIBLE_BACKGROUND_PROCESS"
STOP_SECONDS: Final = 15.0


@dataclass(frozen=True)
class Background:
    """One background process, and whatever it starts.

    Attributes:
        role: what it is, for example `worker`; names its log and its pid file.
        directory: where both lie.
        command: program and arguments.
        environment: all of it, without the mark.
    """

    role: str
    directory: Path
    command: Sequence[str]
    environment: Mapping[str, str]

    @property
    def log_file(self) -> Path:
        """What the process prints."""
        return self.directory / f"{self.role}.log"

    @property
    def pid(self) -> int | None:
        """The process that we started, if it lives."""
        with suppress(OSError, ValueError):
            pid = int(self._pid_file.read_text())
            return pid if pid in self.members() else None
        return None

    @property
    def started_at(self) -> float:
        """When it was started last, Unix seconds."""
        return self._pid_file.stat().st_mtime

    def start(self) -> None:
        """Start it, detached from this terminal; does nothing when it runs already."""
        if self.pid is not None:
            return
        self.stop()
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(
                self.command,
                env={**self.environment, MARK: self._mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pid_file.write_text(f"{process.pid}\n")

    def stop(self) -> None:
        """End it and all that it started: asked first, then killed.

        Raises:
            IndelibleError: something survived.
        """
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.members():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            end = time.monotonic() + STOP_SECONDS
            while self.members() and time.monotonic() < end:
                time.sleep(0.05)
        if left := self.members():
            raise IndelibleError(
                f"process {left[0]} ({self.role}) does not end", next_step=f"read {self.log_file}"
            )
        self._pid_file.unlink(missing_ok=True)

    def members(self) -> list[int]:
        """Living processes that carry our mark. One that has ended has no environment any more."""
        mark = os.fsencode(f"{MARK}={self._mark}")
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with suppress(OSError):  # not ours to read, or gone meanwhile
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
        return sorted(found)

    @property
    def _mark(self) -> str:
        return f"{self.role}:{self.directory.resolve()}"

    @property
    def _pid_file(self) -> Path:
        return self.directory / f"{self.role}.pid"
