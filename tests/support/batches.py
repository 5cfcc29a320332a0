"""Read batches built by hand, for tests of what comes after the reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tasks.batch import DROP, EXTRA, LENGTH, LINE, OFFSET, TYPE_FAULTS, Drop, ReadBatch, ReadDrop
from tasks.contracts.model import Contract

DTYPES: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "integer": pl.Int64(),
    "number": pl.String(),
    "boolean": pl.Boolean(),
    "timestamp": pl.Datetime("us", "UTC"),
    "json": pl.String(),
    "strings": pl.List(pl.String()),
}
COORDINATE_TYPES: Mapping[str, pl.DataType] = {
    DROP: pl.Int32(),
    LINE: pl.Int64(),
    OFFSET: pl.Int64(),
    LENGTH: pl.Int64(),
}


def typed_frame(contract: Contract, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The contract's columns, with `_extra` and `_type_faults`, from one mapping a row."""
    columns = {field.name: DTYPES[field.type] for field in contract.fields}
    schema = {**columns, EXTRA: pl.String(), TYPE_FAULTS: pl.List(pl.String())}
    filled = [{TYPE_FAULTS: [], **row} for row in rows]
    return pl.DataFrame(filled, schema=schema, orient="row")


def read_batch(
    contract: Contract,
    rows: Sequence[Mapping[str, Any]],
    *,
    raw: Sequence[bytes] | None = None,
    aside: Sequence[tuple[str, str]] = (),
) -> ReadBatch:
    """A batch of one drop: `rows`, whose bytes are `raw`, then lines of (disposition, rule)."""
    texts = list(raw) if raw is not None else [b"%d" % index for index in range(len(rows))]
    starts = [sum(map(len, texts[:index])) for index in range(len(texts))]
    size = len(rows)
    frame = typed_frame(contract, rows).with_columns(
        pl.Series(DROP, [0] * size, dtype=COORDINATE_TYPES[DROP]),
        pl.Series(LINE, range(1, size + 1), dtype=COORDINATE_TYPES[LINE]),
        pl.Series(OFFSET, starts, dtype=COORDINATE_TYPES[OFFSET]),
        pl.Series(LENGTH, [len(text) for text in texts], dtype=COORDINATE_TYPES[LENGTH]),
    )
    buffer = b"".join(texts)
    others = [
        (0, size + 1 + i, len(buffer), 0, what, [rule] if rule else [])
        for i, (what, rule) in enumerate(aside)
    ]
    schema = {**COORDINATE_TYPES, "disposition": pl.String(), "rules": pl.List(pl.String())}
    drop = Drop(contract.source, "drop", len(buffer), "etag", None, 0)
    return ReadBatch(
        source=contract.source,
        drops=(ReadDrop(drop, "", "", len(buffer), size + len(others), buffer),),
        frame=frame,
        set_aside=pl.DataFrame(others, schema=schema, orient="row"),
    )
