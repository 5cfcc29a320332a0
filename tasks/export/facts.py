"""What a bundle's report tells, counted from the sealed objects, each checked against its entry."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.contracts.load import parse_contract
from tasks.errors import ContractError, VerificationError
from tasks.evidence import paths
from tasks.evidence.redaction import RedactionReport, parse_report
from tasks.export.scope import Batch, Scope
from tasks.storage.protocol import ObjectStore

OUTCOMES = ("accepted", "quarantined", "duplicate", "blank")
COUNTS = ("drops", "lines", *OUTCOMES)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class GateFacts:
    """The batch gate: how many expectations ran, and rule -> rows that broke it."""

    success: bool
    held: bool
    evaluated: int
    broken: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RedactionFacts:
    """Treatment -> values, detector -> texts changed, detector of the re-scan -> rows set aside for a leak."""

    values: Counter[str]
    texts: Counter[str]
    leaks: Counter[str]


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """A batch with what its gate, its redaction report and its lines set aside say."""

    batch: Batch
    gate: GateFacts
    redaction: RedactionReport
    reasons: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class ContractFacts:
    """A contract as it was applied: treatment -> fields. Numbers are None when it cannot be read any more."""

    source: str
    version: str
    path: str
    sha256: str
    retention_days: int | None
    rules: int | None
    treatments: Mapping[str, Sequence[str]] | None


@dataclass(frozen=True, slots=True)
class RetentionFacts:
    """Locks as the store reports them now: kind of object -> (objects, locked, earliest end)."""

    worm: bool
    kinds: Mapping[str, tuple[int, int, datetime | None]]

    @property
    def locked(self) -> bool:
        """Whether every object is under a lock."""
        return self.worm and all(count == locked for count, locked, _ in self.kinds.values())


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the report shows."""

    batches: Sequence[BatchFacts]
    contracts: Sequence[ContractFacts]
    retention: RetentionFacts

    def sums(self) -> dict[str, Counter[str]]:
        """Source -> counts over its batches."""
        total: dict[str, Counter[str]] = {}
        for facts in self.batches:
            entry = facts.batch.entry
            total.setdefault(entry["source"], Counter()).update({k: entry["sums"][k] for k in COUNTS})  # type: ignore[literal-required]
        return dict(sorted(total.items()))

    def reasons(self) -> Counter[tuple[str, str, str]]:
        """(source, disposition, rule) -> lines. A line that broke several rules counts for each."""
        total: Counter[tuple[str, str, str]] = Counter()
        for facts in self.batches:
            total.update({(facts.batch.entry["source"], *key): n for key, n in facts.reasons.items()})
        return total

    def redaction(self) -> dict[str, RedactionFacts]:
        """Source -> what its redaction reports add up to."""
        total: dict[str, RedactionFacts] = {}
        for facts in self.batches:
            report = facts.redaction
            of_source = total.setdefault(report["source"], RedactionFacts(Counter(), Counter(), Counter()))
            for field in report["fields"]:
                of_source.values[field["treatment"]] += field["rows"]
            for hit in report["hits"]:
                of_source.texts[hit["detector"]] += hit["texts"]
            for leak in report["leaks"]:
                of_source.leaks[leak["detector"]] += leak["rows"]
        return dict(sorted(total.items()))


def gather(store: ObjectStore, scope: Scope, progress: Progress) -> Facts:
    """Read what the report needs.

    Raises:
        VerificationError: an object is not the one that its entry names.
    """
    batches = []
    for number, batch in enumerate(scope.batches):
        progress("reading results", number, len(scope.batches))
        batches.append(
            BatchFacts(batch, _gate(store, batch), _redaction(store, batch), _reasons(store, batch))
        )
    return Facts(batches, _contracts(store, scope.batches), _retention(store, scope, progress))


def load_object(store: ObjectStore, facts: Mapping[str, Any]) -> bytes:
    """An object as an entry names it, by its version id.

    Raises:
        VerificationError: `object-hash`.
        NotFoundError: that version is not there.
    """
    data = store.read(facts["path"], facts["version_id"] or None)
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise VerificationError(
            "object-hash",
            f"{facts['path']} is not the object that was sealed",
            next_step="Run `indelible verify`; nothing was exported.",
        )
    return data


def _gate(store: ObjectStore, batch: Batch) -> GateFacts:
    facts = batch.entry["gate"]
    results = json.loads(load_object(store, facts))["great_expectations"]["results"]
    broken = {
        item["expectation_config"]["meta"]["rule"]: item["result"]["unexpected_count"]
        for item in results
        if item["result"].get("unexpected_count")
    }
    return GateFacts(facts["success"], facts["held"], len(results), broken)


def _redaction(store: ObjectStore, batch: Batch) -> RedactionReport:
    return parse_report(load_object(store, batch.entry["redaction"]))


def _reasons(store: ObjectStore, batch: Batch) -> Counter[tuple[str, str]]:
    total: Counter[tuple[str, str]] = Counter()
    for facts in batch.entry["quarantine"]:
        data = load_object(store, facts)
        table = pq.read_table(pa.BufferReader(data), columns=["disposition", "rules"])
        for kind, rules in zip(table["disposition"].to_pylist(), table["rules"].to_pylist(), strict=True):
            total.update((kind, rule) for rule in rules or [""])
    return total


def _contracts(store: ObjectStore, batches: Iterable[Batch]) -> list[ContractFacts]:
    named = {b.entry["contract"]["path"]: (b.entry["source"], b.entry["contract"]) for b in batches}
    return [_contract(store, source, reference) for _, (source, reference) in sorted(named.items())]


def _contract(store: ObjectStore, source: str, reference: Mapping[str, Any]) -> ContractFacts:
    document = load_object(store, reference)
    try:
        contract = parse_contract(document, source)
    except ContractError:  # made for another version of this software; the bundle has its bytes all the same
        retention, rules, treatments = None, None, None
    else:
        by_treatment: dict[str, list[str]] = {}
        for field in contract.fields:
            by_treatment.setdefault(field.treatment, []).append(field.name)
        retention, rules, treatments = contract.retention_days, len(contract.rules), by_treatment
    return ContractFacts(
        source, reference["version"], reference["path"], reference["sha256"], retention, rules, treatments
    )


def _retention(store: ObjectStore, scope: Scope, progress: Progress) -> RetentionFacts:
    named = {facts["path"]: facts["version_id"] for batch in scope.batches for facts in batch.objects()}
    # The log's own objects have one version each, so no entry names it.
    named |= {paths.sequence(batch.log.year, batch.index): "" for batch in scope.batches}
    named |= {paths.checkpoint_at(log.year, log.checkpoint.size): "" for log, _ in scope.logs}
    kinds: dict[str, tuple[int, int, datetime | None]] = {}
    for number, (path, version_id) in enumerate(sorted(named.items())):
        progress("asking for locks", number, len(named))
        until = store.head(path, version_id or None).retain_until
        kind = path.split("/", 1)[0]
        count, locked, earliest = kinds.get(kind, (0, 0, None))
        ends = [end for end in (earliest, until) if end is not None]
        kinds[kind] = (count + 1, locked + (until is not None), min(ends, default=None))
    return RetentionFacts(store.worm, kinds)
