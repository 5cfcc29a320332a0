"""What the log says of persons who were to be forgotten: for each request one story, told once and to the end.

A key or a line is claimed by one request only, a key by the one for which it was destroyed; the entries of a request
are its parts in order; and a refusal rests on holds that were in force.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tasks.evidence import paths
from tasks.evidence.entry import Entry
from tasks.evidence.key_table_entry import SUBJECT, KeyShredEntry
from tasks.evidence.privacy_entry import ErasureEntry, RefusalEntry
from tasks.verify import reasons
from tasks.verify.access import Tree

_STEP: Final = "Ask the log's owner for the certificate or refusal, and what became of the request."
_UNCLAIMED: Final = "Approve the request again: the erasure that the key was destroyed for is sealed then."
_UNFINISHED: Final = "Approve the request again, which seals the parts that are left."
_Words = tuple[str, str, str]
_Line = tuple[str, int]


@dataclass(slots=True)
class _Told:
    """The newest entry of a request, and what all its entries must say alike."""

    path: str
    part: int
    parts: int
    alike: tuple[str, int, _Words]


class Erasures:
    """Follows destructions, holds and erasures of all logs, the oldest first."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._destroyed: dict[str, _Words] = {}
        self._unclaimed: dict[str, str] = {}
        self._claimed: set[str | _Line] = set()
        self._requests: dict[str, _Told] = {}
        self._holds: set[str] = set()
        self._broken = False

    def lose(self) -> None:
        """An entry could not be read: it may have been one that an erasure rests on, or a part of one."""
        self._broken = True

    def take(self, year: int, index: int, entry: Entry) -> None:
        """Check one entry under a checkpoint."""
        if entry["type"] == "key" and entry["action"] == "shred":
            if entry["name"] == SUBJECT:
                self._destroyed.setdefault(entry["commitment"], _words(entry))
                if entry["commitment"] not in self._claimed:
                    self._unclaimed[entry["commitment"]] = paths.sequence(year, index)
        elif entry["type"] == "hold":
            self._holds.add(f"{year:04d}-{index}")
        elif entry["type"] == "release":
            self._holds.discard(entry["hold"])
        elif entry["type"] == "erasure":
            path = paths.sequence(year, index)
            self._follow(entry, path)
            if entry["action"] == "erase":
                self._check_keys(entry, path)
                self._claim(entry, path)
            elif not self._holds.issuperset(entry["holds"]):
                sentence = "It refuses an erasure for a legal hold, and no such hold is in force."
                self._absent(reasons.ERASURE_HOLD, path, sentence)

    def close(self) -> None:
        """All logs were read: name the requests of which parts are still to come, and keys of which all are."""
        for path in self._unclaimed.values():
            self._open(
                reasons.SHRED_UNCLAIMED,
                path,
                "It destroys a person's key, and no erasure claims it.",
                _UNCLAIMED,
            )
        for told in self._requests.values():
            if told.part < told.parts:
                sentence = (
                    f"It is part {told.part} of {told.parts} of an erasure, and the next is not sealed."
                )
                self._open(reasons.ERASURE_UNFINISHED, told.path, sentence, _UNFINISHED)

    def _follow(self, entry: ErasureEntry | RefusalEntry, path: str) -> None:
        part, parts = (entry["part"], entry["parts"]) if entry["action"] == "erase" else (1, 1)
        alike = entry["certificate"], parts, _words(entry)
        before = self._requests.get(entry["request"])
        self._requests[entry["request"]] = _Told(path, part, parts, alike)
        if before is not None and (before.alike != alike or part <= before.part):
            sentence = (
                "Another entry of the same request contradicts it: a request has one outcome, told once."
            )
            self._tree.findings.changed(reasons.ERASURE_PARTS, path, sentence, _STEP)
        elif part != (1 if before is None else before.part + 1):
            sentence = f"It is part {part} of an erasure, and no entry before it is the part before."
            self._absent(reasons.ERASURE_PARTS, path, sentence)

    def _check_keys(self, entry: ErasureEntry, path: str) -> None:
        known = [self._destroyed[key] for key in entry["keys"] if key in self._destroyed]
        if len(known) < len(entry["keys"]):
            sentence = "It says that a person was erased, and no entry before it says that their key is gone."
            self._absent(reasons.ERASURE_KEY, path, sentence)
        if any(words != _words(entry) for words in known):
            sentence = (
                "It claims a person's key that was destroyed before by other people, or for another reason."
            )
            self._tree.findings.changed(reasons.ERASURE_KEY_FOREIGN, path, sentence, _STEP)

    def _claim(self, entry: ErasureEntry, path: str) -> None:
        claims = set(_claims(entry))
        if not claims.isdisjoint(self._claimed):
            sentence = (
                "It claims a key or a line that an entry before it has claimed: each is destroyed once."
            )
            self._tree.findings.changed(reasons.ERASURE_CLAIMED, path, sentence, _STEP)
        self._claimed |= claims
        for key in entry["keys"]:
            self._unclaimed.pop(key, None)

    def _open(self, reason: str, path: str, sentence: str, step: str) -> None:
        """Something that must come after is not here: it may come yet, as after a crash."""
        if self._tree.bundle is None and not self._broken:
            self._tree.findings.pending(reason, path, sentence, step)
        else:
            self._absent(reason, path, sentence)

    def _absent(self, reason: str, path: str, sentence: str) -> None:
        """Something that must come before is not here; where not all is here, that cannot be told."""
        if self._broken:
            self._tree.findings.unmeasured(
                reason, path, f"{sentence[:-1]}; it may be in an entry that is lost."
            )
        elif self._tree.bundle is None:
            self._tree.findings.changed(reason, path, sentence, _STEP)
        else:
            self._tree.findings.unmeasured(reason, path, f"{sentence[:-1]} in this bundle.")


def _words(entry: KeyShredEntry | ErasureEntry | RefusalEntry) -> _Words:
    return entry["requested_by"], entry["approver"], entry["reason"]


def _claims(entry: ErasureEntry) -> Iterable[str | _Line]:
    yield from entry["keys"]
    for erased in entry["lines"]:
        yield from ((erased["drop"], line) for line in erased["lines"])
