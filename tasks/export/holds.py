"""The register of legal holds, from the logs of a bundle: one line a hold, for people and for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tasks.evidence.entry import HoldEntry, ObjectList, ReleaseEntry, parse_entry
from tasks.export.scope import Scope

PATH: Final = "registers/holds.csv"
_COLUMNS: Final = (
    "id", "source", "since", "until", "subject", "case", "reason", "requested_by", "approver", "placed_at",
    "objects", "released_at", "released_by", "release_approver", "release_reason",
)  # fmt: skip


def holds(scope: Scope) -> Sequence[Mapping[str, Any]]:
    """Every hold in the bundle's logs, the oldest first, with its release if that is there too."""
    placed: dict[str, HoldEntry] = {}
    released: dict[str, ReleaseEntry] = {}
    for log, entries in scope.logs:
        for index, data in enumerate(entries):
            entry = parse_entry(data)
            if entry["type"] == "hold":
                placed[f"{log.year:04d}-{index}"] = entry
            elif entry["type"] == "release":
                released[entry["hold"]] = entry
    return [_line(hold, entry, released.get(hold)) for hold, entry in placed.items()]


def object_lists(scope: Scope) -> list[ObjectList]:
    """The lists of objects that holds and extensions in the bundle's logs name."""
    entries = (parse_entry(data) for _, log in scope.logs for data in log)
    return [
        entry["objects"]
        for entry in entries
        if entry["type"] == "hold" or (entry["type"] == "retention" and entry["action"] == "extend")
    ]


def render_holds(register: Sequence[Mapping[str, Any]]) -> bytes:
    """The register as CSV; with its heading alone where no hold was placed."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({key: _plain(value) for key, value in line.items()} for line in register)
    return text.getvalue().encode("utf-8")


def _line(hold: str, entry: HoldEntry, release: ReleaseEntry | None) -> dict[str, Any]:
    return {
        "id": hold,
        **entry["scope"],
        "case": entry["case"],
        "reason": entry["reason"],
        "requested_by": entry["requested_by"],
        "approver": entry["approver"],
        "placed_at": entry["sealed_at"],
        "objects": entry["objects"]["count"],
        "released_at": release and release["sealed_at"],
        "released_by": release and release["requested_by"],
        "release_approver": release and release["approver"],
        "release_reason": release and release["reason"],
    }


def _plain(value: object) -> object:
    """Text that a spreadsheet would run as a formula is marked as text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@"} else value
