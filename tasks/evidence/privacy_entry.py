"""`erasure` entries: a person's keys and the keys of their quarantined lines are gone, or a signed refusal.

An entry names no person and no place of their records: what was found is in the certificate, which the log binds by
its digest and which is handed to whoever asked. Lines are named, since no backup may bring their keys back.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict, final

from tasks.evidence.officer_entry import Approval
from tasks.evidence.schema import AtLeast, Digest, Form, Instant
from tasks.evidence.terms import Format, HoldId, Text

RequestId = Annotated[str, Form("32 hex digits", r"[0-9a-f]{32}")]
Positive = Annotated[int, AtLeast(1)]
Basis = Literal["GDPR 17(3)(b)", "GDPR 17(3)(e)"]


@final
class ErasedLines(TypedDict):
    """Lines of the drop whose stored bytes have the SHA-256 `drop`."""

    drop: Digest
    lines: list[Positive]


@final
class ErasureEntry(TypedDict):
    """A request that was carried out; `keys` are commitments of the persons' keys, sealed as destroyed before.

    An erasure of many lines has several entries, `part` of `parts`, of which the first has the keys.
    """

    action: Literal["erase"]
    approval: Approval | None
    approver: Text
    certificate: Digest
    format: Format
    keys: list[Digest]
    lines: list[ErasedLines]
    part: Positive
    parts: Positive
    reason: Text
    request: RequestId
    requested_by: Text
    sealed_at: Instant
    type: Literal["erasure"]


@final
class RefusalEntry(TypedDict):
    """A request that was refused for the legal holds `holds`, which were in force."""

    action: Literal["refuse"]
    approval: Approval | None
    approver: Text
    basis: Basis
    certificate: Digest
    format: Format
    holds: list[HoldId]
    reason: Text
    request: RequestId
    requested_by: Text
    sealed_at: Instant
    type: Literal["erasure"]


def check_erasure(entry: ErasureEntry) -> None:
    """Check what types do not say.

    Raises:
        ValueError: keys, drops or lines are not distinct and in order, or do not belong in this part.
    """
    drops = [erased["drop"] for erased in entry["lines"]]
    for name, values in (("keys", entry["keys"]), ("lines", drops)):
        if values != sorted(set(values)):
            raise ValueError(f"entry.{name} are not distinct and in order")
    for erased in entry["lines"]:
        if not erased["lines"] or erased["lines"] != sorted(set(erased["lines"])):
            raise ValueError("entry.lines of a drop are not distinct and in order, or there is none")
    if entry["part"] > 1 and entry["keys"]:
        raise ValueError("entry.keys stand in the first part")
    if entry["part"] > entry["parts"]:
        raise ValueError("entry.part is none of entry.parts")


def check_refusal(entry: RefusalEntry) -> None:
    """Check what types do not say.

    Raises:
        ValueError: holds are not distinct and in order, or there is none.
    """
    if not entry["holds"] or entry["holds"] != sorted(set(entry["holds"])):
        raise ValueError("entry.holds are not distinct and in order, or there is none")
