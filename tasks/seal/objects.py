"""The objects of one batch: data files, lines set aside, ledger, gate result, redaction report, contract.

Pure: a redacted batch in, bytes and entry fragments out. Nothing is stored here, and nothing depends on the
clock or on chance, so the same batch gives the same objects however often it is run.
"""

from __future__ import annotations

import hashlib
import hmac
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tasks.batch import DROP, LINE, TIME, LedgerDrop, RedactedBatch, RowSubjects
from tasks.contracts.model import AppliedPolicy, Contract
from tasks.evidence import merkle, paths
from tasks.evidence.canonical import canonical_json
from tasks.evidence.rows import PersonalGroup, salts
from tasks.seal.parquet import SealedFile, sealed_file

MAX_ROWS_PER_FILE = 1_000_000

Places = Mapping[str, Mapping[str, Sequence[int]]]


@dataclass(frozen=True, slots=True)
class PlannedObject:
    """Bytes with their path, and what the entry will say of them (all but the version id)."""

    path: str
    data: bytes
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BatchObjects:
    """Everything that a seal entry names, in the order in which it is written.

    Attributes:
        personal: columns of the personal group.
        places: by path of a data file, then by subject id: which of its rows are about that person. Not sealed.
        sums: the entry's.
    """

    files: tuple[PlannedObject, ...]
    quarantine: tuple[PlannedObject, ...]
    identities: tuple[PlannedObject, ...]
    ledger: PlannedObject
    gate: PlannedObject
    redaction: PlannedObject
    contract: PlannedObject
    rego: PlannedObject | None
    personal: tuple[str, ...]
    places: Places
    sums: Mapping[str, int]

    def all(self) -> tuple[PlannedObject, ...]:
        """The objects in that order."""
        return (
            *self.files,
            *self.quarantine,
            *self.identities,
            self.ledger,
            self.gate,
            self.redaction,
            self.contract,
            *([self.rego] if self.rego else []),
        )


def build_objects(batch: RedactedBatch, contract: Contract, salt_key: bytes) -> BatchObjects:
    """Turn a redacted batch into the objects that seal it.

    Args:
        batch: what to seal.
        contract: the contract that judged it.
        salt_key: secret from which the salt seeds are derived.
    """
    seeds = _Seeds(salt_key, batch, contract)
    personal = tuple(name for name in contract.personal_columns if name in batch.frame.columns)
    files, ranges, places = _data_files(batch, personal, seeds)
    quarantine = _side_files(batch, batch.set_aside, "quarantine", paths.quarantine_file, seeds)
    identities = _side_files(batch, batch.identities, "identities", paths.identities_file, seeds)
    ledger = _ledger(batch, ranges, seeds)
    gate_sha = hashlib.sha256(batch.gate.result).hexdigest()
    gate = PlannedObject(
        paths.gate(batch.source, gate_sha),
        batch.gate.result,
        {
            "bytes": len(batch.gate.result),
            "held": batch.gate.held,
            "sha256": gate_sha,
            "success": batch.gate.success,
        },
    )
    report = canonical_json(batch.report)
    report_sha = hashlib.sha256(report).hexdigest()
    redaction = PlannedObject(
        paths.redaction(batch.source, report_sha), report, {"bytes": len(report), "sha256": report_sha}
    )
    document = PlannedObject(
        paths.contract(contract.source, contract.sha256),
        contract.document,
        {"sha256": contract.sha256, "version": contract.version},
    )
    return BatchObjects(
        files=tuple(files),
        quarantine=quarantine,
        identities=identities,
        ledger=ledger,
        gate=gate,
        redaction=redaction,
        contract=document,
        rego=_rego(contract.policy),
        personal=personal,
        places=places,
        sums=_sums(batch.drops),
    )


def _rego(policy: AppliedPolicy | None) -> PlannedObject | None:
    if policy is None:
        return None
    facts = {
        "bytes": len(policy.document),
        "purpose": policy.purpose,
        "sha256": policy.sha256,
        "tenant": policy.tenant,
    }
    return PlannedObject(paths.treatment_policy(policy.sha256), policy.document, facts)


class _Seeds:
    """Salt seeds: secret, different for each object, the same when the same batch is sealed again."""

    def __init__(self, key: bytes, batch: RedactedBatch, contract: Contract) -> None:
        context = hashlib.sha256()
        # What is redacted otherwise has other salts.
        policy = [contract.policy.sha256] if contract.policy else []
        for part in (
            contract.source,
            contract.sha256,
            *policy,
            *(d.sha256 + d.drop.key for d in batch.drops),
        ):
            context.update(part.encode() + b"\x00")
        # Which lines were accepted decides which row gets which salt, so it is part of the seed.
        for frame in (batch.frame, batch.set_aside):
            context.update(frame.select(DROP, LINE).to_numpy().tobytes())
        self._key, self._context = key, context.digest()

    def of(self, role: str) -> bytes:
        return hmac.digest(self._key, b"seed\x00" + role.encode() + b"\x00" + self._context, "sha256")


