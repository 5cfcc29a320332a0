"""Real logs by other people, read whole: counts and values by an independent reader."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts.model import WireFormat
from tasks.ingest.combined import NAMES
from tests.support.ingest import contract, field, read, rules, slices
from tests.support.shared import REAL

CLOUDTRAIL = contract(
    ("cloudtrail",),
    *(
        field(name)
        for name in ("eventID", "eventName", "eventSource", "eventVersion", "sourceIPAddress", "userAgent")
    ),
    field("eventTime", "timestamp", time_formats=("rfc3339",)),
    field("readOnly", "boolean"),
    field("requestParameters", "json"),
    field("resources", "json"),
    field("actor", "string", ("userIdentity", "arn")),
    field("issuer", "string", ("userIdentity", "sessionContext", "sessionIssuer", "arn")),
    field(
        "mfa", "boolean", ("userIdentity", "sessionContext", "attributes", "mfaAuthenticated"), lenient=True
    ),
)
ACCESS = contract(
    ("ndjson", "combined"),
    *(field(name) for name in NAMES if name != "time_local"),
    field("time", "timestamp", ("time_local",), ("request_time_epoch",), time_formats=("clf", "epoch_ms")),
    field("status_code", "integer", lenient=True),
    field("path"),
)
FORMATS: tuple[tuple[WireFormat, ...], ...] = (
    ("cloudtrail",),
    ("ndjson", "combined"),
    ("ndjson",),
    ("combined",),
)


def files(folder: str, pattern: str = "*") -> list[bytes]:
    found = [path.read_bytes() for path in sorted((REAL / folder).rglob(pattern)) if path.is_file()]
    assert found, folder
    return found


def events(content: bytes) -> list[Any]:
    document = json.loads(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
    if isinstance(document, dict):
        document = document.get("Records", [document])
    return list(document)


@pytest.mark.parametrize(
    ("folder", "drops", "count"),
    [
        ("cloudtrail/invictus-ir__aws_dataset", 55, 2900),
        ("cloudtrail/DataDog__stratus-red-team", 18, 142),
        ("cloudtrail/umccr__cloudtrail-parquet-lambda", 21, 206),
    ],
)
def test_cloudtrail_drops(folder: str, drops: int, count: int) -> None:
    contents = [content for content in files(folder) if not content.startswith(b"Some real")]
    batch = read(CLOUDTRAIL, *contents)
    expected = [event for content in contents for event in events(content)]
    assert (len(contents), len(expected), batch.set_aside.height) == (drops, count, 0)
    assert [json.loads(text) for text in slices(batch, batch.frame)] == expected
    for row, event in zip(batch.frame.iter_rows(named=True), expected, strict=True):
        identity = event.get("userIdentity") or {}
        assert row["eventID"] == event.get("eventID")
        assert row["sourceIPAddress"] == event.get("sourceIPAddress")
        assert row["userAgent"] == event.get("userAgent")
        assert row["eventTime"] == datetime.fromisoformat(event["eventTime"])
        assert row["readOnly"] is event.get("readOnly")
        assert row["actor"] == identity.get("arn")
        session = identity.get("sessionContext") or {}
        assert row["issuer"] == session.get("sessionIssuer", {}).get("arn")
        assert json.loads(row["requestParameters"] or "null") == event.get("requestParameters")
        left = json.loads(row["_extra"] or "{}")
        assert left.keys() - {"userIdentity"} == event.keys() - set(batch.frame.columns) - {"userIdentity"}


def test_apache_log_of_ten_thousand_lines() -> None:
    content = (REAL / "gateway/elastic__examples/apache_logs").read_bytes()
    lines = content.splitlines()
    batch = read(ACCESS, content)
    broken = [i for i, line in enumerate(lines, 1) if not line.endswith(b'"')]
    assert (batch.drops[0].lines, rules(batch)) == (10_000, [(line, "combined.syntax") for line in broken])
    assert len(broken) == 1
    for row in batch.frame.iter_rows(named=True):
        line = lines[row["_line"] - 1].decode()
        host, rest = line.split(" ", 1)
        assert row["remote_addr"] == host
        assert row["request"] in rest
        found = re.search(r'" ([0-9]{3}) ([0-9]+|-) "', rest)
        assert found is not None
        assert (row["status"], row["body_bytes_sent"] or "-") == found.groups()
        clock = re.search(r"\[(.+?)\]", rest)
        assert clock is not None
        assert row["time"] == datetime.strptime(clock.group(1), "%d/%b/%Y:%H:%M:%S %z")


def test_api_gateway_log_plain_and_compressed() -> None:
    contents = files("gateway/aws-solutions__centralized-logging-with-opensearch", "apigateway1.*")
    batch = read(ACCESS, *contents)
    assert [drop.lines for drop in batch.drops] == [20, 20]
    assert batch.set_aside.height == 0
    for row, text in zip(batch.frame.iter_rows(named=True), slices(batch, batch.frame), strict=True):
        event = json.loads(text)
        assert row["status_code"] == int(event["status_code"])
        assert row["time"].timestamp() * 1000 == pytest.approx(int(event["request_time_epoch"]))
        assert json.loads(row["_extra"])["identity"] == event["identity"]


@pytest.mark.parametrize("formats", FORMATS)
@pytest.mark.parametrize("folder", ["app", "gateway/crowdsecurity__hub", "k8s_audit", "cloud_audit", "pii"])
def test_every_other_real_file_is_accounted_for(folder: str, formats: tuple[WireFormat, ...]) -> None:
    contents = files(folder)
    batch = read(contract(formats, field("message"), field("level"), field("status")), *contents)
    if formats != ("cloudtrail",):
        for drop in batch.drops:
            if drop.raw_sha256 == drop.sha256:
                assert drop.lines == len(drop.buffer.split(b"\n")) - (drop.buffer[-1:] in {b"", b"\n"})


def suite() -> Iterator[tuple[str, bytes]]:
    for path in sorted((REAL / "malformed").rglob("*.json")):
        yield path.name, path.read_bytes()


@pytest.mark.parametrize("formats", FORMATS)
def test_malformed_json_is_accounted_for(formats: tuple[WireFormat, ...]) -> None:
    named = dict(suite())
    assert len(named) > 300
    batch = read(contract(formats, field("a"), field("b", "json")), *named.values(), names=tuple(named))
    accepted = {batch.drops[i].drop.key for i in batch.frame["_drop"]}
    # An array that breaks off behind a whole record: a salvaged drop, and flagged as one.
    salvaged = {"n_array_unclosed_with_object_inside.json"} if formats == ("cloudtrail",) else set()
    assert {name for name in accepted if name.startswith("n_")} == salvaged
    assert all(drop.flags for drop in batch.drops if drop.drop.key in salvaged)
    if formats == ("ndjson",):
        objects = {
            name for name, text in named.items() if name.startswith("y_object") and b"\n" not in text.strip()
        }
        repeated = {name for name in objects if "duplicate" in name}
        assert objects - repeated <= accepted
        assert repeated.isdisjoint(accepted)


@pytest.mark.parametrize("formats", FORMATS)
def test_naughty_strings_are_accounted_for_and_kept(formats: tuple[WireFormat, ...]) -> None:
    path = next(Path(REAL / "pii").rglob("blns.json"))
    strings = json.loads(path.read_bytes())
    content = b"\n".join(json.dumps({"message": text, text: 1}).encode() for text in strings)
    batch = read(contract(formats, field("message")), content)
    if formats == ("combined",):
        return
    sound = {i for i, text in enumerate(strings, 1) if text != "message"}
    assert set(batch.frame["_line"]) == sound
    assert [strings[line - 1] for line in batch.frame["_line"]] == batch.frame["message"].to_list()
