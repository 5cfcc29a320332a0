"""Frozen values that stages hand each other: listed drop -> read -> validated -> redacted -> sealed.

The types carry the order. `seal` takes only a `RedactedBatch`, `publish` only what is sealed, so
"unredacted data cannot be sealed" is a signature and not a comment. Nothing here does work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import polars as pl

Disposition = Literal["quarantined", "duplicate", "blank"]

# Columns that Indelible adds to the contract's own. Contract field names never start with "_".
DROP = "_drop"  # Int32: index of the drop in the batch's ledger
LINE = "_line"  # Int64: 1-based line (NDJSON, text) or record (CloudTrail) number in the drop
OFFSET = "_offset"  # Int64: byte offset in the decompressed drop
LENGTH = "_length"  # Int64: byte length in the decompressed drop; before sealing only
TIME = "_time"  # Datetime(us, UTC): the event's time
EXTRA = "_extra"  # String: JSON object of the fields that the contract does not name, or null
TYPE_FAULTS = "_type_faults"  # List[String]: rule names of values of the wrong type; before validation only
FINGERPRINT = "_fingerprint"  # String: keyed hash of the raw record, for contracts with a record key
COORDINATES = (DROP, LINE, OFFSET, LENGTH)


@dataclass(frozen=True, slots=True)
class Drop:
    """One raw object in a landing place, as a listing shows it.

    Attributes:
        source: contract name, for example `cloudtrail`.
        key: path relative to the landing place, with `/` separators.
        size: stored bytes.
        etag: the server's ETag, or `<size>-<mtime_ns>` for a directory. Only a hint that content changed.
        version_id: S3 version id of the landing object, when the landing bucket keeps versions.
        modified_us: last modification, Unix microseconds.
    """

    source: str
    key: str
    size: int
    etag: str
    version_id: str | None
    modified_us: int


@dataclass(frozen=True, slots=True)
class ReadDrop:
    """What reading one drop established. `lines` counts every line or record, whatever became of it.

    Attributes:
        sha256: hex, of the stored bytes.
        raw_sha256: hex, of the decompressed bytes (equal to `sha256` for a plain drop).
        raw_size: decompressed bytes.
        lines: number of lines or records, including blank and broken ones.
        buffer: the bytes that OFFSET and LENGTH of this drop refer to: the decompressed drop, or
            the stored bytes when the drop could not be decompressed and is held whole.
        flags: drop-level findings, for example `gzip.truncated`.
    """

    drop: Drop
    sha256: str
    raw_sha256: str
    raw_size: int
    lines: int
    buffer: bytes
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """Drops parsed into columns. Every line is a row of exactly one of the two frames.

    Attributes:
        frame: one row a parsed record, in order of (DROP, LINE): the contract's fields as typed
            values (null where absent or of the wrong type), EXTRA, TYPE_FAULTS and COORDINATES.
        set_aside: lines that are no record: COORDINATES, `disposition` (String; `quarantined` or
            `blank`) and `rules` (List[String]; why, for example `json.syntax`).
    """

    source: str
    drops: tuple[ReadDrop, ...]
    frame: pl.DataFrame
    set_aside: pl.DataFrame

    def keep(self, indexes: Sequence[int]) -> ReadBatch:
        """The batch of only these drops (ascending indexes), which are numbered anew."""
        import polars as pl

        renumber = pl.col(DROP).replace_strict(list(indexes), range(len(indexes)), return_dtype=pl.Int32)
        kept = pl.col(DROP).is_in(list(indexes))
        frame, set_aside = (rows.filter(kept).with_columns(renumber) for rows in (self.frame, self.set_aside))
        return ReadBatch(self.source, tuple(self.drops[i] for i in indexes), frame, set_aside)


@dataclass(frozen=True, slots=True)
class Gate:
    """The batch gate's verdict: the whole Great Expectations result as JSON, without record values."""

    success: bool
    result: bytes
    held: bool = False


@dataclass(frozen=True, slots=True)
class ValidatedBatch:
    """As `ReadBatch`, but `frame` holds only accepted rows and `set_aside` all the others.

    Attributes:
        frame: accepted rows; has TIME, and FINGERPRINT where the contract has a record key.
        set_aside: as in `ReadBatch`, with failed rows (`quarantined`) and `duplicate` rows added,
            sorted by (DROP, LINE).
        violations: rule name -> rows that broke it.
        unknown_fields: name of each field outside the contract -> rows that had it.
    """

    source: str
    drops: tuple[ReadDrop, ...]
    frame: pl.DataFrame
    set_aside: pl.DataFrame
    gate: Gate
    violations: Mapping[str, int]
    unknown_fields: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LedgerDrop:
    """One line of the drop ledger, without the raw bytes: what came, and what became of each line."""

    drop: Drop
    sha256: str
    raw_sha256: str
    raw_size: int
    lines: int
    accepted: int
    quarantined: int
    duplicate: int
    blank: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowSubjects:
    """The persons of a batch's rows, for the note of where each occurs.

    Attributes:
        ids: subject ids, see `Keyring.subject_ids`.
        rows: UInt32 index into `ids` for each row of the frame; null for a row about nobody.
    """

    ids: tuple[str, ...]
    rows: pl.Series


@dataclass(frozen=True, slots=True)
class RedactedBatch:
    """The only thing that can be sealed. Holds no clear personal data and no secret.

    Attributes:
        frame: accepted rows after treatment; columns of String, Boolean, Int64, List[String] and
            Datetime(us, UTC) only.
        set_aside: DROP, LINE, OFFSET, `disposition`, `rules` and `raw` (String: base64 of the encrypted
            raw bytes; null for `duplicate` and `blank`).
        keys: ids of the keys used, for example `pseudonym/2026-11`; `subject` for those of persons.
        report: counts by field, treatment and detector; no values.
        identities: String columns `pseudonym`, `field`, `kid` and `ciphertext`, one row for each field and
            pseudonym, strictly ascending by these two; None or empty when no field is encrypted.
        subjects: who the rows are about, or None where the contract does not tell. Never sealed.
    """

    source: str
    drops: tuple[LedgerDrop, ...]
    frame: pl.DataFrame
    set_aside: pl.DataFrame
    gate: Gate
    violations: Mapping[str, int]
    unknown_fields: Mapping[str, int]
    keys: tuple[str, ...]
    report: Mapping[str, Any]
    identities: pl.DataFrame | None = None
    subjects: RowSubjects | None = None


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """A batch whose entry stands in the log's sequence."""

    index: int
    entry: Mapping[str, Any]
