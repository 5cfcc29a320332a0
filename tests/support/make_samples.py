"""Write the synthetic sample drops of every source, and what must become of each of their lines.

Nothing here is real: addresses are RFC 5737 and 2001:db8::/32, domains are reserved, account and key ids are
those of the AWS documentation. Each line is written together with its intended disposition, so that
`expected.json` states an intention and not an observation. Run `python -m tests.support.make_samples` to
write the files again; a test holds them equal to this script.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parents[2] / "data_contracts" / "sources"
DISPOSITIONS = ("accepted", "quarantined", "duplicate", "blank")
ACCOUNT = "123456789012"
PEOPLE = ("alice", "bob", "carol", "dmitri", "erin", "farah")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzYW1wbGUifQ.c2FtcGxlLXNpZ25hdHVyZS1vZi1ub3RoaW5n"
START = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)


@dataclass
class Sample:
    """One drop: its key, its bytes, and how many of its lines end how."""

    key: str
    lines: list[bytes] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DISPOSITIONS, 0))
    data: bytes = b""

    def add(self, line: bytes | dict[str, Any], disposition: str = "accepted") -> None:
        self.lines.append(line if isinstance(line, bytes) else compact(line))
        self.counts[disposition] += 1

    def expected(self) -> dict[str, int]:
        return {**self.counts, "lines": sum(self.counts.values())}


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def stored_gzip(data: bytes) -> bytes:
    """A gzip member without compression: the same bytes from every zlib, and easy to cut at a known place."""
    assert len(data) < 1 << 16
    size = len(data).to_bytes(2, "little")
    block = b"\x01" + size + bytes(byte ^ 0xFF for byte in size) + data
    trailer = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + block + trailer


STORED_GZIP_HEADER = 15


def uuid(*seed: object) -> str:
    digits = hashlib.blake2b(repr(seed).encode(), digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def address(index: int) -> str:
    if index % 7 == 3:
        return f"2001:db8:{index:x}::{index % 9 + 1:x}"
    return f"{('192.0.2', '198.51.100', '203.0.113')[index % 3]}.{index % 200 + 10}"


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes, seconds=minutes * 7 % 60)


# CloudTrail

CALLS: tuple[tuple[str, str, bool, dict[str, Any] | None], ...] = (
    ("s3.amazonaws.com", "GetObject", True, {"bucketName": "reports-example", "key": "2026/q3.csv"}),
    ("ec2.amazonaws.com", "DescribeInstances", True, {"maxResults": 50}),
    ("iam.amazonaws.com", "CreateUser", False, {"userName": "farah@example.com"}),
    ("kms.amazonaws.com", "Decrypt", True, None),
    ("sts.amazonaws.com", "AssumeRole", False, {"roleSessionName": "bob@example.com"}),
    (
        "logs.amazonaws.com",
        "PutRetentionPolicy",
        False,
        {"logGroupName": "/app/orders"},
    ),
)


def identity(index: int) -> dict[str, Any]:
    person = PEOPLE[index % len(PEOPLE)]
    if index % 5 == 1:
        return {"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"}
    if index % 5 == 2:
        return {
            "type": "AssumedRole",
            "principalId": f"AROAEXAMPLEROLEID0000:{person}@example.com",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Operators/{person}@example.com",
            "accountId": ACCOUNT,
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionContext": {"attributes": {"mfaAuthenticated": "true"}},
        }
    return {
        "type": "IAMUser",
        "principalId": f"AIDAEXAMPLEUSERID{index % len(PEOPLE):04d}",
        "arn": f"arn:aws:iam::{ACCOUNT}:user/{person}",
        "accountId": ACCOUNT,
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "userName": person,
    }


def event(index: int, minutes: int) -> dict[str, Any]:
    source, name, read_only, parameters = CALLS[index % len(CALLS)]
    record: dict[str, Any] = {
        "eventVersion": "1.09",
        "userIdentity": identity(index),
        "eventTime": at(minutes).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": source,
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "autoscaling.amazonaws.com" if index % 5 == 1 else address(index),
        "userAgent": "aws-cli/2.31.0 md/Botocore#1.40.0",
        "requestParameters": parameters,
        "responseElements": None,
        "requestID": uuid("request", index),
        "eventID": uuid("event", index),
        "readOnly": read_only,
        "eventType": "AwsApiCall",
        "managementEvent": name != "GetObject",
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Data" if name == "GetObject" else "Management",
    }
    if name == "AssumeRole":
        record["responseElements"] = {
            "credentials": {
                "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
                "sessionToken": "AQoDYXdzEJr" + "SampleSessionToken" * 4 + "==",
                "expiration": "Nov 1, 2026, 10:00:00 AM",
            },
            "assumedRoleUser": {"arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Operators/bob@example.com"},
        }
    if name == "GetObject":
        record["resources"] = [{"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::reports-example/2026/q3.csv"}]
    if index % 11 == 10:
        record["errorCode"] = "AccessDenied"
        record["errorMessage"] = f"User: arn:aws:iam::{ACCOUNT}:user/erin is not authorized"
    return record


def cloudtrail_key(stamp: str, suffix: str) -> str:
    day = f"{stamp[:4]}/{stamp[4:6]}/{stamp[6:8]}"
    folder = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/{day}"
    return f"{folder}/{ACCOUNT}_CloudTrail_us-east-1_{stamp}Z_{suffix}.json.gz"


def records(sample: Sample) -> bytes:
    return b'{"Records":[' + b",".join(sample.lines) + b"]}"


def cloudtrail() -> Iterator[Sample]:
    morning = Sample(cloudtrail_key("20261101T0905", "AAAAAAAAAAAAAAAA"))
    for index in range(20):
        morning.add(event(index, index * 3))
    morning.data = stored_gzip(records(morning))
    yield morning

    redelivered = Sample(cloudtrail_key("20261101T0905", "ZZZZZZZZZZZZZZZZ"))
    for line in morning.lines:
        redelivered.add(line, "duplicate")
    redelivered.data = morning.data
    yield redelivered

    evening = Sample(cloudtrail_key("20261101T1710", "BBBBBBBBBBBBBBBB"))
    for index in range(20, 35):
        evening.add(event(index, 480 + index))
    evening.add(evening.lines[0], "duplicate")
    evening.data = stored_gzip(records(evening))
    yield evening

    empty = Sample(cloudtrail_key("20261101T2200", "CCCCCCCCCCCCCCCC"))
    empty.data = stored_gzip(records(empty))
    yield empty

    broken = Sample(cloudtrail_key("20261102T0830", "DDDDDDDDDDDDDDDD"))
    for index in range(35, 47):
        broken.add(event(index, 1440 + index))
    broken.add(
        {**event(47, 1490), "readOnly": "perhaps", "eventTime": True, "sourceIPAddress": []}, "quarantined"
    )
    sourceless = event(48, 1491)
    del sourceless["eventSource"]
    broken.add(sourceless, "quarantined")
    broken.data = stored_gzip(records(broken))
    yield broken

    cut = Sample(cloudtrail_key("20261102T0935", "EEEEEEEEEEEEEEEE"))
    for index in range(49, 57):
        cut.add(event(index, 1500 + index))
    whole = len(records(cut)) - len(b"]}")
    cut.add(event(57, 1560), "quarantined")
    cut.data = stored_gzip(records(cut))[: STORED_GZIP_HEADER + whole + 200]
    yield cut


# Gateway

PATHS = ("/orders", "/orders/4711", "/login", "/health", "/reports?month=2026-10", "/search?q=blue+chairs")
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
LEAKY = (f"/reset?email=carol%40example.com&token={JWT}", "/invite?email=dmitri@example.org")


def clf(moment: datetime) -> str:
    return moment.strftime("%d/%b/%Y:%H:%M:%S +0000")


def apigateway(index: int, path: str) -> dict[str, Any]:
    return {
        "requestId": uuid("apigw", index),
        "ip": address(index),
        "caller": "-",
        "user": PEOPLE[index % len(PEOPLE)] if index % 4 == 0 else "-",
        "requestTime": clf(at(index * 5)),
        "httpMethod": ("GET", "POST")[index % 2],
        "resourcePath": path,
        "status": str((200, 201, 200, 403, 200, 502)[index % 6]),
        "protocol": "HTTP/1.1",
        "responseLength": str(index * 37),
    }


def apigateway_full(index: int) -> dict[str, Any]:
    return {
        "account_id": ACCOUNT,
        "api_id": "a1b2c3d4e5",
        "request_id": uuid("apigw-full", index),
        "request_time_epoch": str(int(at(index * 5).timestamp() * 1000)),
        "client_ip": address(index),
        "user": "-",
        "user_arn": "-",
        "http_method": "GET",
        "path": "/prod/orders",
        "protocol": "HTTP/1.1",
        "status_code": "200",
        "response_length": "512",
        "response_latency": "8",
        "integration_latency": "-",
        "stage": "prod",
        "waf_response_code": "WAF_ALLOW",
        "identity": {"caller": "-", "account_id": "-"},
    }


def nginx_json(index: int) -> dict[str, Any]:
    path = LEAKY[0] if index == 5 else PATHS[index % len(PATHS)]
    return {
        "time_iso8601": at(600 + index * 4).isoformat(),
        "remote_addr": address(index + 3),
        "remote_user": PEOPLE[index % len(PEOPLE)] if index % 5 == 0 else "",
        "request": f"GET {path} HTTP/2.0",
        "status": (200, 304, 404)[index % 3],
        "body_bytes_sent": index * 101,
        "http_referer": "https://www.example.com/",
        "http_user_agent": AGENT,
        "request_id": uuid("nginx", index).replace("-", ""),
        "request_time": index / 1000,
    }


def combined(index: int, request: str, status: int = 200) -> bytes:
    user = PEOPLE[index % len(PEOPLE)] if index % 6 == 0 else "-"
    time = clf(at(1440 + index * 6))
    return f'{address(index)} - {user} [{time}] "{request}" {status} {index * 53} "-" "{AGENT}"'.encode()


def gateway() -> Iterator[Sample]:
    api = Sample("apigateway/2026/11/01/access.ndjson")
    for index in range(14):
        api.add(apigateway(index, LEAKY[index % 2] if index in {6, 7} else PATHS[index % len(PATHS)]))
    for index in range(14, 18):
        api.add(apigateway_full(index))
    api.add(api.lines[3], "duplicate")
    api.add(b"", "blank")
    api.add(compact(apigateway(18, "/orders"))[:90], "quarantined")
    api.add(compact(apigateway(19, "/orders"))[:-1] + b',"status":"200"}', "quarantined")
    api.add(compact(apigateway(20, "/orders"))[:-1] + b',"latency":NaN}', "quarantined")
    api.data = b"\n".join(api.lines) + b"\n"
    yield api

    nginx = Sample("nginx/web1/access.json.gz")
    for index in range(15):
        nginx.add(nginx_json(index))
    nginx.add(b"", "blank")
    nginx.add(b"   ", "blank")
    nginx.add(compact(nginx_json(15)).replace(b"Mozilla", b"Mozi\xff\xfela"), "quarantined")
    nginx.data = stored_gzip(b"\n".join(nginx.lines) + b"\n")
    yield nginx

    classic = Sample("nginx/web2/access.log")
    for index in range(12):
        classic.add(combined(index, f"GET {PATHS[index % len(PATHS)]} HTTP/1.1"))
    classic.add(combined(12, f"GET {LEAKY[0]} HTTP/1.1", 302))
    classic.add(combined(13, r"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03", 400))
    classic.add(b"", "blank")
    classic.add(b"upstream timed out while reading response header", "quarantined")
    classic.data = b"\n".join(classic.lines) + b"\n"
    yield classic


# Applications

PEM = "\n".join(
    ("-----BEGIN PRIVATE KEY-----", "U2FtcGxlIGtleSBvZiBub3RoaW5nIGF0IGFsbA==", "-----END PRIVATE KEY-----")
)
MESSAGES = (
    "order 4711 accepted",
    "login failed for user alice@example.com from 192.0.2.77",
    f"upstream refused Authorization: Bearer {JWT}",
    "card 4111 1111 1111 1111 declined",
    f"loaded signing key {PEM}",
    "password reset mail sent to bob@example.org",
)


def ecs(index: int) -> dict[str, Any]:
    return {
        "@timestamp": at(index * 9).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "log.level": ("info", "warn", "error")[index % 3],
        "message": MESSAGES[index % len(MESSAGES)],
        "ecs.version": "1.6.0",
        "service.name": "orders",
        "trace.id": uuid("trace", index).replace("-", ""),
        "user.name": PEOPLE[index % len(PEOPLE)],
        "client.ip": address(index),
    }


def zap(index: int) -> dict[str, Any]:
    return {
        "level": "info",
        "ts": int(at(700 + index * 11).timestamp()) + 0.25,
        "logger": "payments.worker",
        "msg": MESSAGES[(index + 3) % len(MESSAGES)],
        "attempt": index % 3,
    }


def pino(index: int) -> dict[str, Any]:
    return {
        "level": "info",
        "time": int(at(1500 + index * 13).timestamp() * 1000),
        "pid": 17,
        "hostname": "worker-1.example.net",
        "msg": MESSAGES[(index + 1) % len(MESSAGES)],
    }


def app() -> Iterator[Sample]:
    orders = Sample("orders/2026-11-01.ndjson")
    for index in range(12):
        orders.add(ecs(index))
    orders.add(b"", "blank")
    orders.add(compact(ecs(12))[:60], "quarantined")
    orders.data = b"\n".join(orders.lines) + b"\n"
    yield orders

    payments = Sample("payments/2026-11-01.jsonl.gz")
    for index in range(14):
        payments.add(zap(index))
    payments.add(b'["level","info"]', "quarantined")
    timeless = zap(14)
    del timeless["ts"]
    payments.add(timeless, "quarantined")
    payments.data = stored_gzip(b"\n".join(payments.lines))
    yield payments

    worker = Sample("worker/2026-11-02.ndjson")
    for index in range(10):
        worker.add(pino(index))
    worker.add(b"panic: runtime error: index out of range", "quarantined")
    worker.data = b"\r\n".join(worker.lines) + b"\r\n"
    yield worker


MAKERS = {"app": app, "cloudtrail": cloudtrail, "gateway": gateway}


def make() -> dict[Path, bytes]:
    """Every sample file by its place, `expected.json` included."""
    files: dict[Path, bytes] = {}
    for source, maker in MAKERS.items():
        folder = SOURCES / source / "samples"
        samples = sorted(maker(), key=lambda sample: sample.key)
        expected = {sample.key: sample.expected() for sample in samples}
        sums = {name: sum(counts[name] for counts in expected.values()) for name in (*DISPOSITIONS, "lines")}
        text = json.dumps({"drops": expected, "sums": sums}, indent=2, sort_keys=True) + "\n"
        files[folder / "expected.json"] = text.encode()
        files |= {folder / "drops" / sample.key: sample.data for sample in samples}
    return files


if __name__ == "__main__":
    for place, data in make().items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
