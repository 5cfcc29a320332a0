"""Record proofs: one small file that proves one record, format `indelible-record/1`.

The file is a C2SP tlog-proof of the record's seal entry; its `extra` line carries the rest of the way,
deflated: record, salts, path to the file's root, and the entry that names this root. `check` walks it upwards:
row leaf -> file root -> entry -> log root -> signed checkpoint -> policy. `withhold` takes the person out.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal, TypedDict, cast

from tasks.errors import VerificationError
from tasks.evidence.canonical import canonical_json, encode_utf8, parse_canonical
from tasks.evidence.entry import parse_entry
from tasks.evidence.merkle import leaf_hash, root_from_inclusion
from tasks.evidence.paths import RecordId, record_id
from tasks.evidence.policy import Policy
from tasks.evidence.reasons import ENTRY_NOT_IN_LOG, MALFORMED_PROOF, RECORD_CHANGED, failure
from tasks.evidence.rows import WITHHELD, row_leaf, withhold
from tasks.evidence.schema import Count, Digest, Form
from tasks.evidence.schema import check as check_schema
from tasks.evidence.seal_entry import DataFile, SealEntry
from tasks.evidence.tlog_proof import TlogProof, parse_tlog_proof

FORMAT: Final = "indelible-record/1"
MAX_EXTRA_BYTES: Final = 32 << 20

_Salt = Annotated[str, Form("32 hex digits", r"[0-9a-f]{32}")]


class _Extra(TypedDict):
    entry: str
    file: Count
    format: Literal["indelible-record/1"]
    path: list[Digest]
    personal_salt: _Salt | None
    record: dict[str, str | bool | int | list[str] | None]
    row: Count
    salt: _Salt


@dataclass(frozen=True, slots=True)
class RecordProof:
    """A record and its way to a signed checkpoint; only `check` makes it trustworthy.

    Attributes:
        record: every sealed column by name, or every public one and `_p`; timestamps as integer microseconds.
        salt: the row's 16 bytes.
        personal_salt: those of its personal group; None where there is no group, or where it is withheld.
        row: 0-based row in its file.
        row_path: inclusion proof of the row in its file's tree.
        file: index of the file in the entry's `files`.
        entry: bytes of the seal entry.
        index: the entry's index in the log.
        entry_path: inclusion proof of the entry in the checkpoint's tree.
        checkpoint: the signed note.
    """

    record: Mapping[str, Any]
    salt: bytes
    personal_salt: bytes | None
    row: int
    row_path: Sequence[bytes]
    file: int
    entry: bytes
    index: int
    entry_path: Sequence[bytes]
    checkpoint: bytes

    def seal(self) -> SealEntry:
        """The entry, parsed.

        Raises:
            VerificationError: `malformed-entry`; `malformed-proof` when it is no seal entry.
        """
        entry = parse_entry(self.entry)
        if entry["type"] != "seal":
            raise failure(MALFORMED_PROOF, "the proof's entry is not a seal entry")
        return entry

    def data_file(self) -> DataFile:
        """The file of the entry that the record is in.

        Raises:
            VerificationError: as `seal`; `malformed-proof` when the entry has no such file or row.
        """
        files = self.seal()["files"]
        if not 0 <= self.file < len(files) or not 0 <= self.row < files[self.file]["rows"]:
            raise failure(MALFORMED_PROOF, "the entry has no such file, or the file no such row")
        return files[self.file]

    def record_id(self) -> RecordId:
        """The record's id."""
        return record_id(self.data_file()["sha256"], self.row)

    def withhold(self) -> RecordProof:
        """The proof without the record's personal columns and without what they could be guessed from.

        Raises:
            VerificationError: as `seal`; `unrepresentable-value` when the record lacks a personal column.
        """
        if self.personal_salt is None:
            return self
        public = withhold(self.record, self.seal()["personal"], self.personal_salt)
        return replace(self, record=public, personal_salt=None)

    @property
    def is_withheld(self) -> bool:
        """Whether the record's personal columns are left out."""
        return WITHHELD in self.record


