"""Wire values to typed columns, as the contract's field says. What does not fit is a fault and null."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from tasks.contracts.model import Field, FieldType
from tasks.ingest import timestamps
from tasks.ingest.wire import ARRAY, BARE, BOOLEAN, NUMBER, OBJECT, STRING, Wire, choose

if TYPE_CHECKING:
    from tasks.ingest.units import Mask

DTYPES: dict[FieldType, pl.DataType] = {
    "string": pl.String(),
    "integer": pl.Int64(),
    "number": pl.String(),
    "boolean": pl.Boolean(),
    "timestamp": timestamps.TYPE,
    "json": pl.String(),
    "strings": pl.List(pl.String()),
}
MAX_INTEGER = 2**53 - 1

_NATIVE: dict[FieldType, tuple[int, ...]] = {
    "string": (STRING, BARE),
    "integer": (NUMBER, BARE),
    "number": (NUMBER, BARE),
    "boolean": (BOOLEAN, BARE),
    "timestamp": (STRING, NUMBER, BARE),
    "json": (STRING, NUMBER, BOOLEAN, OBJECT, ARRAY),
    "strings": (ARRAY,),
}
_LENIENT: dict[FieldType, tuple[int, ...]] = {
    "string": (NUMBER, BOOLEAN),
    "integer": (STRING,),
    "number": (STRING,),
    "boolean": (STRING,),
}
_INTEGER = "^-?(?:0|[1-9][0-9]{0,15})$"
_NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
_decode_strings = msgspec.json.Decoder(list[str]).decode


@dataclass(frozen=True, slots=True)
class Typed:
    """A finished column, and the rows whose value was of the wrong type."""

    column: pl.Series
    faults: Mask


def convert(field: Field, wire: Wire) -> Typed:
    """Type one column as `field` asks. What is no string keeps its source text in a lenient string."""
    if not wire.given().any():
        empty = pl.Series(field.name, [None], dtype=DTYPES[field.type])
        return Typed(empty.new_from_index(0, len(wire.kinds)), np.zeros(len(wire.kinds), dtype=np.bool_))
    given = wire.given() & ~_means_null(field, wire)
    kinds = _NATIVE[field.type] + (_LENIENT.get(field.type, ()) if field.lenient else ())
    fitting = given & np.isin(wire.kinds, kinds)
    column = _column(field, wire, fitting).alias(field.name)
    return Typed(column, given & column.is_null().to_numpy())


def _means_null(field: Field, wire: Wire) -> Mask:
    """Rows whose text the contract declares to mean null."""
    if not field.nulls:
        return np.zeros(len(wire.kinds), dtype=np.bool_)
    named: Mask = wire.text.is_in(list(field.nulls)).fill_null(False).to_numpy()
    texts: Mask = named & ((wire.kinds == STRING) | (wire.kinds == BARE))
    return texts


def _column(field: Field, wire: Wire, fitting: Mask) -> pl.Series:
    """The typed column, null where not `fitting` or where the text has no such value."""
    if field.type == "strings":
        values = [_strings(source) for source in choose(fitting, wire.source())]
        return pl.Series(values, dtype=DTYPES["strings"])
    text = choose(fitting, wire.source() if field.type == "json" else wire.text)
    if field.type == "timestamp":
        return timestamps.parse(text, field.time_formats)
    return pl.select(_cast(field.type, pl.lit(text))).to_series()


def _cast(kind: FieldType, text: pl.Expr) -> pl.Expr:
    if kind == "integer":
        value = pl.when(text.str.contains(_INTEGER)).then(text).cast(pl.Int64)
        return pl.when(value.is_between(-MAX_INTEGER, MAX_INTEGER)).then(value)
    if kind == "number":
        return pl.when(text.str.contains(_NUMBER)).then(text)
    if kind == "boolean":
        return pl.when(text == "true").then(True).when(text == "false").then(False)
    return text


def _strings(source: str | None) -> list[str] | None:
    if source is None:
        return None
    try:
        return _decode_strings(source)
    except msgspec.ValidationError:
        return None
