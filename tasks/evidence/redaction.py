"""The redaction report of a batch: what was done to each field, what was found, and that nothing was left.

Counts and names only, never a value. Sealed as `redaction/source=<s>/<sha256>.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict, cast

from tasks.evidence.canonical import parse_canonical
from tasks.evidence.schema import Count, Digest, check
from tasks.evidence.terms import Format, Source, Text

MAX_REPORT_BYTES: Final = 1 << 24


class FieldReport(TypedDict):
    """One column: how it was treated, and how many rows had a value in it."""

    field: Text
    rows: Count
    treatment: Text


class HitReport(TypedDict):
    """Texts of one column that one detector changed. Two detectors of one name count a text twice."""

    detector: Text
    field: Text
    texts: Count


class LeakReport(TypedDict):
    """Rows in which the re-scan found what redaction had left; `drop` and `line` are those of the first."""

    detector: Text
    drop: Count
    field: Text
    line: Count
    rows: Count


class CanaryReport(TypedDict):
    """Made-up values that were put through the same detectors: how many each of the two sets found."""

    planted: Count
    redacted: Count
    rescanned: Count


class RedactionReport(TypedDict):
    """A batch's redaction: of `rows`, those that were accepted. The lines of `leaks` are in quarantine."""

    canaries: CanaryReport
    contract: Digest
    fields: list[FieldReport]
    format: Format
    hits: list[HitReport]
    leaks: list[LeakReport]
    rows: Count
    source: Source


def parse_report(data: bytes) -> RedactionReport:
    """The report that `data` spells.

    Raises:
        ValueError: it is no report, or contradicts itself; the message holds no value.
        VerificationError: it is not canonical JSON.
    """
    report = parse_canonical(data)
    check(report, RedactionReport, "report")
    _check_sense(report)
    return cast(RedactionReport, report)


def _check_sense(report: Mapping[str, Any]) -> None:
    canaries, rows = report["canaries"], report["rows"]
    fields = {field["field"] for field in report["fields"]}
    if len(fields) != len(report["fields"]) or any(field["rows"] > rows for field in report["fields"]):
        raise ValueError("report.fields names a field twice, or with more rows than there are")
    if any(found["field"] not in fields for found in (*report["hits"], *report["leaks"])):
        raise ValueError("report.hits or report.leaks names a field that was not treated")
    if canaries["planted"] == 0 or len(set(canaries.values())) != 1:
        raise ValueError("report.canaries: a planted value was not found")


def contradictions(report: RedactionReport, entry: Mapping[str, Any]) -> list[str]:
    """Where a report and the seal entry that names it disagree."""
    found = []
    if report["source"] != entry["source"] or report["contract"] != entry["contract"]["sha256"]:
        found.append("source or contract")
    if report["rows"] != entry["sums"]["accepted"]:
        found.append("accepted rows")
    if any(leak["rows"] > entry["sums"]["quarantined"] for leak in report["leaks"]):
        found.append("quarantined lines")
    return found
