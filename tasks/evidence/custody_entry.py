"""The `audit` entry of kind `cloudtrail-custody`: what AWS's digest files say of the sealed drops of a source."""

from __future__ import annotations

from typing import Literal, TypedDict

from tasks.evidence import paths
from tasks.evidence.schema import Count, Digest, Instant
from tasks.evidence.terms import Format, Scope, Text


class ArchivedObject(TypedDict):
    """An object that lies under `custody/`."""

    bytes: Count
    path: str
    sha256: Digest
    version_id: str


class CustodyCounts(TypedDict):
    """Digest files and those that hold; log files that AWS lists and those sealed as listed; other drops."""

    digests: Count
    listed: Count
    matched: Count
    uncovered: Count
    unlisted: Count
    valid: Count


class CustodyFinding(TypedDict):
    """How often a reason code was found, and the verdict that it has."""

    code: Text
    count: Count
    verdict: Literal["changed", "missing", "not-sealed-yet", "not-measured"]


class CustodyEntry(TypedDict):
    """What AWS's digest files say of the sealed drops; `holds` when nothing is changed and nothing missing."""

    counts: CustodyCounts
    findings: list[CustodyFinding]
    format: Format
    holds: bool
    keys: list[ArchivedObject]
    kind: Literal["cloudtrail-custody"]
    report: ArchivedObject
    scope: Scope
    sealed_at: Instant
    software: Text
    type: Literal["audit"]


def check_custody(entry: CustodyEntry) -> None:
    """Check what types do not say.

    Raises:
        ValueError: `holds` is not what the findings say, or an object is not at the path of its digest.
    """
    failed = any(finding["verdict"] in ("changed", "missing") for finding in entry["findings"])
    if entry["holds"] == failed:
        raise ValueError("entry.holds is not what its findings say")
    source = entry["scope"]["source"]
    named = [(entry["report"], "jsonl"), *((keys, "json") for keys in entry["keys"])]
    if any(item["path"] != paths.custody(source, item["sha256"], ending) for item, ending in named):
        raise ValueError("an archived object is not at the path of its digest")