def _data_files(
    batch: RedactedBatch, personal: tuple[str, ...], seeds: _Seeds
) -> tuple[list[PlannedObject], dict[int, list[list[int]]], Places]:
    planned: list[PlannedObject] = []
    ranges: dict[int, list[list[int]]] = {}
    places: dict[str, Mapping[str, Sequence[int]]] = {}
    for date, part, frame, subjects in _partitions(batch):
        role = f"data/{date}/{part}"
        group = PersonalGroup(personal, seeds.of(f"personal/{role}")) if personal else None
        file = sealed_file(frame, seeds.of(role), group)
        for drop, first, count in _segments(frame):
            ranges.setdefault(drop, []).append([len(planned), first, count])
        times = frame[TIME].to_physical()
        facts = _file_facts(file) | {
            "event_date": date,
            "min_time": int(times.min()),  # type: ignore[arg-type]
            "max_time": int(times.max()),  # type: ignore[arg-type]
        }
        path = paths.data_file(batch.source, date, file.sha256)
        planned.append(PlannedObject(path, file.data, facts))
        if subjects:
            places[path] = subjects
    return planned, ranges, places


def _partitions(batch: RedactedBatch) -> Iterator[tuple[str, int, pl.DataFrame, Mapping[str, Sequence[int]]]]:
    """Date, part, rows, and which rows each person has, of each data file."""
    if batch.frame.is_empty():
        return
    persons = batch.subjects or RowSubjects(
        (), pl.repeat(None, batch.frame.height, dtype=pl.UInt32, eager=True)
    )
    marked = batch.frame.with_columns(pl.col(TIME).dt.date().alias("__date"), persons.rows.alias("__subject"))
    for (date,), rows in sorted(marked.partition_by("__date", as_dict=True, maintain_order=True).items()):
        for part, start in enumerate(range(0, rows.height, MAX_ROWS_PER_FILE)):
            file = rows.slice(start, MAX_ROWS_PER_FILE)
            yield str(date), part, file.drop("__date", "__subject"), _rows_of(persons, file["__subject"])


def _rows_of(persons: RowSubjects, codes: pl.Series) -> dict[str, array[int]]:
    """Subject id -> the rows of a file whose code is that of the person."""
    rows = pl.DataFrame({"code": codes}).with_row_index("row").drop_nulls()
    found = rows.group_by("code", maintain_order=True).agg("row")
    return {
        persons.ids[code]: array("I", numbers.to_numpy().tobytes())
        for code, numbers in zip(*found, strict=True)
    }


def _segments(frame: pl.DataFrame) -> list[tuple[int, int, int]]:
    """(drop, first row, rows): rows are in drop order, so each drop is one run of rows."""
    runs = (
        frame.select(DROP)
        .with_row_index("row")
        .group_by(DROP, maintain_order=True)
        .agg(pl.col("row").first().alias("first"), pl.len().alias("count"))
    )
    return [(int(d), int(f), int(c)) for d, f, c in runs.iter_rows()]


def _side_files(
    batch: RedactedBatch,
    rows: pl.DataFrame | None,
    role: str,
    path: Callable[[str, str], str],
    seeds: _Seeds,
) -> tuple[PlannedObject, ...]:
    if rows is None or rows.is_empty():
        return ()
    file = sealed_file(rows, seeds.of(role))
    return (PlannedObject(path(batch.source, file.sha256), file.data, _file_facts(file)),)


def _file_facts(file: SealedFile) -> dict[str, Any]:
    return {"bytes": len(file.data), "root": file.root, "rows": file.rows, "sha256": file.sha256}


def _ledger(batch: RedactedBatch, ranges: Mapping[int, list[list[int]]], seeds: _Seeds) -> PlannedObject:
    salt = salts(seeds.of("ledger"), 0, len(batch.drops))
    lines = [
        canonical_json(_ledger_line(i, drop, ranges.get(i, []), salt[16 * i : 16 * i + 16].hex()))
        for i, drop in enumerate(batch.drops)
    ]
    data = b"".join(line + b"\n" for line in lines)
    digest = hashlib.sha256(data).hexdigest()
    root = merkle.root(b"".join(merkle.leaf_hash(line) for line in lines)).hex()
    return PlannedObject(
        paths.ledger(batch.source, digest),
        data,
        {"bytes": len(data), "drops": len(lines), "root": root, "sha256": digest},
    )


def _ledger_line(index: int, drop: LedgerDrop, rows: list[list[int]], salt: str) -> dict[str, Any]:
    return {
        "_s": salt,
        "accepted": drop.accepted,
        "blank": drop.blank,
        "bytes": drop.drop.size,
        "duplicate": drop.duplicate,
        "etag": drop.drop.etag,
        "flags": list(drop.flags),
        "index": index,
        "key": drop.drop.key,
        "landed_at": drop.drop.modified_us,
        "lines": drop.lines,
        "quarantined": drop.quarantined,
        "raw_bytes": drop.raw_size,
        "raw_sha256": drop.raw_sha256,
        "rows": rows,
        "sha256": drop.sha256,
        "version_id": drop.drop.version_id,
    }


def _sums(drops: tuple[LedgerDrop, ...]) -> dict[str, int]:
    return {
        "accepted": sum(d.accepted for d in drops),
        "blank": sum(d.blank for d in drops),
        "bytes": sum(d.drop.size for d in drops),
        "drops": len(drops),
        "duplicate": sum(d.duplicate for d in drops),
        "lines": sum(d.lines for d in drops),
        "quarantined": sum(d.quarantined for d in drops),
    }
