"""What was found out about a store, in a form for machines and for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One property of a store.

    Attributes:
        code: stable, for machines.
        ok: the store has the property.
        sentence: for people; says what to change when `ok` is false. Holds no credentials.
        identity: whose credentials tried; empty for those that the store was opened with.
    """

    code: str
    ok: bool
    sentence: str
    identity: str = ""
