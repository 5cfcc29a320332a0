"""Small objects that a seal entry names, as rows of the catalog: the drop ledger and the redaction report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from tasks.errors import VerificationError
from tasks.evidence.redaction import parse_report
from tasks.storage.protocol import ObjectStore

_LEDGER_COLUMNS: Final = (
    "index", "key", "version_id", "etag", "landed_at", "bytes", "sha256", "raw_bytes", "raw_sha256",
    "lines", "accepted", "quarantined", "duplicate", "blank", "flags",
)  # fmt: skip
_FIELD: Final = {"field": pl.String, "treatment": pl.String, "rows": pl.Int64}
_FOUND: Final = {"field": pl.String, "detector": pl.String}


def named_tables(store: ObjectStore, entry: Mapping[str, Any]) -> dict[str, pl.DataFrame]:
    """Table of the catalog -> the entry's rows for it, without the columns that say which entry.

    Raises:
        VerificationError: `object-hash`: an object is not what the entry names.
    """
    return {
        "drops": _drops(_read(store, entry["ledger"])),
        "redactions": _redactions(_read(store, entry["redaction"])),
    }


def rows_of_drops(store: ObjectStore, entry: Mapping[str, Any]) -> pl.DataFrame:
    """Where the accepted rows of each drop of a seal entry lie.

    Returns:
        A row for each run of a drop's rows: `drop` (its index), `file` (index into the entry's `files`), `first`,
        `count`.

    Raises:
        VerificationError: `object-hash`: the ledger is not what the entry names.
    """
    lines = [json.loads(line) for line in _read(store, entry["ledger"]).splitlines()]
    runs = [(line["index"], *run) for line in lines for run in line["rows"]]
    return pl.DataFrame(
        runs, schema=dict.fromkeys(("drop", "file", "first", "count"), pl.Int64), orient="row"
    )


def _read(store: ObjectStore, facts: Mapping[str, Any]) -> bytes:
    data = store.read(facts["path"], facts["version_id"] or None)
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise VerificationError(
            "object-hash",
            f"{facts['path']} is not what its entry names",
            next_step="Run `indelible verify` and stop delivering until the cause is known.",
        )
    return data


def _drops(ledger: bytes) -> pl.DataFrame:
    lines = [json.loads(line) for line in ledger.splitlines()]
    columns = {name: [line[name] for line in lines] for name in _LEDGER_COLUMNS}
    return pl.DataFrame(columns, schema_overrides={"version_id": pl.String, "flags": pl.List(pl.String)})


def _redactions(data: bytes) -> pl.DataFrame:
    """One row for each column and detector; a column in which nothing was found has one without detector."""
    report = parse_report(data)
    fields = pl.DataFrame(report["fields"], schema=_FIELD)
    hits = pl.DataFrame(report["hits"], schema={**_FOUND, "texts": pl.Int64})
    leaks = pl.DataFrame(report["leaks"], schema={**_FOUND, "rows": pl.Int64})
    leaked = leaks.group_by("field", "detector").agg(pl.col("rows").sum().alias("leaks"))
    found = hits.join(leaked, on=["field", "detector"], how="full", coalesce=True)
    return fields.join(found, on="field", how="left").sort("field", "detector")
