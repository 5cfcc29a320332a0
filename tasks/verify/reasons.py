"""Reason codes of whole-tree checks, beside those of `tasks.evidence.reasons` for single values.

A code keeps its meaning for as long as the format's version stays. FORMAT.md lists them all; a test
holds the two together.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from tasks.evidence import officers
from tasks.evidence import reasons as evidence

FILE_ROOT: Final = evidence.FILE_ROOT_MISMATCH
VALUE: Final = evidence.UNREPRESENTABLE_VALUE

CHECKPOINT_BEYOND_LIMIT: Final = evidence.CHECKPOINT_BEYOND_LIMIT

LOG_MISSING: Final = "log-missing"
WITNESS_QUORUM_MISSING: Final = evidence.WITNESS_QUORUM_MISSING
WITNESS_STALE: Final = "witness-stale"
TIMESTAMP_BAD: Final = "timestamp-bad"
TIMESTAMP_MISSING: Final = "timestamp-missing"
TIMESTAMPS_SKIPPED: Final = "timestamps-not-measured"
SHARD_MISSING: Final = "shard-missing"
SHARD_MISMATCH: Final = "shard-mismatch"
CHECKPOINT_MISSING: Final = "checkpoint-missing"
CHECKPOINT_STALE: Final = "checkpoint-stale"
CHECKPOINT_NAME: Final = "checkpoint-name"
CHECKPOINT_INCONSISTENT: Final = "checkpoint-inconsistent"
ROOT_MISMATCH: Final = "root-mismatch"
TILE_MISSING: Final = evidence.TILE_MISSING
TILE_MISMATCH: Final = "tile-mismatch"
ENTRY_BUNDLE_MISMATCH: Final = "entry-bundle-mismatch"
SEQUENCE_MISSING: Final = "sequence-missing"
SEQUENCE_MISMATCH: Final = "sequence-mismatch"
SEQUENCE_GAP: Final = "sequence-gap"
SEQUENCE_PENDING: Final = "sequence-pending"
LOG_EXTRA: Final = "log-extra-object"
POLICY_MISSING: Final = "policy-missing"
POLICY_FROM_COPY: Final = "policy-from-copy"
POLICY_DIFFERS: Final = "policy-differs"
ENTRY_MISSING: Final = "entry-missing"
ENTRY_SUMS: Final = "entry-sums"
GENESIS: Final = "genesis-mismatch"
CHAIN: Final = "chain-broken"
KEY_REVOKED: Final = "key-revoked"
KEY_COMPROMISED: Final = "key-compromised"
KEY_FOREIGN: Final = "key-foreign"
KEY_UNCOMMITTED: Final = "key-not-committed"
KEY_SHREDDED: Final = "key-shredded"
ERASURE_KEY: Final = "erasure-key-not-destroyed"
ERASURE_KEY_FOREIGN: Final = "erasure-key-foreign"
ERASURE_CLAIMED: Final = "erasure-claimed-twice"
ERASURE_PARTS: Final = "erasure-parts"
ERASURE_UNFINISHED: Final = "erasure-unfinished"
SHRED_UNCLAIMED: Final = "shred-unclaimed"
ERASURE_LINES: Final = "erasure-lines-unknown"
ERASURE_HOLD: Final = "erasure-hold-unknown"
DISCARD: Final = "discard-unfounded"
ACCESS_FOREIGN: Final = "access-foreign"
OFFICER_ENROLMENT: Final = officers.ENROLMENT
OFFICER_NOT_ENROLLED: Final = officers.NOT_ENROLLED
APPROVAL_MISSING: Final = officers.APPROVAL_MISSING
APPROVAL_SIGNATURE: Final = officers.APPROVAL_SIGNATURE
OBJECT_MISSING: Final = "object-missing"
OBJECT_UNREADABLE: Final = "object-unreadable"
OBJECT_SIZE: Final = "object-size"
OBJECT_HASH: Final = "object-hash"
OBJECT_UNNAMED: Final = "object-not-named"
OBJECT_LIST: Final = "object-list"
HOLD_UNKNOWN: Final = "hold-unknown"
HEARTBEAT_CHAIN: Final = "heartbeat-chain"
HEARTBEAT_HOLE: Final = "heartbeat-hole"
HEARTBEAT_NEWEST: Final = "heartbeat-newest"
HEARTBEAT_INVENTORY: Final = "heartbeat-inventory"
GAP_LIST: Final = "gap-list"
DROP_NOT_SEALED: Final = "drop-not-sealed"
COMPLETENESS_SKIPPED: Final = "completeness-not-measured"
AUDIT_REPORT: Final = "audit-report"
CUSTODY_REPORT: Final = "custody-report"
CUSTODY_SKIPPED: Final = "custody-not-measured"
EXTRA_VERSION: Final = "extra-version"
DELETE_MARKER: Final = "delete-marker"
RECORDS_INTACT: Final = "records-intact"
PARQUET: Final = "parquet-unreadable"
COLUMNS: Final = "columns"
SALT_SEED: Final = "salt-seed"
ROW_COUNT: Final = "row-count"
ROW_ORDER: Final = "row-order"
EVENT_DATE: Final = "event-date"
TIME_RANGE: Final = "time-range"
LEDGER_SYNTAX: Final = "ledger-syntax"
LEDGER_ROOT: Final = "ledger-root"
LEDGER_SUMS: Final = "ledger-sums"
LEDGER_RANGES: Final = "ledger-ranges"
LINE_MISSING: Final = "line-missing"
LINE_DOUBLED: Final = "line-doubled"
LINE_UNKNOWN: Final = "line-unknown"
OUTCOME_COUNTS: Final = "outcome-counts"
REDACTION_FORM: Final = "redaction-form"
REDACTION_COUNTS: Final = "redaction-counts"
LOCK_MISSING: Final = "lock-missing"
LOCK_SHORT: Final = "lock-short"
LOCKS_SKIPPED: Final = "locks-not-measured"
OBJECTS_SKIPPED: Final = "objects-not-measured"
ROWS_SKIPPED: Final = "rows-not-measured"
LINES_SKIPPED: Final = "lines-not-measured"
BUNDLE_MANIFEST: Final = "bundle-manifest"
BUNDLE_OBJECT: Final = "bundle-object"
OUTSIDE_BUNDLE: Final = "outside-bundle"
PERSON_WITHHELD: Final = "person-withheld"

MEANINGS: Final = MappingProxyType(
    {
        LOG_MISSING: "the tree has no log at all",
        SHARD_MISSING: "a genesis entry continues an older log, and that log is not there",
        SHARD_MISMATCH: "the log before is not the one that the genesis entry closed",
        CHECKPOINT_MISSING: "a checkpoint that must be there is not",
        CHECKPOINT_STALE: "the pointer shows an older checkpoint than the newest one that is stored",
        CHECKPOINT_NAME: "a checkpoint's name and its signed size differ",
        CHECKPOINT_INCONSISTENT: "a signed checkpoint is not a beginning of the newest one",
        WITNESS_STALE: "no witness quorum has seen the log within the time that was asked for",
        TIMESTAMP_BAD: "a time-stamp token is malformed, over other bytes, or not of the trusted authority",
        TIMESTAMP_MISSING: "a log has no time-stamp of the authority that was given",
        TIMESTAMPS_SKIPPED: "who signed the time-stamps was not checked",
        ROOT_MISMATCH: "the log's entries do not hash to the newest signed root",
        TILE_MISMATCH: "a hash tile does not hold the hashes of the log's entries",
        ENTRY_BUNDLE_MISMATCH: "an entry bundle does not hold the entries that were sealed",
        SEQUENCE_MISSING: "an entry under the newest checkpoint is not in the sequence",
        SEQUENCE_MISMATCH: "an object of the sequence is not the entry that was sealed at its index",
        SEQUENCE_GAP: "the sequence skips an index after the newest checkpoint",
        SEQUENCE_PENDING: "an entry stands in the sequence that no checkpoint covers yet",
        LOG_EXTRA: "an object under log/ is none that the format defines, or lies outside the tree",
        POLICY_MISSING: "the log's own copy of its trust policy is not there",
        POLICY_DIFFERS: "the policy in the copy trusts none of the logs that the given policy trusts",
        POLICY_FROM_COPY: "the key came from the copy itself, so only self-consistency was shown",
        ENTRY_MISSING: "an entry's bytes are in neither its bundle nor the sequence",
        ENTRY_SUMS: "an entry's sums differ from its ledger or from its files",
        GENESIS: "entry 0 is no genesis entry of this log, or there is a second one",
        CHAIN: "source_seq or previous of a seal entry does not continue its source's chain",
        KEY_REVOKED: "only keys that the log had retired or revoked before have signed a checkpoint",
        KEY_COMPROMISED: "the policy trusts a key beyond the size at which its log was given up",
        KEY_FOREIGN: "a key entry is about a key of another log",
        KEY_UNCOMMITTED: "an entry says that a key was destroyed which no entry before it commits to",
        KEY_SHREDDED: "a seal entry uses a key that was destroyed before",
        ERASURE_KEY: "an entry says that a person was erased whose key no entry before it says is destroyed",
        ERASURE_KEY_FOREIGN: "an entry claims a person's key that was destroyed by others, or for another reason",
        ERASURE_CLAIMED: "an entry claims a key or a line of which an entry before it says that it is destroyed",
        ERASURE_PARTS: "the entries of one request are not its parts in order, or contradict each other",
        ERASURE_UNFINISHED: "an erasure has parts that are not sealed yet",
        SHRED_UNCLAIMED: "an entry says that a person's key was destroyed, and no erasure claims it so far",
        ERASURE_LINES: "an entry claims lines of a drop that no entry has set aside, or more than were",
        ERASURE_HOLD: "an entry refuses an erasure for a hold that is not in force",
        DISCARD: "an entry discards lines that the batch it names did not set aside",
        ACCESS_FOREIGN: "the officers of a re-identification signed a request for another log",
        OFFICER_ENROLMENT: "an entry enrols an officer or a key a second time, or withdraws whom nothing enrols",
        OFFICER_NOT_ENROLLED: "a re-identification or an approval is signed by a key that was not enrolled there",
        APPROVAL_MISSING: "an entry that an enrolled officer must approve bears no officer's signature",
        APPROVAL_SIGNATURE: "the signature of an approval is not over what its entry says",
        OBJECT_MISSING: "an object that an entry names is not there",
        OBJECT_UNREADABLE: "an object is there and its bytes cannot be had",
        OBJECT_SIZE: "an object has another size than its entry says",
        OBJECT_HASH: "an object's SHA-256 is not the one in its entry",
        OBJECT_UNNAMED: "an object that no entry names",
        OBJECT_LIST: "the list of objects of a hold or an extension is malformed",
        HOLD_UNKNOWN: "a release names a hold that is not in force",
        HEARTBEAT_CHAIN: "a heartbeat is about a time that an earlier one is about",
        HEARTBEAT_HOLE: "no heartbeat is about a time between two heartbeats, and no gap entry explains it",
        HEARTBEAT_NEWEST: "a heartbeat does not name its source's newest seal entry",
        HEARTBEAT_INVENTORY: "an inventory is malformed, or not what its heartbeat and the ledgers say",
        GAP_LIST: "the findings of a gap entry are malformed, or not what it says of them",
        DROP_NOT_SEALED: "a drop that had landed is sealed by no later entry, and no gap entry explains it",
        COMPLETENESS_SKIPPED: "an inventory could not be compared with the ledgers",
        AUDIT_REPORT: "a sealed result of an audit is not what its report and the log show",
        CUSTODY_REPORT: "a sealed result of a custody check is not what its digest files and the ledgers show",
        CUSTODY_SKIPPED: "a sealed result of a custody check could not be made again",
        EXTRA_VERSION: "a store keeps more than one version of a create-only object",
        DELETE_MARKER: "a store has a delete marker on a create-only object's name",
        RECORDS_INTACT: "a file's bytes differ, but its rows still hash to the sealed root",
        PARQUET: "a file is no Parquet that can be read",
        COLUMNS: "a file has a column of a type or name that the format does not have",
        SALT_SEED: "a file's salt seed is absent or malformed",
        ROW_COUNT: "a file has another number of rows than its entry says",
        ROW_ORDER: "rows are not in the order of drop and line",
        EVENT_DATE: "a row's time is not on the event date of its file",
        TIME_RANGE: "min_time or max_time of a file is not that of its rows",
        LEDGER_SYNTAX: "a ledger line is not canonical or not of the ledger's form",
        LEDGER_ROOT: "a ledger's lines do not hash to the sealed root",
        LEDGER_SUMS: "a drop's outcomes do not add up to its lines",
        LEDGER_RANGES: "a ledger's row ranges do not cover the data files, or are not where the rows are",
        LINE_MISSING: "a line of a drop stands in no file of its entry",
        LINE_DOUBLED: "a line of a drop stands in its entry's files more than once",
        LINE_UNKNOWN: "a row carries a drop or line number that the ledger does not have",
        OUTCOME_COUNTS: "a drop has another number of accepted or set aside rows than its ledger line says",
        REDACTION_FORM: "a redaction report breaks its form, or contradicts itself",
        REDACTION_COUNTS: "a redaction report is not about the rows of its entry",
        LOCK_MISSING: "a store has a sealed version under no COMPLIANCE lock",
        LOCK_SHORT: "a store's lock of a sealed version ends before the date that an entry gives",
        LOCKS_SKIPPED: "locks were not checked",
        OBJECTS_SKIPPED: "objects other than the one that was asked for were not checked",
        ROWS_SKIPPED: "rows were not checked",
        LINES_SKIPPED: "completeness of an entry's lines could not be checked",
        BUNDLE_MANIFEST: "bundle.json breaks its form",
        BUNDLE_OBJECT: "an object of the bundle is not as bundle.json lists it, or is not listed",
        OUTSIDE_BUNDLE: "something that the log names is outside the bundle's range",
        PERSON_WITHHELD: "who the records are about, and what could tell, is withheld on purpose",
    }
)
