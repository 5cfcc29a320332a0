"""One digest file: what is taken, what is refused and under which code; any bytes at all."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.custody import StoredDigest, read_keys
from tasks.custody.digest import MAX_DIGEST_BYTES, is_digest, place, read_digest
from tasks.custody.findings import CODES
from tasks.errors import VerificationError
from tests.support.digests import Trail, fingerprint, public_keys, stored_digests

KEYS = read_keys(public_keys("first"))


def signed(root: Path, **changes: Any) -> StoredDigest:
    trail = Trail(root)
    trail.digest(0, [trail.log(5)], **changes)
    (stored,) = stored_digests(root)
    return stored


def refused(stored: StoredDigest) -> str:
    with pytest.raises(VerificationError) as caught:
        read_digest(stored, KEYS)
    assert caught.value.next_step == CODES[caught.value.reason][2]
    return caught.value.reason


def test_what_aws_signed_is_read(tmp_path: Path) -> None:
    digest = read_digest(signed(tmp_path), KEYS)
    assert (digest.end - digest.start).total_seconds() == 3600
    assert len(digest.logs) == 1
    assert digest.previous is None


def test_a_copy_may_lie_below_another_prefix(tmp_path: Path) -> None:
    stored = signed(tmp_path)
    assert read_digest(replace(stored, key=f"copies/aws/{stored.key}"), KEYS).key == stored.key
    assert refused(replace(stored, key=stored.key.replace("/2026/", "/2025/"))) == "custody-digest-moved"
    assert place("AWSLogs/1/x.json") == place("a/AWSLogs/1/x.json")
    assert place("elsewhere/x.json") == "elsewhere/x.json"


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({}, "custody-signature-missing"),
        ({"signature-algorithm": "SHA256withRSA"}, "custody-signature-missing"),
        ({"signature": "", "signature-algorithm": "SHA256withRSA"}, "custody-signature-missing"),
        ({"signature": "00" * 256, "signature-algorithm": "SHA256withRSA"}, "custody-signature-bad"),
        ({"signature": "no hex", "signature-algorithm": "SHA256withRSA"}, "custody-signature-bad"),
        ({"signature": "00" * 256, "signature-algorithm": "none"}, "custody-signature-bad"),
    ],
)
def test_a_signature_must_be_there_and_fit(tmp_path: Path, metadata: dict[str, str], code: str) -> None:
    assert refused(replace(signed(tmp_path), metadata=metadata)) == code


@pytest.mark.parametrize(
    "changes",
    [
        {"digestStartTime": "yesterday"},
        {"digestEndTime": None},
        {"digestS3Object": "AWSLogs/no/name.json.gz"},
        {"digestS3Object": 5},
        {"logFiles": None},
        {"logFiles": [{"s3Object": "x", "hashValue": "ab", "hashAlgorithm": "SHA-256"}]},
        {"logFiles": [{"s3Object": "x", "hashValue": "ab" * 32, "hashAlgorithm": "MD5"}]},
        {"previousDigestS3Object": "x", "previousDigestS3Bucket": "b", "previousDigestSignature": "ab"},
    ],
)
def test_a_form_that_aws_does_not_give_is_refused_even_when_signed(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    stored = signed(tmp_path)
    document = json.loads(gzip.decompress(stored.data)) | changes
    assert refused(replace(stored, data=gzip.compress(json.dumps(document).encode()))) == "custody-digest-bad"


def test_a_backfill_digest_needs_the_time_when_it_was_made(tmp_path: Path) -> None:
    trail = Trail(tmp_path, backfill=True)
    trail.digest(0)
    (stored,) = stored_digests(tmp_path)
    assert read_digest(stored, KEYS).chain.backfill
    metadata = {name: stored.metadata[name] for name in ("signature", "signature-algorithm")}
    assert refused(replace(stored, metadata=metadata)) == "custody-digest-bad"


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress(b"0" * (MAX_DIGEST_BYTES + 1), 1)
    assert refused(replace(signed(tmp_path), data=bomb)) == "custody-digest-bad"


@pytest.mark.parametrize("damage", [b"x", gzip.compress(b"{}", mtime=0), None])
def test_a_digest_is_one_whole_gzip_stream(tmp_path: Path, damage: bytes | None) -> None:
    stored = signed(tmp_path)
    data = stored.data[:-1] if damage is None else stored.data + damage
    assert refused(replace(stored, data=data)) == "custody-digest-bad"


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    deep = gzip.compress(b"[" * 1_000_000)
    assert refused(replace(signed(tmp_path), data=deep)) == "custody-digest-bad"


@settings(deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_refused_with_a_code(data: bytes, packed: bool) -> None:
    assert refused(StoredDigest("x", gzip.compress(data) if packed else data, {})) == "custody-digest-bad"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.sampled_from(["digestS3Object", "digestS3Bucket", "digestEndTime", "digestPublicKeyFingerprint",
                        "logFiles", "previousDigestSignature", "previousDigestS3Object"]), json_values)  # fmt: skip
def test_any_value_of_a_field_is_refused_with_a_code(name: str, value: object) -> None:
    document = {
        "digestStartTime": "2026-11-01T00:00:00Z",
        "digestEndTime": "2026-11-01T01:00:00Z",
        "digestS3Bucket": "b",
        "digestS3Object": "AWSLogs/1/123456789012_CloudTrail-Digest_eu-west-1_t_eu-west-1_20261101T010000Z.json.gz",
        "digestPublicKeyFingerprint": fingerprint("first"),
        "previousDigestSignature": None,
        "logFiles": [],
        name: value,
    }
    metadata = {"signature": "00" * 256, "signature-algorithm": "SHA256withRSA"}
    key = "AWSLogs/1/123456789012_CloudTrail-Digest_eu-west-1_t_eu-west-1_20261101T010000Z.json.gz"
    assert refused(StoredDigest(key, gzip.compress(json.dumps(document).encode()), metadata)) in CODES


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"PublicKeyList":[{}]}',
        b'{"PublicKeyList":[{"Fingerprint":"a","Value":"AAAA"}]}',
        b'{"PublicKeyList":[{"Fingerprint":1,"Value":"AAAA"}]}',
        b'{"PublicKeyList":[{"Fingerprint":"a","Value":"no base64!"}]}',
        json.dumps(
            {
                "PublicKeyList": [
                    {
                        "Fingerprint": "a",
                        "Value": b64encode(
                            Ed25519PrivateKey.from_private_bytes(b"k" * 32)
                            .public_key()
                            .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                        ).decode(),
                    }
                ]
            }
        ).encode(),
        b"[" * 100_000,
        b" " * (5 << 20),
    ],
)
def test_what_is_no_rsa_key_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError) as caught:
        read_keys(data)
    assert caught.value.reason == "custody-key-bad"


@pytest.mark.parametrize("name", ["x.json.gz", "AWSLogs/1/CloudTrail-Digest/x.json.gz", "a.meta.json", ""])
def test_other_names_are_no_digests(name: str) -> None:
    assert not is_digest(name)
