"""The shipped contracts on real logs: nothing good is set aside, and access events say what peers say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tasks.batch import Drop, ReadBatch
from tasks.contracts import Contract, load_contract
from tasks.ingest.limits import Limits
from tasks.ingest.read import read_batch
from tasks.storage import open_store
from tasks.validate.rows import judge
from tests.support.shared import REAL

APACHE_LINES = 10_000
APACHE_CUT_LINE = 8_899  # the one line of that log that ends inside its user agent


def read(source: str, folder: Path, keys: list[str]) -> tuple[Contract, ReadBatch]:
    contract = load_contract(source)
    drops = [Drop(source, key, (folder / key).stat().st_size, "etag", None, 0) for key in sorted(keys)]
    return contract, read_batch(open_store(folder.as_uri()), contract, drops, Limits())


def failing(contract: Contract, batch: ReadBatch) -> Mapping[str, int]:
    verdict = judge(batch.frame, contract.rules)
    errors = {rule.id for rule in contract.rules if rule.severity != "error"}
    return {name: rows for name, rows in verdict.violations.items() if name not in errors}


def test_every_real_cloudtrail_event_is_good() -> None:
    folder = REAL / "cloudtrail" / "invictus-ir__aws_dataset"
    contract, batch = read("cloudtrail", folder, [path.name for path in folder.iterdir()])
    assert batch.frame.height == 2_900
    assert batch.set_aside.is_empty()
    assert failing(contract, batch) == {}
    assert batch.frame["_extra"].null_count() == 2_900


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("1_0", {}),
        ("1_01", {}),
        ("1_02", {}),
        ("1_03", {}),
        ("bad1_01", {"has_a_kind_since_1_02": 1}),
    ],
)
def test_an_event_has_what_aws_wrote_in_its_version(name: str, broken: dict[str, int]) -> None:
    """Ids came with event version 1.01, kinds and accounts with 1.02; one example says 1.02 and is older."""
    folder = REAL / "cloudtrail" / "umccr__cloudtrail-parquet-lambda" / "examples"
    contract, batch = read("cloudtrail", folder, [f"{name}.json"])
    assert batch.frame.height == 1
    assert failing(contract, batch) == broken


def test_every_whole_line_of_the_real_apache_log_is_good() -> None:
    contract, batch = read("gateway", REAL / "gateway" / "elastic__examples", ["apache_logs"])
    assert batch.frame.height == APACHE_LINES - 1
    assert batch.set_aside["_line"].to_list() == [APACHE_CUT_LINE]
    assert failing(contract, batch) == {}
    assert batch.frame.select("client_ip", "method", "path", "status").null_count().row(0) == (0, 0, 0, 0)


def test_every_real_api_gateway_line_is_good() -> None:
    folder = REAL / "gateway" / "aws-solutions__centralized-logging-with-opensearch"
    contract, batch = read("gateway", folder, ["apigateway1.log"])
    assert batch.frame.height == 20
    assert failing(contract, batch) == {}
    frame = batch.frame
    assert frame.select("client_ip", "method", "path", "status", "request_id").null_count().row(0) == (0,) * 5
    assert frame["user"].null_count() == 20


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("tstack__lnav/logfile_ecs_log.json", 5),
        ("tstack__lnav/logfile_pino.0", 1),
        ("tstack__lnav/logfile_rust_tracing.0", 5),
        ("tstack__lnav/logfile_caddy_log.1", 4),
        ("pamburus__hl/sample/prometheus.log", 33),
    ],
)
def test_the_dialects_of_application_logs_land_in_the_same_columns(name: str, lines: int) -> None:
    contract, batch = read("app", REAL / "app", [name])
    assert batch.frame.height == lines
    assert failing(contract, batch) == {}
    assert batch.frame.select("time", "level").null_count().row(0) == (0, 0)
    assert batch.frame["message"].null_count() < lines


def events(contract: Contract, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The source's part of `access_events`, as the catalog will compute it."""
    columns = ", ".join(f"{sql} AS {name}" for name, sql in contract.access_events.items())
    with duckdb.connect(":memory:") as connection:
        connection.register("batch", frame.drop("_type_faults").to_arrow())
        result = connection.execute(f"SELECT {columns} FROM batch")
        names = [item[0] for item in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def oracle(peer_format: str) -> list[tuple[str, dict[str, str]]]:
    lines = (REAL / "oracle" / "oracle.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [(row["raw"], row["expected"]) for row in found if row["format"] == peer_format]


def as_drop(source: str, folder: Path, data: bytes) -> tuple[Contract, ReadBatch]:
    (folder / "drop").write_bytes(data)
    return read(source, folder, ["drop"])


def test_cloudtrail_events_agree_with_a_peer(tmp_path: Path) -> None:
    cases = oracle("aws-cloudtrail")
    assert len(cases) == 2
    document = b'{"Records":[' + ",".join(raw for raw, _ in cases).encode() + b"]}"
    contract, batch = as_drop("cloudtrail", tmp_path, document)
    for (_, expected), event in zip(cases, events(contract, batch.frame), strict=True):
        assert event["action"] == expected["action"]
        assert event["source_address"] == expected["src_ip"]


@pytest.mark.parametrize(("peer_format", "comparable"), [("apache2-logs", 5), ("nginx_http-logs", 4)])
def test_gateway_events_agree_with_a_peer(peer_format: str, comparable: int, tmp_path: Path) -> None:
    """On the combined format itself; the peer also takes a virtual host before it, and error logs."""
    cases = [(raw, expected) for raw, expected in oracle(peer_format) if re.match(r"[0-9.]+ - \S+ \[", raw)]
    contract, batch = as_drop("gateway", tmp_path, "\n".join(raw for raw, _ in cases).encode())
    found = dict(zip(batch.frame["_line"], events(contract, batch.frame), strict=True))
    assert len(found) == comparable
    for line, event in found.items():
        expected = cases[line - 1][1]
        assert event["source_address"] == expected["src_ip"]
        assert event["action"] == expected.get("method", event["action"])
        assert event["resource"] == expected.get("path", event["resource"])
        assert event["actor"] == expected.get("actor", event["actor"])
        if "status" in expected:
            assert event["outcome"] == ("success" if int(expected["status"]) < 400 else "failure")


def test_a_virtual_host_is_never_taken_for_the_client(tmp_path: Path) -> None:
    raw = [raw for raw, _ in oracle("nginx_http-logs") if raw.startswith("www.")]
    contract, batch = as_drop("gateway", tmp_path, "\n".join(raw).encode())
    assert judge(batch.frame, contract.rules).failed.all()


def test_outcomes_of_real_cloudtrail_events_follow_their_error_codes() -> None:
    folder = REAL / "cloudtrail" / "invictus-ir__aws_dataset"
    contract, batch = read("cloudtrail", folder, [path.name for path in folder.iterdir()])
    outcomes = [event["outcome"] for event in events(contract, batch.frame)]
    assert outcomes.count("failure") == 300
    assert outcomes.count("success") == 2_600
    assert all(event["actor"] and event["resource"] for event in events(contract, batch.frame))
