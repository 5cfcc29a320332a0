"""The scan: tests text cheaply, rewrites only what may match, keeps JSON valid, and counts.

Each detector has a trigger that costs a fraction of its pattern; texts without it are not touched. Texts
that repeat are scanned once (`distinct`). A JSON text that a replacement would break is replaced whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
import polars as pl

from tasks.redact.detectors import CREDENTIALS, PERSONAL, Detector
from tasks.redact.distinct import encode
from tasks.redact.keys import USER, key_detectors

_WHOLE: Final = '"[redacted]"'


class Scanner:
    """Finds and replaces what is sensitive in text.

    Attributes:
        hits: texts changed, by kind of detector. A text that changes twice counts twice.
    """

    def __init__(self, known_persons: Sequence[str] = ()) -> None:
        self.hits: Counter[str] = Counter()
        self._known = list(known_persons)

    def secrets(self, values: pl.Series) -> pl.Series:
        """Removes credentials only: the least that is done to any text."""
        return self._scan(values, _SECRETS, json=False, known=False)

    def text(self, values: pl.Series) -> pl.Series:
        """Removes credentials and personal data from free text."""
        return self._scan(values, _TEXT, json=False, known=True)

    def json(self, values: pl.Series) -> pl.Series:
        """Removes credentials and personal data from JSON texts, which stay valid JSON."""
        return self._scan(values, _JSON, json=True, known=True)

    def _scan(
        self, values: pl.Series, detectors: tuple[Detector, ...], *, json: bool, known: bool
    ) -> pl.Series:
        texts, codes = encode(values)
        weights = None if codes is None else _weights(codes, len(texts))
        result = texts
        for detector in detectors:
            result = self._apply(result, detector, weights)
        if known:
            result = self._apply_known(result, weights)
        if json:
            result = self._keep_valid(texts, result, weights)
        return (result if codes is None else result.gather(codes)).alias(values.name)

    def _apply(self, texts: pl.Series, detector: Detector, weights: pl.Series | None) -> pl.Series:
        rows = _matching(texts, detector.trigger)
        if detector.hint and len(rows):
            rows = rows.gather(_matching(texts.gather(rows), detector.hint))
        if rows.is_empty():
            return texts
        return self._put(texts, rows, _rewrite(texts.gather(rows), detector), detector.kind, weights)

    def _apply_known(self, texts: pl.Series, weights: pl.Series | None) -> pl.Series:
        if not self._known:
            return texts
        rows = texts.str.contains_any(self._known).fill_null(value=False).arg_true()
        if rows.is_empty():
            return texts
        new = texts.gather(rows).str.replace_many(self._known, [USER], leftmost=True)
        return self._put(texts, rows, new, "known_person", weights)

    def _keep_valid(self, before: pl.Series, after: pl.Series, weights: pl.Series | None) -> pl.Series:
        rows = (before != after).fill_null(value=False).arg_true()
        pairs = zip(rows, before.gather(rows), after.gather(rows), strict=True)
        broken = [row for row, old, new in pairs if not _is_json(new) and _is_json(old)]
        if not broken:
            return after
        whole = pl.Series([_WHOLE], dtype=pl.String).new_from_index(0, len(broken))
        return self._put(after, pl.Series(broken, dtype=pl.UInt32), whole, "whole_value", weights)

    def _put(
        self, texts: pl.Series, rows: pl.Series, new: pl.Series, kind: str, weights: pl.Series | None
    ) -> pl.Series:
        changed = (texts.gather(rows) != new).fill_null(value=False)
        rows = rows.filter(changed)
        if rows.is_empty():
            return texts
        self.hits[kind] += len(rows) if weights is None else int(weights.gather(rows).sum())
        return texts.clone().scatter(rows, new.filter(changed))


def _weights(codes: pl.Series, size: int) -> pl.Series:
    """How many rows hold each distinct value."""
    counted = codes.drop_nulls().value_counts()
    return pl.zeros(size, pl.UInt32, eager=True).scatter(counted.to_series(0), counted.to_series(1))


def _matching(texts: pl.Series, pattern: str) -> pl.Series:
    return texts.str.contains(pattern).fill_null(value=False).arg_true()


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


_SECRETS: Final = (*CREDENTIALS, *key_detectors("secret", json=False))
_TEXT: Final = (*_SECRETS, *key_detectors("person", json=False), *PERSONAL)
_JSON: Final = (
    *key_detectors("secret", json=True),
    *key_detectors("person", json=True),
    *CREDENTIALS,
    *PERSONAL,
)
