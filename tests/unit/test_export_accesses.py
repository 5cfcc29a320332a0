"""The bundle's report counts who was shown personal values."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from tasks.evidence.canonical import canonical_json
from tasks.export.accesses import accesses
from tasks.export.scope import Scope
from tests.unit.test_evidence_access import EXPORT, REQUEST, entry


def test_accesses_of_all_logs_are_listed_in_order() -> None:
    first, second = (
        [canonical_json(EXPORT)],
        [b'{"format":"indelible/1","type":"disposition"}', canonical_json(entry())],
    )
    logs: Any = [(SimpleNamespace(year=2025), first), (SimpleNamespace(year=2026), second)]
    listed = accesses(cast(Scope, SimpleNamespace(logs=logs)))
    assert [(line["id"], line["records"], line["pseudonyms"], line["officers"]) for line in listed] == [
        ("2025-0", 4, 0, []),
        ("2026-1", 0, 2, ["anna", "otto"]),
    ]
    assert [line["requested_by"] for line in listed] == ["ida", "ida"]
    assert listed[1]["case"] == REQUEST["case"]
