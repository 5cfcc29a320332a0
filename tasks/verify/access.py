"""Reading one sealed tree within bounds, and saying what could not be read.

Every object is fetched by name and with an upper limit, so neither a listing nor a size that the tree
claims is trusted. In an evidence bundle, what lies outside its range is "not measured" and not "missing".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from tasks.errors import NotFoundError, StoreRefusedError
from tasks.verify import reasons
from tasks.verify.bundle import MAX_OBJECT_BYTES, Bundle
from tasks.verify.readers import Reader
from tasks.verify.report import Findings

Progress = Callable[[str, int, int], None]


class Tree:
    """A reader, and what every check needs: findings, progress and, for a bundle, its scope."""

    def __init__(self, reader: Reader, findings: Findings, bundle: Bundle | None, progress: Progress) -> None:
        self.reader, self.findings, self.bundle, self.progress = reader, findings, bundle, progress
        self._outside: set[str] = set()
        self._checked: set[tuple[object, ...]] = set()
        self._one_at_a_time = Lock()

    def part(self) -> Tree:
        """The same tree, with findings of its own. What was looked at once is still known."""
        part = Tree(self.reader, Findings(), self.bundle, self.progress)
        part._outside, part._checked = self._outside, self._checked
        part._one_at_a_time = self._one_at_a_time
        return part

    def peek(self, path: str, limit: int, version_id: str | None = None) -> bytes | None:
        """The object, or None when it is not there, cannot be read or is larger than `limit` bytes."""
        try:
            size = self.reader.size(path, version_id)
            if size is None or size > limit:
                return None
            return self.reader.read(path, version_id)
        except StoreRefusedError:
            return None

    def fetch(self, path: str, limit: int, missing: tuple[str, str]) -> bytes | None:
        """As `peek`, and a finding for each way in which the object cannot be had.

        Args:
            path: the object.
            limit: most bytes that an honest object can have.
            missing: reason code and sentence for when it is not there.
        """
        size = self.reader.size(path)
        if size is None:
            self.absent(path, *missing)
            return None
        if size > limit:
            self.findings.changed(
                reasons.OBJECT_SIZE, path, f"It has {size} bytes; {limit} is the most allowed."
            )
            return None
        return self._read(path, None)

    def sealed(self, facts: Mapping[str, Any]) -> tuple[bytes | None, bool]:
        """An object that an entry names, and whether its bytes are those that were sealed.

        Args:
            facts: `path`, `sha256` and `version_id` as in the entry; `bytes` where the entry has it.
        """
        path, version = facts["path"], facts["version_id"] or None
        size = self.reader.size(path, version)
        if size is None:
            self.absent(path, reasons.OBJECT_MISSING, "An object that a sealed entry names is not there.")
            return None, False
        expected = facts.get("bytes", size)
        if size != expected:
            sentence = f"It has {size} bytes, the sealed entry says {expected}."
            self.findings.changed(reasons.OBJECT_SIZE, path, sentence)
        if size > min(2 * expected + 65_536, MAX_OBJECT_BYTES):
            if size == expected:
                sentence = "It is larger than this version of the format allows, so it is not read."
                self.findings.changed(reasons.OBJECT_SIZE, path, sentence)
            return None, False
        data = self._read(path, version)
        if data is None:
            return None, False
        self.findings.counted["objects"] += 1
        self.findings.counted["bytes"] += len(data)
        as_sealed = len(data) == expected and hashlib.sha256(data).hexdigest() == facts["sha256"]
        if not as_sealed and size == expected:
            self.findings.changed(reasons.OBJECT_HASH, path, "Its SHA-256 is not the one that was sealed.")
        return data, as_sealed

    def sealed_once(self, facts: Mapping[str, Any]) -> None:
        """As `sealed`, for objects that many entries share: checked and reported only the first time."""
        key = (facts["path"], facts["version_id"], facts["sha256"], facts.get("bytes"))
        with self._one_at_a_time:
            known = key in self._checked
            self._checked.add(key)
        if not known:
            self.sealed(facts)

    def absent(self, path: str, reason: str, sentence: str) -> None:
        """Record that an object is not there: missing, or outside the range of the bundle."""
        if self.bundle is not None and not self.bundle.promises(path):
            self._outside.add(path)
        else:
            self.findings.missing(reason, path, sentence)

    def is_outside(self, path: str) -> bool:
        """Whether `path` was looked for and lies outside the range of the bundle."""
        return path in self._outside

    def close(self) -> None:
        """Say how much lay outside the bundle."""
        if self._outside:
            sentence = f"{len(self._outside)} objects that the log names are outside this bundle's range."
            step = "Ask for a bundle of the other range, or for a copy of the whole store."
            self.findings.unmeasured(reasons.OUTSIDE_BUNDLE, min(self._outside), sentence, step)

    def _read(self, path: str, version_id: str | None) -> bytes | None:
        try:
            return self.reader.read(path, version_id)
        except NotFoundError:
            self.absent(path, reasons.OBJECT_MISSING, "The object vanished while it was being read.")
        except StoreRefusedError as error:
            self.findings.missing(reasons.OBJECT_UNREADABLE, path, f"Its bytes cannot be had: {error}.")
        return None
