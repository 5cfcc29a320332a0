"""Records and everything that proves them, each as one small file. Format: FORMAT.md, "Proof of one record"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from tasks.errors import NotFoundError, UsageError
from tasks.evidence.paths import RecordId, parse_record_id
from tasks.evidence.policy import NO_QUORUM, Policy
from tasks.evidence.proof import RecordProof, build, check, parse
from tasks.export.log import VerifiersOf
from tasks.export.places import Hints, Place, locate
from tasks.export.rows import ProvenRow, read_rows
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


def prove(
    store: ObjectStore,
    text: str,
    verifiers_of: VerifiersOf,
    witnesses: Policy | None = None,
    hints: Hints | None = None,
) -> ProvenRecord:
    """Prove one record; see `prove_all`."""
    return next(prove_all(store, [text], verifiers_of, witnesses, hints))


def prove_all(
    store: ObjectStore,
    texts: Iterable[str],
    verifiers_of: VerifiersOf,
    witnesses: Policy | None = None,
    hints: Hints | None = None,
) -> Iterator[ProvenRecord]:
    """Prove records against the newest checkpoint of their logs, in the order of their ids.

    Each row group is read once, however many of its records are asked for. A proof is checked before it is given, so
    one that does not prove is never handed out.

    Args:
        store: where the logs and the sealed files lie.
        texts: record ids; one that stands twice is proven once.
        verifiers_of: year -> the keys of that year's log.
        witnesses: a policy; when it asks for witnesses, proofs go to a checkpoint that they cosigned.
        hints: where the files' entries may stand, for example from the catalog.

    Raises:
        NotFoundError: no sealed file has an id, its file has no such row, or no checkpoint covers it yet. Nothing
            is proven then.
        VerificationError: an id is malformed, or what is stored is not what was sealed.
    """
    wanted = sorted({parse_record_id(text) for text in texts})
    places = locate(store, wanted, verifiers_of, witnesses, hints)
    for record in wanted:
        if record.row >= places[record.file].facts["rows"]:
            raise NotFoundError(
                f"record {record} does not exist: its file has {places[record.file].facts['rows']} rows, "
                "numbered from 0",
                next_step="Copy a record_id from `indelible query`.",
            )
    return _proofs(store, wanted, places)


def _proofs(
    store: ObjectStore, wanted: list[RecordId], places: Mapping[str, Place]
) -> Iterator[ProvenRecord]:
    for file, records in groupby(wanted, key=lambda record: record.file):
        place = places[file]
        entry_path = tuple(place.log.tiles.inclusion_proof(place.index))
        numbers = [record.row for record in records]
        for row in read_rows(store, place.facts, place.entry["personal"], numbers):
            yield _proof(place, RecordId(file, row.number), row, entry_path)


def _proof(place: Place, record: RecordId, row: ProvenRow, entry_path: tuple[bytes, ...]) -> ProvenRecord:
    proof = RecordProof(
        record=row.record,
        salt=row.salt,
        personal_salt=row.personal_salt,
        row=row.number,
        row_path=row.path,
        file=place.file,
        entry=place.data,
        index=place.index,
        entry_path=entry_path,
        checkpoint=place.log.note,
    )
    check(proof, Policy((place.log.verifier,), {}, {}, NO_QUORUM))
    return ProvenRecord(
        data=build(proof),
        record=row.record,
        record_id=str(record),
        source=place.entry["source"],
        path=place.facts["path"],
        row=row.number,
        origin=place.log.checkpoint.origin,
        index=place.index,
        size=place.log.checkpoint.size,
        sealed_at=place.entry["sealed_at"],
        vkey=place.log.verifier.vkey,
    )
