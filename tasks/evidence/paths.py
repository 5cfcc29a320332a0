"""Every object path, in one place. Names are content addresses or sequence numbers.

Paths are relative to the store's root, with `/` separators. Hash tiles and entry bundles have their own
names below a log's prefix, see `tiles`.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tasks.evidence.reasons import MALFORMED_PATH, MALFORMED_RECORD_ID, failure

DATA_PREFIX: Final = "data/"
QUARANTINE_PREFIX: Final = "quarantine/"
IDENTITIES_PREFIX: Final = "identities/"
LEDGER_PREFIX: Final = "ledger/"
GATE_PREFIX: Final = "gate/"
REDACTION_PREFIX: Final = "redaction/"
CONTRACTS_PREFIX: Final = "contracts/"
POLICIES_PREFIX: Final = "policies/"
LISTS_PREFIX: Final = "lists/"
CUSTODY_PREFIX: Final = "custody/"
CATALOG_PREFIX: Final = "catalog/"
LOG_PREFIX: Final = "log/"
INBOX_PREFIX: Final = "inbox/"
PUBLIC_PREFIX: Final = "public/"

_RECORD_ID: Final = re.compile(r"([0-9a-f]{32})-(0|[1-9][0-9]{0,14})")
_NUMBERED: Final = re.compile(
    r"(?:log/[0-9]{4}/(?:seq|checkpoints|cosigned)/([0-9]{20})"
    r"|log/[0-9]{4}/timestamps/([0-9]{20})\.tsr|catalog/[0-9]{4}/([0-9]{20})\.duckdb)"
)


class RecordId(NamedTuple):
    """Where a record lies.

    Attributes:
        file: first 32 hex digits of the data file's SHA-256.
        row: 0-based row in that file.
    """

    file: str
    row: int

    def __str__(self) -> str:
        return f"{self.file}-{self.row}"


def record_id(file_sha256: str, row: int) -> RecordId:
    """Id of row `row` of the data file with that (hex) SHA-256."""
    return RecordId(file_sha256[:32], row)


def parse_record_id(text: str) -> RecordId:
    """The id that `text` spells.

    Raises:
        VerificationError: `malformed-record-id`.
    """
    match = _RECORD_ID.fullmatch(text)
    if match is None:
        raise failure(MALFORMED_RECORD_ID, "expected <32 hex digits>-<row>")
    return RecordId(match[1], int(match[2]))


def log_prefix(year: int) -> str:
    """Prefix of the log of `year`; tiles and bundles lie below it."""
    return f"{LOG_PREFIX}{year:04d}/"


def checkpoint(year: int) -> str:
    """The mutable pointer: a copy of the newest signed checkpoint."""
    return f"{log_prefix(year)}checkpoint"


def checkpoints_prefix(year: int) -> str:
    """Prefix of the signed checkpoints."""
    return f"{log_prefix(year)}checkpoints/"


def checkpoint_at(year: int, size: int) -> str:
    """The signed checkpoint of the tree of `size`."""
    return f"{checkpoints_prefix(year)}{size:020d}"


def cosigned_prefix(year: int) -> str:
    """Prefix of the checkpoints that witnesses have cosigned."""
    return f"{log_prefix(year)}cosigned/"


def cosigned_at(year: int, size: int) -> str:
    """The checkpoint of the tree of `size` with the cosignatures of a quorum of witnesses."""
    return f"{cosigned_prefix(year)}{size:020d}"


def timestamps_prefix(year: int) -> str:
    """Prefix of the time-stamp tokens."""
    return f"{log_prefix(year)}timestamps/"


def timestamp_at(year: int, size: int) -> str:
    """The RFC 3161 response over the checkpoint of `size`."""
    return f"{timestamps_prefix(year)}{size:020d}.tsr"


def sequence_prefix(year: int) -> str:
    """Prefix of the sequence."""
    return f"{log_prefix(year)}seq/"


def sequence(year: int, index: int) -> str:
    """Entry `index`'s bytes; creating this object is sealing."""
    return f"{sequence_prefix(year)}{index:020d}"


def policy(year: int) -> str:
    """The log's own copy of its trust policy."""
    return f"{log_prefix(year)}policy"


def data_file(source: str, event_date: str, sha256: str) -> str:
    """A Parquet file of accepted rows of one event date (`YYYY-MM-DD`)."""
    return f"{DATA_PREFIX}source={source}/event_date={event_date}/{sha256}.parquet"


def public_file(source: str, event_date: str, sha256: str) -> str:
    """The public part of the data file with that SHA-256; never in a store, only in what is handed out."""
    return f"{PUBLIC_PREFIX}source={source}/event_date={event_date}/{sha256}.parquet"


def quarantine_file(source: str, sha256: str) -> str:
    """A Parquet file of lines set aside."""
    return f"{QUARANTINE_PREFIX}source={source}/{sha256}.parquet"


def identities_file(source: str, sha256: str) -> str:
    """A Parquet file of encrypted identities."""
    return f"{IDENTITIES_PREFIX}source={source}/{sha256}.parquet"


def ledger(source: str, sha256: str) -> str:
    """A batch's drop ledger."""
    return f"{LEDGER_PREFIX}source={source}/{sha256}.jsonl"


def gate(source: str, sha256: str) -> str:
    """A batch's gate result."""
    return f"{GATE_PREFIX}source={source}/{sha256}.json"


def redaction(source: str, sha256: str) -> str:
    """A batch's redaction report."""
    return f"{REDACTION_PREFIX}source={source}/{sha256}.json"


def contract(source: str, sha256: str) -> str:
    """A contract as it was applied."""
    return f"{CONTRACTS_PREFIX}{source}/{sha256}.yaml"


def treatment_policy(sha256: str) -> str:
    """A Rego policy that decided treatments."""
    return f"{POLICIES_PREFIX}{sha256}.rego"


def object_list(sha256: str) -> str:
    """The object versions that a hold or an extension of retention covers."""
    return f"{LISTS_PREFIX}{sha256}.jsonl"


def custody_prefix(source: str) -> str:
    """Prefix of what the check of a source's chain of custody archives."""
    return f"{CUSTODY_PREFIX}source={source}/"


def custody(source: str, sha256: str, ending: str) -> str:
    """An archived digest file (`json.gz`), answer of ListPublicKeys (`json`) or report (`jsonl`)."""
    return f"{custody_prefix(source)}{sha256}.{ending}"


def catalog(year: int, size: int) -> str:
    """The catalog of the log's first `size` entries."""
    return f"{CATALOG_PREFIX}{year:04d}/{size:020d}.duckdb"


def manifest(day: str, sha256: str) -> str:
    """A worker's manifest, handed over on a day (`YYYY-MM-DD`); see `tasks.seal.manifest`."""
    return f"{INBOX_PREFIX}{day}/{sha256}"


def parse_number(path: str) -> int:
    """Number at the end of a path that ends in one, as a listing gives it.

    Raises:
        VerificationError: `malformed-path`.
    """
    match = _NUMBERED.fullmatch(path)
    if match is None:
        raise failure(MALFORMED_PATH, "expected a log or catalog path with 20 digits")
    return int(match[match.lastindex or 0])
