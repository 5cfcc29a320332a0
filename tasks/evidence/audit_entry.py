"""Entries of type `audit`: `worm-probe`, what a store lets one do, and `store-audit`, whether the evidence holds.

The sample of a store audit is a function of what its entry says, so that anybody can draw it again; see FORMAT.md,
section 5.9.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Final, Literal, TypedDict

from tasks.evidence import paths
from tasks.evidence.completeness_entry import LineList
from tasks.evidence.schema import Count, Digest, Instant
from tasks.evidence.terms import Format, Text

SLOTS: Final = 256
EVERY: Final = timedelta(days=7)
MILLION: Final = 1_000_000
FAILING: Final = ("changed", "missing")
_SEED_LABEL: Final = b"indelible/1/audit-sample/"
_WORD: Final = 8

Verdict = Literal["changed", "missing", "not-sealed-yet", "not-measured", "notice"]
State = Literal["holds", "fails", "not-measured"]


class AuditFinding(TypedDict):
    """One property that was tried; `identity` is empty for the credentials that seal."""

    code: Text
    identity: str
    ok: bool
    sentence: Text


class AuditEntry(TypedDict):
    """The result of an examination of the store; `enforced` when all of its findings are ok."""

    enforced: bool
    findings: list[AuditFinding]
    format: Format
    kind: Literal["worm-probe"]
    sealed_at: Instant
    server: str
    software: Text
    store: Text
    type: Literal["audit"]


class AuditedCheckpoint(TypedDict):
    """The signed tree that was audited."""

    root: Digest
    shard: Count
    size: Count


class AuditCheck(TypedDict):
    """One of the checks of an audit, and what came out."""

    name: Text
    state: State


class AuditCounts(TypedDict):
    """What was read back and compared: bytes, entries of the logs, objects, rows."""

    bytes: Count
    entries: Count
    objects: Count
    rows: Count


class StoreAuditFinding(TypedDict):
    """How often a code was found by a check."""

    check: Text
    code: Text
    count: Count
    verdict: Verdict


class AuditSample(TypedDict):
    """Records that were drawn from `population`, and hashed again with their proof.

    If `altered_ppm` millionths of all records had been altered, such a sample finds it with a probability of
    `found_ppm` millionths.
    """

    altered_ppm: Count
    found_ppm: Count
    population: Count
    records: Count
    seed: Digest


class StoreAuditEntry(TypedDict):
    """The result of an audit of everything; `slots` are those of the rolling schedule that were read back."""

    began_at: Instant
    checkpoint: AuditedCheckpoint
    checks: list[AuditCheck]
    counts: AuditCounts
    findings: list[StoreAuditFinding]
    format: Format
    holds: bool
    kind: Literal["store-audit"]
    mode: Literal["sample", "whole"]
    period_days: Count
    report: LineList
    sample: AuditSample
    sealed_at: Instant
    slots: list[Count]
    software: Text
    type: Literal["audit"]


class CheckLine(TypedDict):
    """A line of the report: one check."""

    name: Text
    next_step: str
    sentence: Text
    state: State
    type: Literal["check"]


class FindingLine(TypedDict):
    """A line of the report: all that one check found under one code; `paths` are the first of them."""

    check: Text
    code: Text
    count: Count
    next_step: Text
    paths: list[Text]
    sentence: Text
    type: Literal["finding"]
    verdict: Verdict


def slot(sha256: str) -> int:
    """The slot of the rolling schedule in which an object is, by its digest."""
    return int(sha256[:2], 16)


def sample_seed(root: str, began_at: str) -> str:
    """The seed of an audit's sample: fixed by the log as it is and by the moment at which the audit began."""
    return hashlib.sha256(_SEED_LABEL + f"{root}/{began_at}".encode()).hexdigest()


def drawn(seed: str, population: int, count: int) -> list[int]:
    """Distinct numbers below `population`, ascending; every set of that size is as likely as any other.

    Words of 64 bits are SHA-256 of the seed and a counter; those beyond the largest multiple of `population`
    are passed over, as a remainder of them would favour small numbers.
    """
    if count >= population:
        return list(range(population))
    limit = (1 << 8 * _WORD) // population * population
    chosen: set[int] = set()
    words = _words(bytes.fromhex(seed))
    while len(chosen) < count:
        word = next(words)
        if word < limit:
            chosen.add(word % population)
    return sorted(chosen)


def check_store_audit(entry: StoreAuditEntry) -> None:
    """Check what types do not say.

    Raises:
        ValueError: parts of the entry contradict each other.
    """
    states = {check["name"]: check["state"] for check in entry["checks"]}
    failed = {finding["check"] for finding in entry["findings"] if finding["verdict"] in FAILING}
    if len(states) != len(entry["checks"]) or failed != {n for n, s in states.items() if s == "fails"}:
        raise ValueError("entry.checks are not what its findings say")
    if entry["holds"] == bool(failed):
        raise ValueError("entry.holds is not what its findings say")
    if entry["slots"] != sorted(set(entry["slots"])) or any(number >= SLOTS for number in entry["slots"]):
        raise ValueError("entry.slots are not distinct, in order and below 256")
    sample = entry["sample"]
    if sample["seed"] != sample_seed(entry["checkpoint"]["root"], entry["began_at"]):
        raise ValueError("entry.sample.seed does not follow from the checkpoint and the beginning")
    if sample["records"] > sample["population"] or max(sample["altered_ppm"], sample["found_ppm"]) > MILLION:
        raise ValueError("entry.sample is larger than what it was drawn from")
    if entry["report"]["path"] != paths.object_list(entry["report"]["sha256"]):
        raise ValueError("entry.report is not at the path of its digest")


def _words(seed: bytes) -> Iterator[int]:
    counter = 0
    while True:
        block = hashlib.sha256(seed + counter.to_bytes(_WORD, "big")).digest()
        for start in range(0, len(block), _WORD):
            yield int.from_bytes(block[start : start + _WORD], "big")
        counter += 1
