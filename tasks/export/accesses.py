"""Who was shown personal values, as the logs of a bundle record it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.evidence.entry import parse_entry
from tasks.export.scope import Scope


def accesses(scope: Scope) -> Sequence[Mapping[str, Any]]:
    """Every access in the bundle's logs, the oldest first; of a subject export there are no officers."""
    found = []
    for log, entries in scope.logs:
        for index, data in enumerate(entries):
            entry = parse_entry(data)
            if entry["type"] != "access":
                continue
            line: dict[str, Any] = {"id": f"{log.year:04d}-{index}", "sealed_at": entry["sealed_at"]}
            if entry["action"] == "subject-export":
                what = {key: entry[key] for key in ("purpose", "records", "requested_by")}
                found.append({**line, **what, "case": "", "pseudonyms": 0, "officers": []})
            else:
                request = entry["request"]
                what = {key: request[key] for key in ("purpose", "case", "requested_by")}
                officers = [officer["name"] for officer in entry["officers"]]
                number = len(request["pseudonyms"])
                found.append({**line, **what, "records": 0, "pseudonyms": number, "officers": officers})
    return found
