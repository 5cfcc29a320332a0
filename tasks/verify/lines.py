"""Completeness: each line of each drop stands exactly once in the entry's data and quarantine files."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tasks.verify import reasons
from tasks.verify.ledger import LedgerLine
from tasks.verify.report import Findings

ACCEPTED = "accepted"


class LineIndex:
    """Coordinates of all rows of one entry, as they stand in the files. Eight bytes a row."""

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[int, str]] = Counter()
        self.runs: dict[int, list[tuple[int, int, int]]] = {}
        self._lines: dict[int, array[int]] = {}

    def add(self, drop: int, lines: memoryview, outcome: str) -> None:
        """Take note of rows of one drop; `lines` are their numbers as the bytes of 64-bit integers."""
        self._lines.setdefault(drop, array("q")).frombytes(lines)
        self.outcomes[drop, outcome] += len(lines) // 8

    def add_run(self, file: int, drop: int, row: int, count: int) -> None:
        """Take note of where `count` rows of one drop stand in a data file, for the ledger's row ranges."""
        runs = self.runs.setdefault(drop, [])
        if runs and runs[-1][0] == file and runs[-1][1] + runs[-1][2] == row:
            runs[-1] = (file, runs[-1][1], runs[-1][2] + count)
        else:
            runs.append((file, row, count))

    def drops(self) -> set[int]:
        """Every drop number that a row carries."""
        return set(self._lines)

    def lines(self, drop: int) -> list[int]:
        """Line numbers of one drop, sorted."""
        return sorted(self._lines.get(drop, ()))


def check_lines(
    ledger: Sequence[LedgerLine], index: LineIndex, entry: Mapping[str, Any], findings: Findings
) -> None:
    """Compare what the ledger says of each drop with the rows that were read."""
    path = entry["ledger"]["path"]
    for line in ledger:
        present = index.lines(line.index)
        if len(present) != line.lines or present != list(range(1, line.lines + 1)):
            _tell_lines(line, present, path, findings)
        _check_drop(line, index, path, findings)
    for drop in sorted(index.drops() - {line.index for line in ledger}):
        sentence = f"Rows carry drop number {drop}, which the ledger does not have."
        findings.changed(reasons.LINE_UNKNOWN, path, sentence, drop=drop)


def _tell_lines(line: LedgerLine, present: list[int], path: str, findings: Findings) -> None:
    """Name the lines that stand nowhere, twice, or without being lines of the drop."""
    for number, until in _gaps(present, line.lines):
        what = f"Line {number}" if until == number else f"Lines {number} to {until}"
        sentence = f"{what} of drop {line.index} stand in no data or quarantine file of the entry."
        findings.changed(reasons.LINE_MISSING, path, sentence, drop=line.index, line=number)
    for number in _repeats(present):
        sentence = f"Line {number} of drop {line.index} stands more than once in the entry's files."
        findings.changed(reasons.LINE_DOUBLED, path, sentence, drop=line.index, line=number)
    extra = [number for number in present if not 1 <= number <= line.lines]
    if extra:
        sentence = f"Rows carry line {extra[0]} of drop {line.index}, which has {line.lines} lines."
        findings.changed(reasons.LINE_UNKNOWN, path, sentence, drop=line.index, line=extra[0])


def _check_drop(line: LedgerLine, index: LineIndex, path: str, findings: Findings) -> None:
    wrong = [name for name, count in line.outcomes.items() if index.outcomes[line.index, name] != count]
    if wrong:
        sentence = f"The files hold other numbers of lines of drop {line.index} as: {', '.join(wrong)}."
        findings.changed(reasons.OUTCOME_COUNTS, path, sentence, drop=line.index)
    if sorted(index.runs.get(line.index, [])) != sorted(line.rows):
        sentence = f"The rows of drop {line.index} do not stand where the ledger's row ranges say."
        findings.changed(reasons.LEDGER_RANGES, path, sentence, drop=line.index)


def _gaps(present: list[int], lines: int) -> Iterator[tuple[int, int]]:
    expected = 1
    for number in present:
        if number > lines:
            break
        if number > expected:
            yield expected, number - 1
        expected = max(expected, number + 1)
    if expected <= lines:
        yield expected, lines


def _repeats(present: list[int]) -> Iterator[int]:
    for before, number in pairwise(present):
        if before == number:
            yield number
