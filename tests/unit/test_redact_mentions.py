"""A person is found in raw bytes however they are spelled, and nobody else is taken for them."""

from __future__ import annotations

import gzip
import json
from urllib.parse import quote

import pytest

from tasks.redact.mentions import Mentions

WHO = ["Ada.Lovelace@Example.org", "ada17", "Zoë"]
NESTED = json.dumps({"m": json.dumps({"user": "ada.lovelace@example.org", "n": "Zoë"})})


@pytest.mark.parametrize(
    "line",
    [
        b'{"user":"ada.lovelace@example.org","broken',
        b"mail to ADA.LOVELACE@EXAMPLE.ORG.",
        b'{"user":"ada.lovelace\\u0040example.org"}',
        b'{"message":"line one\\nada17 did it"}',
        b"GET /u?q=%22ada.lovelace%40example.org%22&x=1",
        b"arn:aws:sts::1:assumed-role/dev/ada17",
        quote(quote("user=ada17&")).encode(),
        NESTED.encode(),
        json.dumps({"a": NESTED}).encode(),
        "Zoë".encode(),
        b'"Zoe\\u0308"',
        b"\xff\xfe broken ada17 bytes",
        gzip.compress(b"x\nuser=ada17\n"),
        gzip.compress(b"user=ada17 " + bytes(range(256)) * 2_000)[:-40],
    ],
    ids=range(14),
)
def test_a_mention_is_found(line: bytes) -> None:
    assert Mentions(WHO, 1 << 20).within(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nothing here",
        b"x-ada.lovelace@example.org",
        b"mary.ada.lovelace@example.org",
        b"ada.lovelace@example.org.uk",
        b"ada.lovelace@example.orgs",
        b"ada170, bada17, ada17_",
        b"adaXlovelace@example.org",
        b"\\" * 100,
        gzip.compress(b"nobody"),
        b"\x1f\x8b broken ada17",
    ],
    ids=range(11),
)
def test_nobody_else_is(line: bytes) -> None:
    assert not Mentions(WHO, 1 << 20).within(line)


def test_a_compressed_drop_is_read_up_to_a_limit() -> None:
    assert not Mentions(WHO, 1 << 10).within(gzip.compress(bytes(1 << 20) + b" ada17"))
