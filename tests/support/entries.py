"""Entries that fill a log and mean nothing to the test that needs them."""

from __future__ import annotations

from typing import Any

SEALED_AT = "2026-11-24T10:00:00Z"


def filler(number: int, **changes: Any) -> dict[str, Any]:
    """A valid entry that names no object and that no other rests on; `number` makes it differ."""
    return {
        "enforced": True,
        "findings": [],
        "format": "indelible/1",
        "kind": "worm-probe",
        "sealed_at": SEALED_AT,
        "server": "",
        "software": f"filler/{number}",
        "store": "memory",
        "type": "audit",
        **changes,
    }
