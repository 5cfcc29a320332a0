"""Time texts to UTC instants: RFC 3339, the Common Log Format's clock, Unix seconds and milliseconds.

Every format is an anchored pattern first and a conversion second, so that nothing is guessed. What a
pattern admits and no calendar has (30 February, minute 61, a leap second) is no time. Fractions finer
than a microsecond are cut off, not rounded.
"""

from __future__ import annotations

import polars as pl

TYPE = pl.Datetime("us", "UTC")

_OFFSET = "(Z|z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])"
_RFC3339 = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-5][0-9])(?:\.([0-9]{1,9}))?" + _OFFSET + "$"
)
_CLF = r"^([0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}):([0-9]{2}:[0-9]{2}:[0-5][0-9]) " + _OFFSET + "$"
_PLAIN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]Z$"
# Seconds from year 1 to year 9999 have at most 12 digits with those of 10 January 1653 to 2286 at most
# ten; eleven leaves no room to take milliseconds after 1973 for seconds.
_EPOCH_S = r"^(-?)([0-9]{1,11})(?:\.([0-9]{1,9}))?$"
_EPOCH_MS = r"^(-?)([0-9]{1,14})(?:\.([0-9]{1,9}))?$"


def parse(text: pl.Series, formats: tuple[str, ...]) -> pl.Series:
    """Parse each text by the first of `formats` that it has the form of.

    Args:
        text: String.
        formats: any of `rfc3339`, `clf`, `epoch_s`, `epoch_ms`.

    Returns:
        Datetime(us, UTC); null where no format fits or the date does not exist.
    """
    result = pl.Series(text.name, [None], dtype=TYPE).new_from_index(0, len(text))
    for name in formats:
        if result.null_count() == text.null_count():
            break
        result = pl.select(pl.coalesce(result, _PARSERS[name](text))).to_series()
    return result


def _rfc3339(text: pl.Series) -> pl.Series:
    if text.str.contains(_PLAIN).all():
        return _instant(text.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", strict=False, time_unit="us"))
    parts = text.str.extract_groups(_RFC3339).struct.unnest()
    parts.columns = ["date", "clock", "fraction", "offset"]
    return _clock(parts, "%Y-%m-%d %H:%M:%S")


def _clf(text: pl.Series) -> pl.Series:
    parts = text.str.extract_groups(_CLF).struct.unnest()
    parts.columns = ["date", "clock", "offset"]
    return _clock(parts.with_columns(fraction=pl.lit(None, dtype=pl.String)), "%d/%b/%Y %H:%M:%S")


def _epoch_s(text: pl.Series) -> pl.Series:
    return _epoch(text, _EPOCH_S, 6)


def _epoch_ms(text: pl.Series) -> pl.Series:
    return _epoch(text, _EPOCH_MS, 3)


_PARSERS = {"rfc3339": _rfc3339, "clf": _clf, "epoch_s": _epoch_s, "epoch_ms": _epoch_ms}


def _clock(parts: pl.DataFrame, form: str) -> pl.Series:
    """Local date and clock, less the offset, plus the fraction."""
    offset = pl.col("offset").str.replace_all(":", "", literal=True)
    hours = offset.str.slice(1, 2).cast(pl.Int64, strict=False)
    minutes = offset.str.slice(3, 2).cast(pl.Int64, strict=False)
    sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    shift = (sign * (hours * 60 + minutes) * 60_000_000).fill_null(0)
    local = pl.concat_str("date", "clock", separator=" ").str.to_datetime(form, strict=False, time_unit="us")
    return _instant(parts.select(local.cast(pl.Int64) - shift + _digits("fraction", 6)).to_series())


def _epoch(text: pl.Series, pattern: str, shift: int) -> pl.Series:
    """A decimal number of units of 10**shift microseconds."""
    parts = text.str.extract_groups(pattern).struct.unnest()
    parts.columns = ["sign", "whole", "fraction"]
    size = pl.col("whole").cast(pl.Int64) * 10**shift + _digits("fraction", shift)
    return _instant(parts.select(pl.when(pl.col("sign") == "-").then(-size).otherwise(size)).to_series())


def _digits(column: str, places: int) -> pl.Expr:
    """The first `places` decimals of a fraction as an integer; no fraction is 0."""
    return pl.col(column).str.pad_end(places, "0").str.slice(0, places).cast(pl.Int64).fill_null(0)


def _instant(microseconds: pl.Series) -> pl.Series:
    """Integers or naive datetimes as instants of the years 1 to 9999; anything else as null."""
    value = microseconds.cast(pl.Int64)
    inside = value.is_between(-62_135_596_800_000_000, 253_402_300_799_999_999)
    return pl.select(pl.when(inside).then(value).cast(TYPE)).to_series()
