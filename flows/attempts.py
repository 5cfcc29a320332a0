"""Which attempts at drops failed, and how: a memory that outlives the process that an attempt killed.

An attempt is a file below the state directory, made before its drops are touched, locked while it is under way and
removed when it ends. What kills the process leaves its file behind, and the kernel lifts the lock: so a file that
nobody locks is a failed attempt, and no clock or process id has to be believed. Losing these files loses counts and
nothing else: drops are then tried again as if for the first time. Digests of drops only; no key of a drop.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tasks.batch import Drop

DIED: Final = "died"
KEPT_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that failed.

    Attributes:
        file: where it is written down.
        drops: what it was about, see `digest`.
        kind: `died`, `memory` or `error`.
        at: when it began or failed, nanoseconds.
    """

    file: Path
    drops: frozenset[str]
    kind: str
    at: int


@dataclass
class Attempt:
    """An attempt that is under way; `failed_as` says how it failed, in the end."""

    failed_as: str | None = None


def digest(drop: Drop) -> str:
    """Names one state of a drop, without telling its key."""
    return hashlib.sha256(f"{drop.key}\0{drop.etag}\0{drop.version_id}".encode()).hexdigest()[:32]


class Attempts:
    """The attempts of one source on this machine."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def begin(self, drops: Sequence[Drop]) -> Iterator[Attempt]:
        """Write an attempt down for as long as the block runs, and for longer if it fails.

        An exception that leaves the block is nobody's failure: the attempt is forgotten.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        file = self._directory / f"{uuid.uuid4().hex}.json"
        with file.open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            self._write(stream.fileno(), drops, DIED)
            attempt = Attempt()
            try:
                yield attempt
            except BaseException:
                file.unlink(missing_ok=True)
                raise
            if attempt.failed_as is None:
                file.unlink(missing_ok=True)
            else:
                self._write(stream.fileno(), drops, attempt.failed_as)

    def failures(self) -> list[Failure]:
        """Attempts that failed in the last days. One that is under way has not failed."""
        found = []
        for file in sorted(self._directory.glob("*.json")):
            with suppress(FileNotFoundError, BlockingIOError), file.open() as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
                at = os.fstat(stream.fileno()).st_mtime_ns
                if at < time.time_ns() - KEPT_DAYS * 86_400 * 10**9:
                    file.unlink(missing_ok=True)
                elif text := stream.read():
                    content = json.loads(text)
                    found.append(Failure(file, frozenset(content["drops"]), content["kind"], at))
        return found

    def forget(self, failures: Iterable[Failure]) -> None:
        """Take failures off the record: what they were about is sealed."""
        for failure in failures:
            failure.file.unlink(missing_ok=True)

    @staticmethod
    def _write(descriptor: int, drops: Sequence[Drop], kind: str) -> None:
        """Over what is there, in one write: whoever reads sees all of it."""
        text = json.dumps({"kind": kind, "drops": [digest(drop) for drop in drops]}) + "\n"
        os.pwrite(descriptor, text.encode(), 0)
        os.ftruncate(descriptor, len(text))
