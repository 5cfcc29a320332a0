"""Doing costly work once for each distinct value, where values repeat.

Access logs repeat themselves: a million rows often hold twenty thousand actors. Arrow's dictionary
encoding finds them faster than any treatment runs; where most values differ, it is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import polars as pl

# Above this share of distinct values, encoding costs more than it saves (measured for HMAC and scans).
_WORTHWHILE: Final = 0.6


def through_distinct(values: pl.Series, convert: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """`convert(values)`, computed on distinct values when few are.

    Args:
        values: strings, maybe null.
        convert: element-wise function; must keep the length and map null to null.
    """
    distinct, codes = encode(values)
    if codes is None:
        return convert(values).alias(values.name)
    return convert(distinct).gather(codes).alias(values.name)


def encode(values: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """The distinct values and each row's index into them, or the values themselves and None."""
    count = values.to_frame().select(pl.first().approx_n_unique()).item()
    if count > _WORTHWHILE * len(values):
        return values, None
    encoded = values.to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
    distinct = pl.Series(values.name, encoded.dictionary, dtype=pl.String)
    return distinct, pl.Series(encoded.indices, dtype=pl.UInt32)
