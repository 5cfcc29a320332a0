"""Log entries: the canonical JSON objects that the log's leaves are, format `indelible/1`.

Bytes are taken only in their canonical form and with exactly the keys of their type, so an entry has one
spelling and nothing hides in it. Types of which only the name is settled parse as `OtherEntry`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypedDict, cast

from tasks.errors import VerificationError
from tasks.evidence import paths, tiles
from tasks.evidence.canonical import canonical_json, parse_canonical
from tasks.evidence.reasons import MALFORMED_ENTRY, failure
from tasks.evidence.schema import Count, Date, Digest, Form, Instant, check

FORMAT: Final = "indelible/1"
MAX_ENTRY_BYTES: Final = tiles.MAX_ENTRY_BYTES

Format = Literal["indelible/1"]
Source = Annotated[str, Form("a source name", r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")]
Text = Annotated[str, Form("a non-empty line", r"[^\x00-\x1f]+")]


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


class QuarantineFile(TypedDict):
    """A Parquet file of lines set aside."""

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
    """A sealed batch of drops of one source."""

    contract: ContractRef
    files: list[DataFile]
    format: Format
    gate: GateRef
    keys: list[Text]
    leaf: Literal["jcs-salted/1"]
    ledger: LedgerRef
    previous: Previous | None
    quarantine: list[QuarantineFile]
    retain_until: Instant
    sealed_at: Instant
    software: Text
    source: Source
    source_seq: Count
    sums: Sums
    type: Literal["seal"]


class GenesisEntry(TypedDict):
    """The first entry of a log; `previous_shard` is the final checkpoint note of the year before."""

    format: Format
    origin: Text
    previous_shard: str | None
    sealed_at: Instant
    type: Literal["genesis"]


class AuditFinding(TypedDict):
    """One property that was tried; `identity` is empty for the credentials that seal."""

    code: Text
    identity: str
    ok: bool
    sentence: Text


class AuditEntry(TypedDict):
    """The result of an examination; `enforced` when all of its findings are ok."""

    enforced: bool
    findings: list[AuditFinding]
    format: Format
    kind: Literal["worm-probe"]
    sealed_at: Instant
    server: str
    software: Text
    store: Text
    type: Literal["audit"]


class OtherEntry(TypedDict):
    """What every entry has. Entries of these types may have more keys."""

    format: Format
    type: Literal["gap", "heartbeat", "key", "hold", "release", "access", "disposition", "retention"]


Entry = SealEntry | GenesisEntry | AuditEntry | OtherEntry


def parse_entry(data: bytes) -> Entry:
    """The entry that `data` spells.

    Raises:
        VerificationError: `malformed-entry`, with the key that is wrong.
    """
    if len(data) > MAX_ENTRY_BYTES:
        raise failure(MALFORMED_ENTRY, f"longer than {MAX_ENTRY_BYTES} bytes")
    try:
        entry = parse_canonical(data)
        _check_entry(entry)
    except (ValueError, VerificationError) as error:
        raise failure(MALFORMED_ENTRY, str(error)) from error
    return cast(Entry, entry)


def encode_entry(entry: Entry) -> bytes:
    """Bytes of `entry`, which `parse_entry` takes back.

    Raises:
        VerificationError: as `parse_entry`, or `unrepresentable-value`.
    """
    data = canonical_json(entry)
    parse_entry(data)
    return data


def _check_entry(entry: Any) -> None:
    kind = entry.get("type") if isinstance(entry, dict) else None
    if kind == "seal":
        check(entry, SealEntry, "entry")
        _check_paths(entry)
    elif kind == "genesis":
        check(entry, GenesisEntry, "entry")
    elif kind == "audit":
        check(entry, AuditEntry, "entry")
        if entry["enforced"] != all(finding["ok"] for finding in entry["findings"]):
            raise ValueError("entry.enforced is not what its findings say")
    else:
        common = {key: entry[key] for key in OtherEntry.__annotations__ if key in entry} if kind else None
        check(common, OtherEntry, "entry")


def _check_paths(entry: SealEntry) -> None:
    """Names are content addresses, so a path that its digest does not give is refused."""
    source = entry["source"]
    expected = [
        (entry["contract"]["path"], paths.contract(source, entry["contract"]["sha256"])),
        (entry["gate"]["path"], paths.gate(source, entry["gate"]["sha256"])),
        (entry["ledger"]["path"], paths.ledger(source, entry["ledger"]["sha256"])),
        *((f["path"], paths.data_file(source, f["event_date"], f["sha256"])) for f in entry["files"]),
        *((f["path"], paths.quarantine_file(source, f["sha256"])) for f in entry["quarantine"]),
    ]
    for path, address in expected:
        if path != address:
            raise ValueError(f"an object named by digest should lie at {address}")
