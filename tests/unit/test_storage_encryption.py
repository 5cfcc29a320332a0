"""Which KMS key a path has, when it counts as held, and what is said when it is gone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tasks.errors import StoreRefusedError
from tasks.storage.capabilities import KNOWN_GAPS
from tasks.storage.encryption import KmsKeys
from tasks.storage.s3_failure import S3CallError

STORES = Path(__file__).parents[2] / "infra" / "docs" / "stores.md"
ARN = "arn:aws:kms:eu-west-1:111122223333:key/1234"


def test_the_longest_beginning_of_a_path_decides_its_key() -> None:
    keys = KmsKeys({"": "records", "log/": "proofs"})
    assert keys.request("log/2026/seq/0")["SSEKMSKeyId"] == "proofs"
    assert keys.request("logs")["SSEKMSKeyId"] == "records"
    assert KmsKeys({"log/": "proofs"}).request("data/a") == {}


@pytest.mark.parametrize(
    ("asked", "answer", "held"),
    [
        ("1234", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "1234"}, True),
        ("1234", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": ARN}, True),
        (ARN, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": ARN}, True),
        ("234", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": ARN}, False),
        ("1234", {"ServerSideEncryption": "AES256"}, False),
        ("1234", {"ServerSideEncryption": "AES256", "SSEKMSKeyId": "1234"}, False),
        ("1234", {"ServerSideEncryption": "aws:kms"}, False),
        ("1234", {}, False),
    ],
)
def test_a_key_is_held_when_the_server_reports_it(asked: str, answer: dict[str, str], held: bool) -> None:
    assert KmsKeys({"": asked}).hold("a", answer) is held
    assert KmsKeys({}).hold("a", answer)


@pytest.mark.parametrize("code", ["KMS.NotFoundException", "KMS.DisabledException"])
def test_a_key_that_the_service_does_not_give_is_named_as_the_reason(code: str) -> None:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    error = S3CallError.of(ClientError(answer, "GetObject")).as_error("read a of s3://b")
    assert isinstance(error, StoreRefusedError)
    assert code in str(error)
    assert "KMS key" in error.next_step


def test_the_documented_gaps_are_the_declared_ones() -> None:
    rows = re.findall(r"^\| ([^|]+) \| `([a-z-]+)` \| (.+) \|$", STORES.read_text(), re.MULTILINE)
    assert rows == [(server, gap.code, gap.answer) for server, gaps in KNOWN_GAPS.items() for gap in gaps]
