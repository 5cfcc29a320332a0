"""Legal holds and extensions of retention: their lists of objects, and that a release ends a hold that was.

Whether a store holds an object is the store's to say and not part of a copy; what is checked here is that the
register of holds, which is derived from these entries, is whole.
"""

from __future__ import annotations

from typing import cast

from tasks.errors import VerificationError
from tasks.evidence import paths
from tasks.evidence.canonical import parse_canonical
from tasks.evidence.entry import Entry, ObjectList, ObjectVersion
from tasks.evidence.schema import check
from tasks.verify import reasons
from tasks.verify.access import Tree


class Holds:
    """Follows the holds of all logs, the oldest first."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._active: set[str] = set()
        self._broken = False

    def lose(self) -> None:
        """An entry could not be read: it may have been a hold, so releases cannot be followed past it."""
        self._broken = True

    def take(self, year: int, index: int, entry: Entry) -> list[str]:
        """Check one entry under a checkpoint.

        Returns:
            Paths of the objects that it names.
        """
        if entry["type"] == "hold":
            self._active.add(f"{year:04d}-{index}")
        elif entry["type"] == "release":
            self._release(entry["hold"], paths.sequence(year, index))
        named = listed(entry)
        if named is not None:
            self._check_list(named)
        return [] if named is None else [named["path"]]

    def _release(self, hold: str, path: str) -> None:
        if hold in self._active or self._broken:
            self._active.discard(hold)
            return
        sentence = f"It releases hold {hold}, and no such hold is in force."
        if self._tree.bundle is None:
            self._tree.findings.changed(reasons.HOLD_UNKNOWN, path, sentence)
        else:
            self._tree.findings.unmeasured(reasons.HOLD_UNKNOWN, path, f"{sentence[:-1]} in this bundle.")

    def _check_list(self, facts: ObjectList) -> None:
        data, as_sealed = self._tree.sealed(facts)
        if data is None or not as_sealed:
            return
        try:
            parse_list(data, facts["count"])
        except (ValueError, VerificationError) as error:
            self._tree.findings.changed(
                reasons.OBJECT_LIST, facts["path"], f"The list is malformed: {error}."
            )


def parse_list(data: bytes, count: int) -> list[ObjectVersion]:
    """The object versions of a list.

    Raises:
        ValueError, VerificationError: it is not canonical, sorted and of `count` lines.
    """
    lines = data.split(b"\n")
    if lines.pop() or len(lines) != count:
        raise ValueError("it does not have the number of lines that its entry says")
    named = [parse_canonical(line) for line in lines]
    for line in named:
        check(line, ObjectVersion, "line")
    keys = [(line["path"], line["version_id"]) for line in named]
    if keys != sorted(set(keys)):
        raise ValueError("its lines are not distinct, sorted object versions")
    return cast("list[ObjectVersion]", named)


def listed(entry: Entry) -> ObjectList | None:
    """The list of objects that an entry names, if its type has one."""
    if entry["type"] == "hold" or (entry["type"] == "retention" and entry["action"] == "extend"):
        return entry["objects"]
    return None
