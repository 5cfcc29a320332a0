"""An evidence bundle without the persons. Format: FORMAT.md, "Bundles with the person withheld".

It holds what it must and nothing else: the seal entries of the period, each with its way to a signed checkpoint, and
the public part of each data file of the period. Ledgers stay out (object names, hashes of raw drops that could be
guessed), and so do lines set aside, gate results, the entries of others (holds name a subject) and the log's tiles.
Put here: what is handed out. Do not put here: how leaves are made (`tasks.leaves`).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import UsageError
from tasks.evidence import merkle, paths
from tasks.evidence.policy import Policy
from tasks.evidence.rows import PERSONAL_SALT_SEED, SALT_SEED, PersonalGroup
from tasks.evidence.seal_entry import DataFile
from tasks.evidence.tlog_proof import TlogProof
from tasks.export.facts import Progress, load_object
from tasks.export.files import Member, whole_file, write_zip
from tasks.export.log import VerifiersOf, open_logs
from tasks.export.rows import metadata_hashes, mismatch
from tasks.export.scope import Batch, Scope, select
from tasks.export.verifier import verifier_archive
from tasks.leaves import leaf_hashes, withhold
from tasks.storage.protocol import ObjectStore

FORMAT = "indelible-withheld/1"
MANIFEST = "bundle.json"


@dataclass(frozen=True, slots=True)
class Withheld:
    """What a bundle contains."""

    scope: Scope
    records: int
    columns: tuple[str, ...]
    members: int
    size: int


def export_withheld(
    store: ObjectStore,
    target: Path,
    since: date,
    until: date,
    verifiers_of: VerifiersOf,
    *,
    witnesses: Policy | None = None,
    progress: Progress = lambda _stage, _done, _total: None,
) -> Withheld:
    """Write the bundle of a period, both days included, without the columns that are personal.

    Args:
        store: where the evidence lies.
        target: the archive; it appears whole or not at all.
        since: first event date.
        until: last event date, included.
        verifiers_of: year -> the keys of that year's log.
        witnesses: a policy; when it asks for witnesses, each proof goes to a checkpoint that they cosigned.
        progress: called with a stage, what is done and how much there is.

    Raises:
        NotFoundError: nothing of the period is sealed under a checkpoint.
        VerificationError: what is stored is not what was sealed; no bundle is written.
        UsageError: a batch has no personal group, or the target cannot be written.
    """
    scope = select(open_logs(store, verifiers_of, witnesses), since, until)
    for batch in scope.batches:
        if not batch.entry["personal"] and batch.entry["files"]:
            raise UsageError(
                f"entry {batch.name} of {batch.entry['source']} was sealed without a personal group",
                next_step="Export it without --withhold-personal, or leave its dates out.",
            )
    written: list[Member] = []
    with whole_file(target) as file:
        write_zip(file, _members(store, scope, written, progress))
        size = file.tell()
    chosen = [facts for batch in scope.batches for facts in _of_period(scope, batch)]
    columns = sorted({name for batch in scope.batches for name in batch.entry["personal"]})
    return Withheld(scope, sum(f["rows"] for f in chosen), tuple(columns), len(written) + 1, size)


def public_part(data: bytes, facts: DataFile, personal: tuple[str, ...]) -> bytes:
    """A data file with `_p` in place of its personal columns, and with the seed of its leaves only.

    Args:
        data: the sealed file.
        facts: what its entry says of it.
        personal: the columns of its personal group.

    Raises:
        VerificationError: `file-root-mismatch`; its rows are not those that were sealed.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        metadata = file.metadata.metadata or {}
        seed = metadata_hashes(metadata, SALT_SEED, facts)
        group = PersonalGroup(personal, metadata_hashes(metadata, PERSONAL_SALT_SEED, facts))
        public, leaves = _rewrite(file, seed, group)
    except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise mismatch(facts, "it cannot be read as Parquet") from error
    if merkle.root(leaves).hex() != facts["root"]:
        raise mismatch(facts, "its public part does not lead to the sealed root")
    return public


def _rewrite(file: pq.ParquetFile, seed: bytes, group: PersonalGroup) -> tuple[bytes, bytes]:
    """The public part, and the leaves that follow from it. One row group is in memory at a time."""
    sink, leaves, row, writer = io.BytesIO(), bytearray(), 0, None
    for number in range(file.metadata.num_row_groups):
        rows = withhold(pl.DataFrame(file.read_row_group(number)), group, row)
        leaves += leaf_hashes(rows, seed, row)
        row += rows.height
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pq.ParquetWriter(sink, table.schema, compression="zstd", store_schema=False)
        writer.write_table(table)
    if writer is not None:
        writer.add_key_value_metadata({SALT_SEED: seed.hex()})
        writer.close()
    return sink.getvalue(), bytes(leaves)


def _members(store: ObjectStore, scope: Scope, written: list[Member], progress: Progress) -> Iterator[Member]:
    """Everything, each made when it is written; the manifest, which lists the others, comes last."""
    for member in _contents(store, scope, progress):
        written.append(Member(member.path, member.sha256, member.size, bytes))
        yield member
    yield Member.of(MANIFEST, _manifest(scope, written))


def _contents(store: ObjectStore, scope: Scope, progress: Progress) -> Iterator[Member]:
    yield Member.of("FORMAT.md", files("data_contracts").joinpath("delivered", "FORMAT.md").read_bytes())
    yield Member.of("verifier/indelible-verify.pyz", verifier_archive())
    contracts = {batch.entry["contract"]["path"]: batch.entry["contract"] for batch in scope.batches}
    for _, reference in sorted(contracts.items()):
        yield Member.of(reference["path"], load_object(store, reference))
    entries = {log.year: data for log, data in scope.logs}
    for number, batch in enumerate(scope.batches):
        progress("withholding", number, len(scope.batches))
        path = tuple(batch.log.tiles.inclusion_proof(batch.index))
        proof = TlogProof(batch.index, path, batch.log.note)
        yield Member.of(f"entries/{batch.name}.json", entries[batch.log.year][batch.index])
        yield Member.of(f"proofs/{batch.name}.tlog-proof", proof.encode())
        for facts in _of_period(scope, batch):
            public = public_part(load_object(store, facts), facts, tuple(batch.entry["personal"]))
            place = paths.public_file(batch.entry["source"], facts["event_date"], facts["sha256"])
            yield Member.of(place, public)


def _of_period(scope: Scope, batch: Batch) -> list[DataFile]:
    since, until = scope.since.isoformat(), scope.until.isoformat()
    return [facts for facts in batch.entry["files"] if since <= facts["event_date"] <= until]


def _manifest(scope: Scope, members: list[Member]) -> bytes:
    document = {
        "created_at": scope.created_at,
        "format": FORMAT,
        "objects": [
            {"bytes": m.size, "path": m.path, "sha256": m.sha256}
            for m in sorted(members, key=lambda m: m.path)
        ],
        "since": scope.since.isoformat(),
        "sources": scope.sources,
        "until": scope.until.isoformat(),
    }
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode("utf-8") + b"\n"
