"""Persons who asked to be forgotten, from the logs of a bundle: carried out or refused, and never who."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.evidence.entry import parse_entry
from tasks.evidence.privacy_entry import ErasureEntry, RefusalEntry
from tasks.export.scope import Scope


def erasures(scope: Scope) -> Sequence[Mapping[str, Any]]:
    """One line a request, the oldest first."""
    found: dict[str, dict[str, Any]] = {}
    for log, entries in scope.logs:
        for index, data in enumerate(entries):
            entry = parse_entry(data)
            if entry["type"] == "erasure":
                line = found.setdefault(entry["request"], _line(f"{log.year}-{index}", entry))
                if entry["action"] == "erase":
                    line["lines"] += sum(len(erased["lines"]) for erased in entry["lines"])
    return list(found.values())


def _line(name: str, entry: ErasureEntry | RefusalEntry) -> dict[str, Any]:
    refused = entry["action"] == "refuse"
    return {
        "entry": name,
        "refused": refused,
        "keys": 0 if entry["action"] == "refuse" else len(entry["keys"]),
        "lines": 0,
        "basis": entry["basis"] if entry["action"] == "refuse" else "",
        "holds": entry["holds"] if entry["action"] == "refuse" else [],
        "reason": entry["reason"],
        "requested_by": entry["requested_by"],
        "approver": entry["approver"],
        "sealed_at": entry["sealed_at"],
        "certificate": entry["certificate"],
    }
