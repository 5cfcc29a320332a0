"""The drop ledger of one seal entry: which raw drops came, and what became of each of their lines.

Checks one ledger against itself and against its entry. Whether the rows agree is the matter of `lines`.
Format: FORMAT.md, "The drop ledger".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.errors import VerificationError
from tasks.evidence import merkle
from tasks.evidence.canonical import parse_canonical
from tasks.verify import reasons
from tasks.verify.report import Findings

OUTCOMES = ("accepted", "quarantined", "duplicate", "blank")
SUMS = (*OUTCOMES, "bytes", "lines")
_COUNTS = (*SUMS, "index", "landed_at", "raw_bytes")
_DIGESTS = (("_s", 32), ("raw_sha256", 64), ("sha256", 64))
_HEX = re.compile(r"[0-9a-f]*")
_TEXTS = ("_s", "etag", "key", "raw_sha256", "sha256")
_KEYS = frozenset((*_COUNTS, *_TEXTS, "flags", "rows", "version_id"))


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One raw drop. `rows` are (data file, first row, rows) in the order of the entry's files."""

    index: int
    lines: int
    outcomes: Mapping[str, int]
    rows: tuple[tuple[int, int, int], ...]


def check_ledger(data: bytes, entry: Mapping[str, Any], findings: Findings) -> list[LedgerLine] | None:
    """Check a ledger whose bytes are those that the entry names.

    Returns:
        Its lines, or None when they are not well formed and nothing may be concluded from them.
    """
    facts = entry["ledger"]
    path = facts["path"]
    texts = data.split(b"\n")
    if texts.pop() != b"":
        findings.changed(reasons.LEDGER_SYNTAX, path, "The last ledger line does not end with a newline.")
        return None
    parsed = [_parse(text, number) for number, text in enumerate(texts)]
    bad = [number for number, value in enumerate(parsed) if value is None]
    for number in bad:
        sentence = f"Ledger line {number + 1} is not one canonical JSON object of the ledger's form."
        findings.changed(reasons.LEDGER_SYNTAX, path, sentence, drop=number)
    root = merkle.root(merkle.leaf_hashes(texts)).hex()
    if root != facts["root"]:
        findings.changed(reasons.LEDGER_ROOT, path, "The ledger's lines do not hash to the sealed root.")
    if bad:
        return None
    values = [value for value in parsed if value is not None]
    _check_sums(values, entry, findings)
    lines = [_line(value) for value in values]
    _check_ranges(lines, entry, findings)
    return lines


def quarantined(data: bytes) -> Iterator[tuple[str, int, int]]:
    """SHA-256 of each drop that has lines in quarantine, how many, and how many lines it has at all.

    Lines that are malformed are left out: `check_ledger` reports them.
    """
    for number, text in enumerate(data.split(b"\n")):
        value = _parse(text, number) if text else None
        if value is not None and value["quarantined"]:
            yield value["sha256"], value["quarantined"], value["lines"]


def _parse(text: bytes, number: int) -> dict[str, Any] | None:
    try:
        value = parse_canonical(text)
    except VerificationError:
        return None
    well_formed = (
        isinstance(value, dict)
        and value.keys() == _KEYS
        and value["index"] == number
        and all(_is_count(value[key]) for key in _COUNTS)
        and all(isinstance(value[key], str) for key in _TEXTS)
        and all(_HEX.fullmatch(value[key]) and len(value[key]) == size for key, size in _DIGESTS)
        and (value["version_id"] is None or isinstance(value["version_id"], str))
        and isinstance(value["flags"], list)
        and all(isinstance(flag, str) for flag in value["flags"])
        and isinstance(value["rows"], list)
        and all(_is_range(item) for item in value["rows"])
    )
    return value if well_formed else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_range(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(_is_count(item) for item in value)


def _line(value: Mapping[str, Any]) -> LedgerLine:
    return LedgerLine(
        index=value["index"],
        lines=value["lines"],
        outcomes={name: value[name] for name in OUTCOMES},
        rows=tuple((item[0], item[1], item[2]) for item in value["rows"]),
    )


def _check_sums(values: Sequence[Mapping[str, Any]], entry: Mapping[str, Any], findings: Findings) -> None:
    path = entry["ledger"]["path"]
    for value in values:
        if sum(value[name] for name in OUTCOMES) != value["lines"]:
            sentence = "The outcomes of this drop's lines do not add up to its number of lines."
            findings.changed(reasons.LEDGER_SUMS, path, sentence, drop=value["index"])
    totals = {name: sum(value[name] for value in values) for name in SUMS} | {"drops": len(values)}
    wrong = sorted(name for name, total in totals.items() if entry["sums"][name] != total)
    if entry["ledger"]["drops"] != len(values):
        wrong.append("ledger.drops")
    if wrong:
        sentence = f"The entry's sums differ from those of its ledger: {', '.join(wrong)}."
        findings.changed(reasons.ENTRY_SUMS, path, sentence)
    accepted = sum(file["rows"] for file in entry["files"])
    set_aside = sum(file["rows"] for file in entry["quarantine"])
    if (accepted, accepted + set_aside) != (totals["accepted"], totals["lines"]):
        sentence = "The files named by the entry do not hold as many rows as the ledger has lines."
        findings.changed(reasons.ENTRY_SUMS, path, sentence)


def _check_ranges(lines: Sequence[LedgerLine], entry: Mapping[str, Any], findings: Findings) -> None:
    path = entry["ledger"]["path"]
    by_file: dict[int, list[tuple[int, int]]] = {}
    for line in lines:
        for file, first, count in line.rows:
            by_file.setdefault(file, []).append((first, count))
        if sum(count for _, _, count in line.rows) != line.outcomes["accepted"]:
            sentence = "The row ranges of this drop do not hold as many rows as it has accepted lines."
            findings.changed(reasons.LEDGER_RANGES, path, sentence, drop=line.index)
    for index, file in enumerate(entry["files"]):
        if not _tiles(by_file.pop(index, []), file["rows"]):
            sentence = f"The ledger's row ranges do not cover every row of {file['path']} exactly once."
            findings.changed(reasons.LEDGER_RANGES, path, sentence)
    if by_file:
        findings.changed(reasons.LEDGER_RANGES, path, "Row ranges name a file that the entry does not have.")


def _tiles(ranges: list[tuple[int, int]], rows: int) -> bool:
    end = 0
    for first, count in sorted(ranges):
        if first != end or count == 0:
            return False
        end += count
    return end == rows
