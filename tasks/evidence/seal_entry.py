"""The form of a seal entry: a batch of drops, and the objects that hold what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypedDict

from tasks.evidence import paths
from tasks.evidence.schema import Count, Date, Digest, Instant
from tasks.evidence.terms import Format, Source, Text

_NEVER_PERSONAL: Final = frozenset({"_drop", "_line", "_p", "_s", "_time"})


class ContractRef(TypedDict):
    """The contract as it was applied."""

    path: str
    sha256: Digest
    version: Text
    version_id: str


class DataFile(TypedDict):
    """A Parquet file of accepted rows. Times are Unix microseconds of its first and last event."""

    bytes: Count
    event_date: Date
    max_time: int
    min_time: int
    path: str
    root: Digest
    rows: Count
    sha256: Digest
    version_id: str


class GateRef(TypedDict):
    """The result of the batch gate."""

    bytes: Count
    held: bool
    path: str
    sha256: Digest
    success: bool
    version_id: str


class LedgerRef(TypedDict):
    """The drop ledger; `root` is over its lines."""

    bytes: Count
    drops: Count
    path: str
    root: Digest
    sha256: Digest
    version_id: str


class Previous(TypedDict):
    """The source's entry before this one in the same log, by index and leaf hash."""

    entry: Count
    leaf: Digest


class RedactionRef(TypedDict):
    """The redaction report."""

    bytes: Count
    path: str
    sha256: Digest
    version_id: str


class RegoRef(TypedDict):
    """The Rego policy that tightened the contract's treatments, and what it was asked with each field."""

    bytes: Count
    path: str
    purpose: Text
    sha256: Digest
    tenant: Text
    version_id: str


class SideFile(TypedDict):
    """A Parquet file beside the records: lines set aside, or encrypted identities."""

    bytes: Count
    path: str
    root: Digest
    rows: Count
    sha256: Digest
    version_id: str


class Sums(TypedDict):
    """What came and what became of it: lines = accepted + blank + duplicate + quarantined."""

    accepted: Count
    blank: Count
    bytes: Count
    drops: Count
    duplicate: Count
    lines: Count
    quarantined: Count


class SealEntry(TypedDict):
    """A sealed batch of drops of one source. `personal` names the columns that a leaf commits to as one."""

    contract: ContractRef
    files: list[DataFile]
    format: Format
    gate: GateRef
    identities: list[SideFile]
    keys: list[Text]
    leaf: Literal["jcs-salted/2"]
    ledger: LedgerRef
    personal: list[Text]
    previous: Previous | None
    quarantine: list[SideFile]
    redaction: RedactionRef
    rego: RegoRef | None
    retain_until: Instant
    sealed_at: Instant
    software: Text
    source: Source
    source_seq: Count
    sums: Sums
    type: Literal["seal"]


def sealed_objects(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a seal entry, or the body of one, says of each object that it names."""
    single = [entry["ledger"], entry["gate"], entry["redaction"], entry["contract"]]
    if entry["rego"] is not None:
        single.append(entry["rego"])
    return [*entry["files"], *entry["quarantine"], *entry["identities"], *single]


def check_seal(entry: SealEntry) -> None:
    """Check what the form alone cannot say.

    Raises:
        ValueError: a path is not that of its digest, or the personal group is not what it may be.
    """
    _check_paths(entry)
    _check_personal(entry["personal"])


def _check_personal(names: list[str]) -> None:
    if names != sorted(set(names)) or not _NEVER_PERSONAL.isdisjoint(names):
        raise ValueError("entry.personal is not sorted, or withholds what orders the rows")


def _check_paths(entry: SealEntry) -> None:
    """Names are content addresses, so a path that its digest does not give is refused."""
    source = entry["source"]
    expected = [
        (entry["contract"]["path"], paths.contract(source, entry["contract"]["sha256"])),
        (entry["gate"]["path"], paths.gate(source, entry["gate"]["sha256"])),
        (entry["redaction"]["path"], paths.redaction(source, entry["redaction"]["sha256"])),
        *((policy["path"], paths.treatment_policy(policy["sha256"])) for policy in [entry["rego"]] if policy),
        (entry["ledger"]["path"], paths.ledger(source, entry["ledger"]["sha256"])),
        *((f["path"], paths.data_file(source, f["event_date"], f["sha256"])) for f in entry["files"]),
        *((f["path"], paths.quarantine_file(source, f["sha256"])) for f in entry["quarantine"]),
        *((f["path"], paths.identities_file(source, f["sha256"])) for f in entry["identities"]),
    ]
    for path, address in expected:
        if path != address:
            raise ValueError(f"an object named by digest should lie at {address}")
