"""The report of a check as it is sealed: one canonical JSON line a digest file, then one a finding.

With the digest files that it names, and AWS's keys, everything can be checked again from a copy of the store:
the line of a digest has the metadata that came with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, cast

from tasks.custody.check import Checked, Judged
from tasks.custody.digest import StoredDigest
from tasks.errors import VerificationError
from tasks.evidence.canonical import canonical_json, parse_canonical
from tasks.evidence.custody_entry import ArchivedObject
from tasks.evidence.schema import check

METADATA = ("backfill-generation-timestamp", "signature", "signature-algorithm")
VALID = "valid"


class DigestLine(TypedDict):
    """One digest file: where it lay, where it is archived, what came with it, `valid` or why it does not hold."""

    archived: ArchivedObject
    key: str
    metadata: dict[str, str]
    state: str
    type: Literal["digest"]


class FindingLine(TypedDict):
    """One finding."""

    code: str
    key: str
    sentence: str
    type: Literal["finding"]
    verdict: str


@dataclass(frozen=True, slots=True)
class Report:
    """The lines of a report."""

    digests: list[DigestLine]
    findings: list[FindingLine]


def encode_report(checked: Checked, archived: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The lines of a report.

    Args:
        checked: the result.
        archived: key of a digest file -> where it is archived.
    """
    return b"".join(canonical_json(line) + b"\n" for line in _lines(checked, archived))


def parse_report(data: bytes) -> Report:
    """The report that bytes spell.

    Raises:
        ValueError: it is no report.
    """
    lines = data.split(b"\n")
    if lines.pop():
        raise ValueError("its last line is cut off")
    report = Report([], [])
    try:
        for line in map(parse_canonical, lines):
            if isinstance(line, dict) and line.get("type") == "digest":
                check(line, DigestLine, "line")
                report.digests.append(cast("DigestLine", line))
            else:
                check(line, FindingLine, "line")
                report.findings.append(cast("FindingLine", line))
    except VerificationError as error:
        raise ValueError("a line is no canonical JSON") from error
    return report


def stored(lines: Iterable[tuple[DigestLine, bytes]]) -> Iterator[StoredDigest]:
    """The digest files again, from their lines and archived bytes."""
    for line, data in lines:
        yield StoredDigest(line["key"], data, line["metadata"])


def _lines(checked: Checked, archived: Mapping[str, Mapping[str, Any]]) -> Iterator[object]:
    reasons = {finding.key: finding.code for finding in reversed(checked.findings)}
    for judged in checked.digests:
        yield _digest(judged, archived[judged.key], reasons)
    for finding in checked.findings:
        yield {
            "code": finding.code,
            "key": finding.key,
            "sentence": finding.sentence,
            "type": "finding",
            "verdict": finding.verdict,
        }


def _digest(judged: Judged, archived: Mapping[str, Any], reasons: Mapping[str, str]) -> dict[str, Any]:
    return {
        "archived": dict(archived),
        "key": judged.key,
        "metadata": {name: judged.metadata[name] for name in METADATA if name in judged.metadata},
        "state": VALID if judged.digest is not None else reasons[judged.key],
        "type": "digest",
    }
