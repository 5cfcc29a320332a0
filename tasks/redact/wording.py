"""Identifiers in what a person writes to be sealed: a reason, a purpose, the name of a matter.

Both sets of detectors look, since nobody can take such a text back. Names of people in prose are left out: after `for`
and `by` a case number has their form.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from tasks.redact.detectors import PERSONAL
from tasks.redact.rescan import find_leaks
from tasks.redact.scan import KEPT, Mode, Scanner

_FORMS: Final = tuple(detector for detector in PERSONAL if detector.kind != "user")
_WORDING: Final = Mode((*KEPT.detectors, *_FORMS), persons=False, json=False)


def identifiers_in(text: str) -> list[str]:
    """Kinds of identifiers and secrets that stand in a text, for example `email`; sorted, no values."""
    scanner, column = Scanner(), pl.Series("text", [text])
    scanner.scan([column], _WORDING)
    kinds = {kind for _, kind in scanner.hits} | {leak.detector for leak in find_leaks([column])}
    return sorted(kinds)
