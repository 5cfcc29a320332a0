"""One record and everything that proves it, as one small file. Format: FORMAT.md, "Record proofs"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tasks.errors import NotFoundError, UsageError
from tasks.evidence.entry import SealEntry, parse_entry
from tasks.evidence.paths import RecordId, parse_record_id
from tasks.evidence.policy import NO_QUORUM, Policy
from tasks.evidence.proof import RecordProof, build, check, parse
from tasks.export.log import SignedLog, VerifiersOf, open_log
from tasks.export.rows import read_row
from tasks.log import reader
from tasks.storage.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class ProvenRecord:
    """A proof file, and what it says.

    Attributes:
        data: the file's bytes.
        record: every sealed column of the record.
    """

    data: bytes
    record: Mapping[str, Any]
    record_id: str
    source: str
    path: str
    row: int
    origin: str
    index: int
    size: int
    sealed_at: str
    vkey: str

    def withhold(self) -> ProvenRecord:
        """The same without the person.

        Raises:
            UsageError: its batch was sealed without a personal group.
        """
        proof = parse(self.data).withhold()
        if not proof.is_withheld:
            raise UsageError(
                f"record {self.record_id} was sealed without a personal group, so nothing can be withheld",
                next_step="Prove it without --withhold-personal, and hand it only to who may see all of it.",
            )
        return replace(self, data=build(proof), record=proof.record)


@dataclass(frozen=True, slots=True)
class _Place:
    log: SignedLog
    index: int
    data: bytes
    entry: SealEntry
    file: int


def prove(
    store: ObjectStore, text: str, verifiers_of: VerifiersOf, witnesses: Policy | None = None
) -> ProvenRecord:
    """Prove one record against the newest checkpoint of its log.

    The proof is checked before it is returned, so a file that does not prove is never handed out.

    Args:
        store: where the log and the sealed files lie.
        text: the record id.
        verifiers_of: year -> the keys of that year's log.
        witnesses: a policy; when it asks for witnesses, the proof goes to a checkpoint that they cosigned.

    Raises:
        NotFoundError: no sealed file has this id, the file has no such row, or no checkpoint covers it yet.
        VerificationError: the id is malformed, or what is stored is not what was sealed.
    """
    wanted = parse_record_id(text)
    place = _locate(store, wanted, verifiers_of, witnesses)
    facts = place.entry["files"][place.file]
    if wanted.row >= facts["rows"]:
        raise NotFoundError(
            f"record {wanted} does not exist: its file has {facts['rows']} rows, numbered from 0",
            next_step="Copy a record_id from `indelible query`.",
        )
    row = read_row(store, facts, place.entry["personal"], wanted.row)
    proof = RecordProof(
        record=row.record,
        salt=row.salt,
        personal_salt=row.personal_salt,
        row=wanted.row,
        row_path=row.path,
        file=place.file,
        entry=place.data,
        index=place.index,
        entry_path=place.log.tiles.inclusion_proof(place.index),
        checkpoint=place.log.note,
    )
    check(proof, Policy((place.log.verifier,), {}, {}, NO_QUORUM))
    return ProvenRecord(
        data=build(proof),
        record=row.record,
        record_id=str(wanted),
        source=place.entry["source"],
        path=facts["path"],
        row=wanted.row,
        origin=place.log.checkpoint.origin,
        index=place.index,
        size=place.log.checkpoint.size,
        sealed_at=place.entry["sealed_at"],
        vkey=place.log.verifier.vkey,
    )


def _locate(
    store: ObjectStore, wanted: RecordId, verifiers_of: VerifiersOf, witnesses: Policy | None
) -> _Place:
    """The entry that names the record's file; the newest year is looked at first."""
    for year in reversed(reader.shards(store)):
        log = open_log(store, year, verifiers_of(year), witnesses)
        signed = enumerate(log.tiles.entries()) if log is not None else iter(())
        for index, data, entry, file in _naming(signed, wanted):
            if log is not None:
                return _Place(log, index, data, entry, file)
        size = log.checkpoint.size if log is not None else 0
        for index, *_ in _naming(reader.sequence(store, year, size), wanted):
            raise NotFoundError(
                f"record {wanted} is sealed as entry {index} of log/{year}, but no checkpoint covers it yet",
                next_step="Run `indelible deliver` for its source, which signs a checkpoint; then repeat.",
            )
    raise NotFoundError(
        f"no sealed file has the record id {wanted}",
        next_step="Copy a record_id from `indelible query 'SELECT record_id FROM access_events LIMIT 5'`.",
    )


def _naming(
    entries: Iterator[tuple[int, bytes]], wanted: RecordId
) -> Iterator[tuple[int, bytes, SealEntry, int]]:
    """Entries that name the file, with its place in them. Most entries are passed over without parsing."""
    needle = wanted.file.encode()
    for index, data in entries:
        if needle not in data:
            continue
        entry = parse_entry(data)
        if entry["type"] == "seal":
            for file, facts in enumerate(entry["files"]):
                if facts["sha256"].startswith(wanted.file):
                    yield index, data, entry, file
