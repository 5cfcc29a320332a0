"""No planted value survives: generated logs through the real reader and redaction, then searched.

The generator amplifies real events and notes every sensitive value that it plants.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest

from tasks.batch import COORDINATES, TIME, TYPE_FAULTS, Drop, Gate, RedactedBatch, ValidatedBatch
from tasks.contracts import load_contract
from tasks.ingest.limits import Limits
from tasks.ingest.read import read_batch
from tasks.redact import decrypt_raw, redact
from tasks.storage import open_store
from tests.support.redaction import FixedKeyring
from tests.support.shared import SHARED

LANDED_US = 1_772_000_000_000_000
PLACES = {
    "cloudtrail": ("cloudtrail/AWSLogs",),
    "gateway": ("gateway/nginx", "gateway/nginx-json", "gateway/apigw"),
    "app": ("app/svc-ndjson",),
}
# What must have been in the input for a clean output to mean something.
PLANTED = {
    "cloudtrail": {"aws_id", "email", "ip", "username"},
    "gateway": {"in-url", "ip", "username"},
    "app": {"card", "email", "ip", "jwt", "phone", "username"},
}


@pytest.fixture(scope="module", params=["leaks", "more leaks"])
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("generated")
    sizes = ["--cloudtrail-mb", "3", "--gateway-mb", "2", "--app-mb", "4"]
    command = [sys.executable, str(SHARED / "tools" / "loadgen.py"), str(out), *sizes]
    options = [
        "--personas",
        "120",
        "--pii",
        "0.2",
        "--bad",
        "0.02",
        "--workers",
        "1",
        "--seed",
        request.param,
    ]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def planted(tree: Path) -> dict[str, set[str]]:
    values = defaultdict(set)
    for line in (tree / "_truth" / "sensitive.jsonl").read_text().splitlines():
        entry = json.loads(line)
        values[entry["kind"]].add(entry["value"])
    return values


def accepted(source: str, tree: Path) -> ValidatedBatch:
    """Every record with a time is accepted, whatever the contract's rules say of it."""
    contract = load_contract(source)
    files = sorted(path for place in PLACES[source] for path in (tree / place).rglob("*") if path.is_file())
    drops = [
        Drop(source, str(path.relative_to(tree)), path.stat().st_size, "etag", None, LANDED_US)
        for path in files
    ]
    read = read_batch(open_store(tree.as_uri()), contract, drops, Limits())
    rows = read.frame.with_columns(pl.col(contract.time_field).alias(TIME)).drop(TYPE_FAULTS)
    timeless = rows.filter(pl.col(TIME).is_null()).select(
        *COORDINATES,
        pl.lit("quarantined").alias("disposition"),
        pl.lit(["time.required"], dtype=pl.List(pl.String)).alias("rules"),
    )
    aside = pl.concat([read.set_aside.select(timeless.columns), timeless])
    kept = rows.filter(pl.col(TIME).is_not_null())
    return ValidatedBatch(source, read.drops, kept, aside, Gate(success=True, result=b"{}"), {}, {})


def texts(frame: pl.DataFrame) -> dict[str, str]:
    """Everything that a frame holds, column by column."""
    strings = frame.select(pl.col(pl.String)).columns
    lists = frame.select(pl.col(pl.List(pl.String))).with_columns(pl.all().list.join("\n"))
    everything = frame.select(strings).hstack(lists)
    return {column.name: "\n".join(column.drop_nulls().unique()) for column in everything}


@pytest.mark.parametrize("source", sorted(PLACES))
def test_no_planted_value_is_left(source: str, tree: Path, planted: dict[str, set[str]]) -> None:
    keyring = FixedKeyring()
    batch = accepted(source, tree)
    raw = b"\n".join(drop.buffer for drop in batch.drops).decode("utf-8", "replace")
    kinds = {kind for kind, values in planted.items() if any(value in raw for value in values)}
    assert kinds >= PLANTED[source]

    result = redact(batch, load_contract(source), keyring)
    found = {
        (column, kind)
        for frame in (result.frame, result.set_aside)
        for column, text in texts(frame).items()
        for kind, values in planted.items()
        if any(value in text for value in values)
    }
    assert found == set()
    # No line was set aside by the second set of detectors: the first had left nothing, and nothing was mistaken.
    assert result.report["leaks"] == []
    assert_json_still_parses(source, result)
    assert_quarantine_comes_back(batch, result, keyring)


def assert_json_still_parses(source: str, result: RedactedBatch) -> None:
    columns = [
        field.name
        for field in load_contract(source).fields
        if field.type == "json" and field.treatment in {"scan", "keep"}
    ]
    for column in (*columns, "_extra"):
        for text in result.frame[column].drop_nulls().unique():
            json.loads(text)


def assert_quarantine_comes_back(batch: ValidatedBatch, result: RedactedBatch, keyring: FixedKeyring) -> None:
    places = batch.set_aside.filter(disposition="quarantined").select(*COORDINATES)
    sealed = result.set_aside.filter(disposition="quarantined")["raw"]
    for (drop, line, offset, length), raw in zip(places.iter_rows(), sealed, strict=True):
        read = batch.drops[drop]
        assert decrypt_raw(raw, read.sha256, line, keyring) == read.buffer[offset : offset + length]
