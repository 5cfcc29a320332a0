"""Drops that nobody would send on purpose, or somebody would: real collections of them, and our own."""

from __future__ import annotations

import gzip
import json
import random
from functools import cache
from typing import Any

from tests.support.shared import REAL

TIME = "2026-11-03T10:00:00Z"
_EVENT = {
    "eventVersion": "1.11",
    "eventTime": TIME,
    "eventSource": "s3.amazonaws.com",
    "eventName": "GetObject",
    "eventType": "AwsApiCall",
    "awsRegion": "eu-west-1",
    "recipientAccountId": "111122223333",
    "userIdentity": {"type": "AWSAccount", "accountId": "111122223333"},
}


def naughty_strings() -> list[str]:
    """The big list of naughty strings."""
    path = REAL / "pii" / "minimaxir__big-list-of-naughty-strings" / "blns.json"
    found: list[str] = json.loads(path.read_bytes())
    return found


def event(number: int, **fields: Any) -> dict[str, Any]:
    """A sound CloudTrail event."""
    return {**_EVENT, "eventID": f"00000000-0000-4000-8000-{number:012}", **fields}


def line(**fields: Any) -> bytes:
    """A sound line of an application or a gateway."""
    return json.dumps({"time": TIME, "method": "GET", "status": 200, **fields}).encode()


@cache
def hostile_drops() -> dict[str, bytes]:
    """Name -> stored bytes. Every name is one that all sources take up."""
    return {**_suite(), **_naughty(), **_documents(), **_texts(), **_packed(), **_names()}


def _suite() -> dict[str, bytes]:
    files = sorted((REAL / "malformed").rglob("*.json"))
    return {f"suite/{path.parent.name}/{path.name}": path.read_bytes() for path in files}


def _naughty() -> dict[str, bytes]:
    strings = naughty_strings()
    folder = REAL / "pii" / "minimaxir__big-list-of-naughty-strings"
    events = [
        event(i, userAgent=text, requestParameters={text: text}, **{f"x{text}": text})
        for i, text in enumerate(strings)
    ]
    return {
        "naughty/list.json": (folder / "blns.json").read_bytes(),
        "naughty/list-text.json": (folder / "blns.txt").read_bytes(),
        "naughty/events.json": json.dumps({"Records": events}).encode(),
        "naughty/fields.json": b"\n".join(line(message=s, path=s, user=s, **{f"x{s}": s}) for s in strings),
        "naughty/raw.json": "\n".join(f'{{"time":"{TIME}","message":"{s}"}}' for s in strings).encode(),
    }


def _documents() -> dict[str, bytes]:
    sound = json.dumps(event(9001)).encode()
    return {
        f"documents/{name}.json": content
        for name, content in {
            "absent": b'{"records": []}',
            "not-a-list": b'{"Records": {}}',
            "null": b'{"Records": null}',
            "none": b'{"Records": []}',
            "twice": b'{"Records": [%s], "Records": [%s]}' % (sound, sound),
            "mixed": b'{"Records": [%s, 1, null, "x", [], {}, %s]}' % (sound, sound),
            "torn": b'{"Records": [%s, %s' % (sound, sound[:-40]),
            "followed": b'{"Records": [%s]} and more' % sound,
            "beside": b'{"Records": [%s], "more": {"a": 1}}' % sound,
            "duplicate-key": b'{"Records": [{"eventID": "1", "eventID": "2"}]}',
        }.items()
    }


def _texts() -> dict[str, bytes]:
    deep = 100_000
    times: list[Any] = ["0000-00-00T00:00:00Z", "9999-12-31T23:59:60Z", "-1", 1e300, True, None, "", [], {}]
    return {
        f"texts/{name}.json": content
        for name, content in {
            "bom": b"\xef\xbb\xbf" + line(message="bom"),
            "bom-only": b"\xef\xbb\xbf",
            "crlf": line(message="a") + b"\r\n" + line(message="b") + b"\r\n",
            "cr-only": line(message="a") + b"\r" + line(message="b"),
            "deep-arrays": b"[" * deep + b"]" * deep,
            "deep-objects": b'{"a":' * deep + b"1" + b"}" * deep,
            "deep-field": line(message="deep")[:-1] + b',"x":' + b"[" * deep + b"]" * deep + b"}",
            "duplicate-key": b'{"time":"%s","message":"a","message":"b"}' % TIME.encode(),
            "empty": b"",
            "huge-number": line(message="n")[:-1] + b',"status_code":1e999,"bytes":' + b"9" * 5000 + b"}",
            "latin-1": line(message="x") + b"\n" + '{"message":"äöü"}'.encode("latin-1"),
            "long-line": line(message="a" * 10_000_000, path="/a"),
            "longer-line": line(message="a" * 17_000_000),
            "newlines": b"\n" * 1000,
            "nul": line(message="x") + b"\n\x00\x00\x00\n" + b'{"time":"\x00"}\n' + line(message="y\x00"),
            "random": random.Random(7).randbytes(65_536),
            "surrogate": b'{"time":"%s","message":"\\ud800"}' % TIME.encode(),
            "times": b"\n".join(json.dumps({"time": time, "message": "t"}).encode() for time in times),
            "utf-16-be": "\ufeff{}\n".encode("utf-16-be"),
            "utf-16-le": "\ufeff{}\n".encode("utf-16-le"),
            "wrong-types": line(message=[], user={}, method=1, status="ok", host=None, logger=[{"a": 1}]),
        }.items()
    }


def _packed() -> dict[str, bytes]:
    good = gzip.compress(b"\n".join(line(message=f"m{i}") for i in range(2000)), mtime=0)
    flipped = bytearray(good)
    flipped[len(flipped) // 2] ^= 0xFF
    checksum = bytearray(good)
    checksum[-6] ^= 1
    return {
        f"packed/{name}.json.gz": content
        for name, content in {
            "bomb": gzip.compress(bytes(120 << 20), compresslevel=1, mtime=0),
            "checksum": bytes(checksum),
            "empty": b"",
            "empty-member": gzip.compress(b"", mtime=0),
            "flipped": bytes(flipped),
            "header-only": good[:10],
            "magic-only": good[:2],
            "plain": line(message="plain"),
            "trailing": good + b"junk",
            "truncated": good[: len(good) // 2],
            "twice": gzip.compress(good, mtime=0),
            "two-members": good + good,
        }.items()
    }


def _names() -> dict[str, bytes]:
    names = (
        "with space",
        "per%20cent",
        "quo'te\"s",
        "brack[et]s",
        "ünï-文",
        ".hidden",
        "semi;colon=1",
        "-dash",
    )
    return {f"names/{name}.json": line(message=f"name {i}") for i, name in enumerate(names)}
