"""Log entries: the canonical JSON objects that the log's leaves are, format `indelible/1`.

Bytes are taken only in their canonical form and with exactly the keys of their type, so an entry has one
spelling and nothing hides in it. Types of which only the name is settled parse as `OtherEntry`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypedDict, cast

from tasks.errors import VerificationError
from tasks.evidence import paths, tiles
from tasks.evidence.access_entry import (
    ReidentificationEntry,
    SubjectExportEntry,
    check_export,
    check_reidentification,
)
from tasks.evidence.audit_entry import AuditEntry, StoreAuditEntry, check_store_audit
from tasks.evidence.canonical import canonical_json, parse_canonical
from tasks.evidence.completeness_entry import GapEntry, HeartbeatEntry, check_gap, check_heartbeat
from tasks.evidence.custody_entry import CustodyEntry, check_custody
from tasks.evidence.disposition_entry import DiscardEntry
from tasks.evidence.key_table_entry import KeyCommitEntry, KeyShredEntry, check_shred
from tasks.evidence.officer_entry import EnrolEntry, WithdrawEntry, check_officer
from tasks.evidence.privacy_entry import ErasureEntry, RefusalEntry, check_erasure, check_refusal
from tasks.evidence.reasons import MALFORMED_ENTRY, failure
from tasks.evidence.schema import Count, Digest, Form, Instant, check
from tasks.evidence.seal_entry import SealEntry, check_seal
from tasks.evidence.terms import Format, HoldId, Scope, Text, person

FORMAT: Final = "indelible/1"
MAX_ENTRY_BYTES: Final = tiles.MAX_ENTRY_BYTES

VKey = Annotated[str, Form("a C2SP vkey", r"[^\x00-\x20+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}")]


class GenesisEntry(TypedDict):
    """The first entry of a log; `previous_shard` is the final checkpoint note of the year before."""

    format: Format
    origin: Text
    previous_shard: str | None
    sealed_at: Instant
    type: Literal["genesis"]


class RecoveryEntry(TypedDict):
    """The first entry of a log that takes the place of one whose key was compromised.

    `previous_shard` is that log's last good checkpoint: what follows it there is not evidence. `revoked`
    are its keys.
    """

    action: Literal["recover"]
    approver: Text
    format: Format
    origin: Text
    previous_shard: str
    reason: Text
    requested_by: Text
    revoked: list[VKey]
    sealed_at: Instant
    type: Literal["genesis"]


class KeyEntry(TypedDict):
    """A change of the keys that sign the log, in force for checkpoints that cover this entry.

    `announce`: `key` signs from here on, beside those that do. `retire`: it has done its time. `revoke`: it
    is not to be believed from here on.
    """

    action: Literal["announce", "retire", "revoke"]
    approver: Text
    format: Format
    key: VKey
    reason: Text
    requested_by: Text
    sealed_at: Instant
    type: Literal["key"]


class ObjectVersion(TypedDict):
    """One line of an object list."""

    path: Text
    version_id: str


class ObjectList(TypedDict):
    """A list of object versions, one canonical JSON line each."""

    bytes: Count
    count: Count
    path: str
    sha256: Digest
    version_id: str


class HoldEntry(TypedDict):
    """A legal hold. Its id is its place, `<year>-<index>`; `objects` are those of the day it was placed."""

    approver: Text
    case: Text | None
    format: Format
    objects: ObjectList
    reason: Text
    requested_by: Text
    scope: Scope
    sealed_at: Instant
    type: Literal["hold"]


class ReleaseEntry(TypedDict):
    """The end of the legal hold whose id is `hold`."""

    approver: Text
    format: Format
    hold: HoldId
    reason: Text
    requested_by: Text
    sealed_at: Instant
    type: Literal["release"]


class RetentionClassEntry(TypedDict):
    """The retention of what a source seals from here on. `rule` decided the days of data."""

    action: Literal["class"]
    data_days: Count
    format: Format
    log_days: Count
    maximum_days: Count | None
    retention_class: Text
    rule: Text
    scope: Scope
    sealed_at: Instant
    type: Literal["retention"]


class RetentionExtensionEntry(TypedDict):
    """Locks of `objects` were extended: of records to `retain_until`, of log objects to `log_retain_until`."""

    action: Literal["extend"]
    approver: Text
    format: Format
    log_retain_until: Instant
    objects: ObjectList
    reason: Text
    requested_by: Text
    retain_until: Instant
    scope: Scope
    sealed_at: Instant
    type: Literal["retention"]


class OtherEntry(TypedDict):
    """What every entry has. Entries of these types may have more keys."""

    format: Format
    type: Literal["disposition"]


RetentionEntry = RetentionClassEntry | RetentionExtensionEntry
Entry = (
    SealEntry
    | GenesisEntry
    | RecoveryEntry
    | KeyEntry
    | KeyCommitEntry
    | KeyShredEntry
    | EnrolEntry
    | WithdrawEntry
    | HoldEntry
    | ReleaseEntry
    | RetentionEntry
    | AuditEntry
    | StoreAuditEntry
    | CustodyEntry
    | HeartbeatEntry
    | GapEntry
    | SubjectExportEntry
    | ReidentificationEntry
    | ErasureEntry
    | RefusalEntry
    | DiscardEntry
    | OtherEntry
)
_WHICH: Final = {
    "access": "action",
    "audit": "kind",
    "disposition": "action",
    "erasure": "action",
    "genesis": "action",
    "key": "action",
    "retention": "action",
}
_FORMS: Final[Mapping[tuple[object, object], Any]] = {
    ("seal", None): SealEntry,
    ("genesis", None): GenesisEntry,
    ("hold", None): HoldEntry,
    ("release", None): ReleaseEntry,
    ("retention", "class"): RetentionClassEntry,
    ("retention", "extend"): RetentionExtensionEntry,
    ("genesis", "recover"): RecoveryEntry,
    ("key", "announce"): KeyEntry,
    ("key", "retire"): KeyEntry,
    ("key", "revoke"): KeyEntry,
    ("key", "commit"): KeyCommitEntry,
    ("key", "shred"): KeyShredEntry,
    ("key", "enrol"): EnrolEntry,
    ("key", "withdraw"): WithdrawEntry,
    ("audit", "worm-probe"): AuditEntry,
    ("audit", "store-audit"): StoreAuditEntry,
    ("audit", "cloudtrail-custody"): CustodyEntry,
    ("heartbeat", None): HeartbeatEntry,
    ("gap", None): GapEntry,
    ("erasure", "erase"): ErasureEntry,
    ("erasure", "refuse"): RefusalEntry,
    ("access", "subject-export"): SubjectExportEntry,
    ("disposition", "discard"): DiscardEntry,
    ("access", "reidentify"): ReidentificationEntry,
}
# What types do not say.
_MORE: Final[Mapping[Any, Callable[[Any], None]]] = {
    SealEntry: check_seal,
    KeyShredEntry: check_shred,
    EnrolEntry: check_officer,
    WithdrawEntry: check_officer,
    StoreAuditEntry: check_store_audit,
    CustodyEntry: check_custody,
    HeartbeatEntry: check_heartbeat,
    GapEntry: check_gap,
    ErasureEntry: check_erasure,
    RefusalEntry: check_refusal,
    SubjectExportEntry: check_export,
    ReidentificationEntry: check_reidentification,
}


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
    action = entry.get(_WHICH[kind]) if isinstance(kind, str) and kind in _WHICH else None
    form = _FORMS.get((kind, action)) if isinstance(kind, str) and isinstance(action, str | None) else None
    if kind == "retention" and form is None:
        raise ValueError("entry.action is neither class nor extend")
    if form is None:
        common = {key: entry[key] for key in OtherEntry.__annotations__ if key in entry} if kind else None
        check(common, OtherEntry, "entry")
        return
    check(entry, form, "entry")
    if form in _MORE:
        _MORE[form](entry)
    if "enforced" in entry and entry["enforced"] != all(finding["ok"] for finding in entry["findings"]):
        raise ValueError("entry.enforced is not what its findings say")
    if "objects" in entry and entry["objects"]["path"] != paths.object_list(entry["objects"]["sha256"]):
        raise ValueError("entry.objects is not at the path of its digest")
    if "approver" in entry and person(entry["approver"]) == person(entry["requested_by"]):
        raise ValueError("entry.approver is the one who asked")
