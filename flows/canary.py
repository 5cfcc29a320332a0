"""Canaries in a real deployment: made-up personal data is delivered, and then looked for in all that was stored.

A sample record of the contract gets one value of each kind, in every field that redaction treats, in a field that
the contract does not name, and in each place where such values stand in real logs. It goes through the same stages
as any drop, from a landing place that exists only in memory, and is sealed under a key that begins with `canary/`, so
that nobody takes it for a record of the source and an auditor sees that the test was made.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from flows import pipeline
from flows.quarantine import MemoryLanding
from flows.wiring import Runtime
from tasks.batch import Drop
from tasks.catalog.schema import ENTRY_TABLES
from tasks.contracts import sample_drops
from tasks.contracts.model import Contract, Field
from tasks.errors import IndelibleError, RedactionLeakError, UsageError
from tasks.evidence import paths
from tasks.evidence.entry import parse_entry
from tasks.evidence.seal_entry import sealed_objects
from tasks.evidence.terms import instant
from tasks.ingest.read import read_batch
from tasks.redact import record_fingerprints, redact
from tasks.redact.canaries import Canary, hatch, placed
from tasks.validate import validate

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

PREFIX: Final = "canary/"
_TREATED: Final = frozenset(
    {"scan", "truncate_ip", "prefix_pseudonym", "pseudonym", "encrypt", "mask", "drop"}
)
_BROKEN_BY_TEXT: Final = frozenset({"pattern", "enum", "maxLength", "range"})
_PARQUET: Final = b"PAR1"
_GZIP: Final = b"\x1f\x8b"
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Survivor:
    """A planted value that was found again: its kind, and the object and column where it stands."""

    kind: str
    path: str
    column: str


@dataclass(frozen=True, slots=True)
class Flight:
    """What became of the canaries.

    Attributes:
        planted: how many values.
        texts: how many texts held one, counted over all fields.
        searched: objects and tables that were searched.
    """

    source: str
    shard: int
    entry: int
    planted: int
    texts: int
    searched: int
    survivors: tuple[Survivor, ...]

    @property
    def sentence(self) -> str:
        """The result, for a person or an `audit` entry."""
        kinds = ", ".join(sorted({survivor.kind for survivor in self.survivors}))
        result = f"of these kinds survived: {kinds}" if kinds else "none survived"
        return (
            f"{self.planted} made-up values in {self.texts} texts of a drop of {self.source}, sealed as entry"
            f" {self.shard}-{self.entry}; searched in {self.searched} objects and tables: {result}."
        )

    def raise_any(self) -> None:
        """Raise an error that says what survived and where.

        Raises:
            RedactionLeakError: something did.
        """
        if self.survivors:
            first = self.survivors[0]
            place = f"column {first.column} of {first.path}" if first.column else first.path
            raise RedactionLeakError(
                f"{self.sentence} The first, of kind {first.kind}, stands in {place}.",
                next_step="Change the treatment of that field in the contract; the values are made up, so nobody is"
                " harmed.",
            )


def release(runtime: Runtime, source: str, seed: str, progress: Progress = lambda _: None) -> Flight:
    """Plant canaries in a drop of `source`, deliver it, and search everything that was stored for them.

    Args:
        runtime: the deployment.
        source: has a contract with a sample of JSON.
        seed: decides the values.
        progress: is told what is done.

    Raises:
        UsageError: the contract has no sample to plant in.
        IndelibleError: the drop was not accepted, so nothing was tested.
    """
    contract = runtime.contract(source)
    canaries = hatch(seed.encode())
    key, data, texts = _drop(contract, sample_drops(source, runtime.settings.contracts), canaries, runtime)
    landing = MemoryLanding()
    landed = int(runtime.store.now().timestamp() * 1e6)
    drop = landing.add(source, f"{PREFIX}{landed}/{key}", data, landed)
    with runtime.catalog() as catalog:
        progress(f"{source}: delivering {len(canaries)} made-up values")
        receipts = pipeline.deliver_batch(runtime, source, [drop], catalog, landing=landing)
        if not receipts or not receipts[0].accepted:
            raise _refusal(runtime, contract, drop, landing)
        pipeline.publish(runtime, catalog)
        catalog.sync()
        shard, entry = receipts[0].shard, receipts[0].entry
        progress("searching what was stored")
        places = dict(_stored(runtime, catalog, shard, entry))
    survivors = [
        Survivor(canary.kind, *place)
        for place, text in places.items()
        for canary in canaries
        if any(form in text for form in _forms(canary.value))
    ]
    searched = len({path for path, _ in places})
    return Flight(source, shard, entry, len(canaries), texts, searched, tuple(survivors))


def _refusal(runtime: Runtime, contract: Contract, drop: Drop, landing: MemoryLanding) -> IndelibleError:
    """Why no line of the drop was accepted: the stages once more, and nothing is stored."""
    batch = validate(
        read_batch(landing, contract, [drop], runtime.limits()),
        contract,
        known_fingerprints=lambda _dates, _candidates: frozenset(),
        fingerprints=partial(record_fingerprints, contract=contract, keyring=runtime.keyring),
    )
    left = redact(batch, contract, runtime.keyring).report["leaks"]
    if left:
        fields = ", ".join(sorted({f"{leak['field']} ({leak['detector']})" for leak in left}))
        return RedactionLeakError(
            f"redaction left made-up values in these fields of {contract.source}: {fields}; the re-scan found them"
            " and nothing was published",
            next_step="Change the treatment of these fields in the contract.",
        )
    return IndelibleError(
        f"the contract of {contract.source} does not accept its own sample with made-up values in it:"
        f" {', '.join(sorted(batch.violations)) or 'no record'}",
        next_step="Put a drop that the contract accepts into samples/drops beside the contract.",
    )


def _drop(
    contract: Contract, samples: Mapping[str, bytes], canaries: tuple[Canary, ...], runtime: Runtime
) -> tuple[str, bytes, int]:
    """Key, content and number of texts of the drop: the first sample of JSON, reduced to one planted record."""
    for key, stored in samples.items():
        data = gzip.decompress(stored) if stored.startswith(_GZIP) else stored
        first = data if b'"Records"' in data[:64] else data.partition(b"\n")[0]
        try:
            document = json.loads(first)
        except ValueError:
            continue
        if "Records" in document:
            document["Records"] = document["Records"][:1]
        record = document["Records"][0] if "Records" in document else document
        texts = _plant(record, contract, canaries, instant(runtime.store.now()))
        return key.removesuffix(".gz"), json.dumps(document).encode() + b"\n", texts
    raise UsageError(
        f"the contract of {contract.source} has no sample of JSON to plant values in",
        next_step="Put a drop that the contract accepts into samples/drops beside the contract.",
    )


def _plant(record: dict[str, Any], contract: Contract, canaries: tuple[Canary, ...], now: str) -> int:
    everything = [text for _, _, text in placed(canaries)]
    lines = [text for text in everything if not text.startswith("{")]
    values = {canary.kind: canary.value for canary in canaries}
    ruled = {rule.field for rule in contract.rules if rule.kind in _BROKEN_BY_TEXT}
    texts = 0
    for field in contract.fields:
        if field.name == contract.time_field and "rfc3339" in field.time_formats:
            _put(record, field, now)
        elif field.treatment in _TREATED and field.name not in ruled and field.type in {"string", "json"}:
            if field.type == "json":
                _put(record, field, {"canary": everything})
                texts += len(everything)
            elif field.treatment == "scan":
                _put(record, field, " ; ".join(lines))
                texts += len(lines)
            else:
                ip = field.treatment in {"truncate_ip", "prefix_pseudonym"}
                _put(record, field, values["ip" if ip else "email"])
                texts += 1
    if contract.drift == "evolve":
        record["canary"] = {"planted": everything, "nested": json.dumps(everything)}
        texts += 2 * len(everything)
    return texts


def _put(record: dict[str, Any], field: Field, value: object) -> None:
    """Set a field where the sample has it, or else at the first place where the contract looks for it."""
    path = next((path for path in field.paths if _has(record, path)), field.paths[0])
    for step in path[:-1]:
        if not isinstance(record.get(step), dict):
            record[step] = {}
        record = record[step]
    record[path[-1]] = value


def _has(value: Any, path: tuple[str, ...]) -> bool:
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return True


def _stored(
    runtime: Runtime, catalog: Catalog, shard: int, index: int
) -> Iterator[tuple[tuple[str, str], str]]:
    """(Object or table, column) -> text, of all that the delivery stored."""
    path = paths.sequence(shard, index)
    data = runtime.store.read(path)
    yield (path, ""), data.decode()
    for facts in sealed_objects(parse_entry(data)):
        stored = runtime.store.read(facts["path"], facts["version_id"] or None)
        yield (facts["path"], ""), stored.decode("utf-8", "replace")
        if stored.startswith(_PARQUET):
            for column in pl.read_parquet(stored):
                yield (facts["path"], column.name), str(column.to_list())
    for table in ENTRY_TABLES:
        rows = catalog.connection.execute(
            f"SELECT * FROM {table} WHERE shard = ? AND entry = ?", [shard, index]
        )
        yield (f"catalog table {table}", ""), str(rows.fetchall())


def _forms(value: str) -> tuple[str, str, str]:
    """A value in clear, and in the two forms that anybody could undo or recognise."""
    raw = value.encode()
    return value, base64.b64encode(raw[: len(raw) // 3 * 3]).decode(), hashlib.sha256(raw).hexdigest()