def build(proof: RecordProof) -> bytes:
    """The proof file.

    Raises:
        VerificationError: `unrepresentable-value` or `malformed-proof`.
    """
    extra: _Extra = {
        "entry": _utf8(proof.entry),
        "file": proof.file,
        "format": FORMAT,
        "path": [item.hex() for item in proof.row_path],
        "personal_salt": None if proof.personal_salt is None else proof.personal_salt.hex(),
        "record": dict(proof.record),
        "row": proof.row,
        "salt": proof.salt.hex(),
    }
    outer = TlogProof(proof.index, tuple(proof.entry_path), proof.checkpoint, deflate(canonical_json(extra)))
    data = outer.encode()
    parse(data)
    return data


def parse(data: bytes) -> RecordProof:
    """The proof that a file holds; nothing in it is verified yet.

    Raises:
        VerificationError: `malformed-proof`.
    """
    outer = parse_tlog_proof(data)
    if outer.extra is None:
        raise failure(MALFORMED_PROOF, "the file proves an entry only; a record proof has an extra line")
    try:
        value = parse_canonical(inflate(outer.extra))
        check_schema(value, _Extra, "extra")
    except (ValueError, VerificationError) as error:
        raise failure(MALFORMED_PROOF, str(error)) from error
    extra = cast(_Extra, value)
    return RecordProof(
        record=extra["record"],
        salt=bytes.fromhex(extra["salt"]),
        personal_salt=None if extra["personal_salt"] is None else bytes.fromhex(extra["personal_salt"]),
        row=extra["row"],
        row_path=tuple(map(bytes.fromhex, extra["path"])),
        file=extra["file"],
        entry=encode_utf8(extra["entry"]),
        index=outer.index,
        entry_path=outer.path,
        checkpoint=outer.checkpoint,
    )


def check(proof: RecordProof, policy: Policy) -> Mapping[str, Any]:
    """The record, when `policy`'s logs and witnesses vouch for it.

    Raises:
        VerificationError: `record-changed`, `entry-not-in-log`, `malformed-...`, or as
            `Policy.open_checkpoint`.
    """
    file = proof.data_file()
    if _root(_leaf(proof), proof.row, file["rows"], proof.row_path) != bytes.fromhex(file["root"]):
        raise failure(RECORD_CHANGED, f"row {proof.row} does not lead to the root of {file['path']}")
    checkpoint = policy.open_checkpoint(proof.checkpoint)
    entry = leaf_hash(proof.entry)
    if _root(entry, proof.index, checkpoint.size, proof.entry_path) != checkpoint.root:
        raise failure(ENTRY_NOT_IN_LOG, f"entry {proof.index} is not in the log of size {checkpoint.size}")
    return proof.record


def _leaf(proof: RecordProof) -> bytes:
    try:
        return row_leaf(proof.withhold().record, proof.salt)
    except VerificationError as error:
        raise failure(RECORD_CHANGED, f"the record is none of its entry ({error})") from error


def deflate(data: bytes) -> bytes:
    """`data` as a raw deflate stream (RFC 1951)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def inflate(data: bytes) -> bytes:
    """What one whole raw deflate stream holds.

    Raises:
        ValueError: it is damaged, cut off, followed by something, or holds more than `MAX_EXTRA_BYTES`.
    """
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        text = unpacker.decompress(data, MAX_EXTRA_BYTES)
    except zlib.error as error:
        raise ValueError("the extra line is not deflated") from error
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError(f"the extra line is cut off, too long, or inflates to over {MAX_EXTRA_BYTES} bytes")
    return text


def _root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a path leads to; None for a path or index that does not fit the tree."""
    try:
        return root_from_inclusion(leaf, index, size, path)
    except VerificationError:
        return None


def _utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise failure(MALFORMED_PROOF, "the entry is not UTF-8") from error
