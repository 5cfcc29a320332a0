"""The scan: tests text cheaply, rewrites only what may match, keeps JSON valid, and counts.

Each detector has a trigger that costs a fraction of its pattern; texts without it are not touched. Texts
that repeat are scanned once (`distinct`). A JSON text that a replacement would break is replaced whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import polars as pl

from tasks.redact.detectors import CREDENTIALS, PERSONAL, Detector
from tasks.redact.distinct import encode
from tasks.redact.keys import USER, key_detectors

_WHOLE: Final = '"[redacted]"'


@dataclass(frozen=True, slots=True)
class Mode:
    """What a scan looks for.

    Attributes:
        detectors: applied in this order.
        persons: whether names that the batch itself gives are replaced too.
        json: the texts are JSON and must stay so.
    """

    detectors: tuple[Detector, ...]
    persons: bool
    json: bool

    @property
    def gate(self) -> str:
        """A pattern that every text contains in which a detector could match."""
        return "|".join(sorted({f"(?:{detector.hint or detector.trigger})" for detector in self.detectors}))


_CREDENTIALS: Final = (*CREDENTIALS, *key_detectors("secret", json=False))

# The least that is done to any text: credentials only.
KEPT: Final = Mode(_CREDENTIALS, persons=False, json=False)
TEXT: Final = Mode((*_CREDENTIALS, *key_detectors("person", json=False), *PERSONAL), persons=True, json=False)
JSON: Final = Mode(
    (
        *key_detectors("secret", json=True),
        *key_detectors("person", json=True),
        *CREDENTIALS,
        *PERSONAL,
    ),
    persons=True,
    json=True,
)


class Scanner:
    """Finds and replaces what is sensitive in text.

    Args:
        persons: names to replace wherever they stand, longest first.

    Attributes:
        hits: texts changed, by name of the column and kind of detector. A text that changes twice counts twice.
    """

    def __init__(self, persons: Sequence[str] = ()) -> None:
        self.hits: Counter[tuple[str, str]] = Counter()
        self._persons = list(persons)

    def scan(self, columns: Sequence[pl.Series], mode: Mode) -> list[pl.Series]:
        """Scans columns of strings together, since each pattern costs something to compile and start."""
        encoded = [encode(column) for column in columns]
        if not encoded:
            return []
        texts = pl.concat([distinct.alias("") for distinct, _ in encoded])
        scanned = self._scan(texts, pl.concat([_origins(*pair) for pair in encoded]), mode)
        result = []
        start = 0
        for column, (distinct, codes) in zip(columns, encoded, strict=True):
            part = scanned.slice(start, len(distinct))
            start += len(distinct)
            result.append((part if codes is None else part.gather(codes)).alias(column.name))
        return result

    def _scan(self, texts: pl.Series, origins: pl.DataFrame, mode: Mode) -> pl.Series:
        named = self._naming(texts) if mode.persons else pl.zeros(len(texts), pl.Boolean, eager=True)
        rows = (texts.str.contains(mode.gate) | named).fill_null(value=False).arg_true()
        if rows.is_empty():
            return texts
        before, origins, named = texts.gather(rows), origins[rows], named.gather(rows)
        after = before
        for detector in mode.detectors:
            after = self._apply(after, detector, origins)
        after = self._replace_persons(after, named.arg_true(), origins)
        if mode.json:
            after = self._keep_valid(before, after, origins)
        return texts.clone().scatter(rows, after)

    def _apply(self, texts: pl.Series, detector: Detector, origins: pl.DataFrame) -> pl.Series:
        rows = _matching(texts, detector.trigger)
        if detector.hint and len(rows):
            rows = rows.gather(_matching(texts.gather(rows), detector.hint))
        if rows.is_empty():
            return texts
        return self._put(texts, rows, _rewrite(texts.gather(rows), detector), detector.kind, origins)

    def _naming(self, texts: pl.Series) -> pl.Series:
        """Whether each text names one of the batch's persons."""
        if not self._persons:
            return pl.zeros(len(texts), pl.Boolean, eager=True)
        return texts.str.contains_any(self._persons)

    def _replace_persons(self, texts: pl.Series, rows: pl.Series, origins: pl.DataFrame) -> pl.Series:
        if rows.is_empty():
            return texts
        new = texts.gather(rows).str.replace_many(self._persons, [USER], leftmost=True)
        return self._put(texts, rows, new, "person", origins)

    def _keep_valid(self, before: pl.Series, after: pl.Series, origins: pl.DataFrame) -> pl.Series:
        rows = (before != after).arg_true()
        pairs = zip(rows, before.gather(rows), after.gather(rows), strict=True)
        broken = [row for row, old, new in pairs if not _is_json(new) and _is_json(old)]
        whole = pl.Series([_WHOLE] * len(broken), dtype=pl.String)
        return self._put(after, pl.Series(broken, dtype=pl.UInt32), whole, "whole_value", origins)

    def _put(
        self, texts: pl.Series, rows: pl.Series, new: pl.Series, kind: str, origins: pl.DataFrame
    ) -> pl.Series:
        changed = texts.gather(rows) != new
        rows = rows.filter(changed)
        if rows.is_empty():
            return texts
        for column, count in origins[rows].group_by("column").sum().iter_rows():
            self.hits[column, kind] += count
        return texts.clone().scatter(rows, new.filter(changed))


def _origins(distinct: pl.Series, codes: pl.Series | None) -> pl.DataFrame:
    """The column of each distinct value, and how many of its rows hold that value."""
    rows = pl.ones(len(distinct), pl.UInt32, eager=True)
    if codes is not None:
        counted = codes.drop_nulls().value_counts()
        rows = pl.zeros(len(distinct), pl.UInt32, eager=True).scatter(
            counted.to_series(0), counted.to_series(1)
        )
    column = pl.Series([distinct.name], dtype=pl.Categorical).new_from_index(0, len(distinct))
    return pl.DataFrame({"column": column, "rows": rows})


def _matching(texts: pl.Series, pattern: str) -> pl.Series:
    return texts.str.contains(pattern).arg_true()


def _rewrite(texts: pl.Series, detector: Detector) -> pl.Series:
    if detector.check is None:
        return texts.str.replace_all(detector.pattern, detector.replacement)
    candidates = texts.str.extract_all(detector.pattern).explode(empty_as_null=False).unique().drop_nulls()
    confirmed = sorted({detector.check(candidate) for candidate in candidates} - {""}, key=_longest_first)
    if not confirmed:
        return texts
    return texts.str.replace_many(confirmed, [detector.replacement], leftmost=True)


def _longest_first(text: str) -> tuple[int, str]:
    return -len(text), text


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
