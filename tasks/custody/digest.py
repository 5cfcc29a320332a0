"""One CloudTrail digest file: its form, its name, its signature.

Form and signature: AWS CloudTrail User Guide, "CloudTrail digest file structure" and "Custom implementations
of CloudTrail log file integrity validation". A digest is believed only after its signature: RSA PKCS#1 v1.5
with SHA-256 over end time, place, SHA-256 of the decompressed bytes and the previous digest's signature.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from tasks.custody.findings import (
    DIGEST_BAD,
    DIGEST_MOVED,
    KEY_UNKNOWN,
    SIGNATURE_BAD,
    SIGNATURE_MISSING,
    refusal,
)
from tasks.custody.keys import Keys

MAX_DIGEST_BYTES = 64 << 20  # decompressed: some 150,000 log files in one hour
ALGORITHM = "SHA256withRSA"
_GZIP = 31
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_HEX = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(
    r"(?:^|/)(?P<account>\d{12})_CloudTrail-Digest_(?P<region>[a-z0-9-]+)_(?P<trail>[^/]+)_(?P<home>[a-z0-9-]+)"
    r"_(?P<time>\d{8}T\d{6}Z)(?P<backfill>_backfill)?\.json\.gz\Z"
)


@dataclass(frozen=True, slots=True)
class StoredDigest:
    """A digest file as it was found.

    Attributes:
        key: where it lies.
        data: its bytes, gzip.
        metadata: `signature` (hex), `signature-algorithm` and, for a backfill digest,
            `backfill-generation-timestamp`: the object's user metadata.
    """

    key: str
    data: bytes
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LogFile:
    """What a digest says of one log file: SHA-256, in hex, of its decompressed bytes."""

    key: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Previous:
    """What a digest says of the one before it."""

    key: str
    sha256: str
    signature: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Digests that follow each other: of one trail in one account and region, delivered in one way."""

    account: str
    region: str
    trail: str
    backfill: bool


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest whose signature holds.

    Attributes:
        key: its name, as it says itself.
        chain: whose next link it is.
        start: begin of the time that it is about.
        end: end of it; log files delivered from `start` up to `end` are in `logs`.
        sha256: of its decompressed bytes.
        signature: hex.
        previous: the link before, or None where the chain begins.
        logs: the log files.
    """

    key: str
    chain: Chain
    start: datetime
    end: datetime
    sha256: str
    signature: str
    previous: Previous | None
    logs: tuple[LogFile, ...]


def is_digest(key: str) -> bool:
    """Whether a key has the name of a digest file."""
    return _NAME.search(key) is not None


def named_time(key: str) -> datetime | None:
    """The end time in a digest's name."""
    match = _NAME.search(key)
    try:
        return None if match is None else _parsed(match["time"], "%Y%m%dT%H%M%SZ")
    except ValueError:
        return None


def place(key: str) -> str:
    """A key without what lies before `AWSLogs/`: a copy may lie below another prefix than AWS's."""
    start = key.find("AWSLogs/")
    return key[max(start, 0) :]


def read_digest(stored: StoredDigest, keys: Keys) -> Digest:
    """The digest, if AWS signed it.

    Raises:
        VerificationError: with the `custody-` code of what is wrong; never anything else.
    """
    raw = _inflated(stored.data)
    try:
        document = json.loads(raw)
        digest = _parse(document, hashlib.sha256(raw).hexdigest(), stored)
        signed = _signed(document, digest)
        fingerprint = document["digestPublicKeyFingerprint"]
        algorithm = document.get("digestSignatureAlgorithm", ALGORITHM)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise refusal(DIGEST_BAD, "its content is not the JSON of a digest file") from error
    if place(digest.key) != place(stored.key):
        raise refusal(DIGEST_MOVED, "it says that it lies somewhere else")
    _check_metadata(stored, digest, algorithm)
    key = keys.get(fingerprint) if isinstance(fingerprint, str) else None
    if key is None:
        raise refusal(KEY_UNKNOWN, "the key that it names is not among those given")
    try:
        key.verify(bytes.fromhex(digest.signature), signed, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError) as error:
        raise refusal(SIGNATURE_BAD, "its signature does not fit it") from error
    return digest


def _check_metadata(stored: StoredDigest, digest: Digest, algorithm: object) -> None:
    named = stored.metadata.get("signature-algorithm")
    if not digest.signature or not named:
        raise refusal(SIGNATURE_MISSING, "no signature came with it")
    if named != ALGORITHM or algorithm != ALGORITHM:
        raise refusal(SIGNATURE_BAD, f"it is signed with something else than {ALGORITHM}")
    if digest.chain.backfill and "backfill-generation-timestamp" not in stored.metadata:
        raise refusal(DIGEST_BAD, "a backfill digest comes with the time when it was made, this one does not")


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj(_GZIP)
    try:
        raw = stream.decompress(data, MAX_DIGEST_BYTES + 1)
    except zlib.error as error:
        raise refusal(DIGEST_BAD, "it is no gzip file") from error
    if len(raw) > MAX_DIGEST_BYTES:
        raise refusal(DIGEST_BAD, f"it has more than {MAX_DIGEST_BYTES} bytes")
    if not stream.eof or stream.unused_data:
        raise refusal(DIGEST_BAD, "its gzip stream is cut off, or something follows it")
    return raw


def _parse(document: Any, sha256: str, stored: StoredDigest) -> Digest:
    key = document["digestS3Object"]
    name = _NAME.search(key)
    if name is None:
        raise ValueError("no name of a digest file")
    return Digest(
        key=key,
        chain=Chain(name["account"], name["region"], name["trail"], name["backfill"] is not None),
        start=_parsed(document["digestStartTime"], _TIME),
        end=_parsed(document["digestEndTime"], _TIME),
        sha256=sha256,
        signature=stored.metadata.get("signature", ""),
        previous=_previous(document),
        logs=tuple(_log(item) for item in document["logFiles"]),
    )


def _previous(document: Any) -> Previous | None:
    key, signature = document.get("previousDigestS3Object"), document["previousDigestSignature"]
    if key is None or document.get("previousDigestS3Bucket") is None:
        return None
    hashed = document["previousDigestHashValue"]
    if document["previousDigestHashAlgorithm"] != "SHA-256" or not _HEX.fullmatch(hashed):
        raise ValueError("no SHA-256 of the previous digest")
    if not isinstance(key, str) or not isinstance(signature, str):
        raise TypeError("no text")
    return Previous(key, hashed, signature)


def _log(item: Any) -> LogFile:
    key, hashed = item["s3Object"], item["hashValue"]
    if not isinstance(key, str) or item["hashAlgorithm"] != "SHA-256" or not _HEX.fullmatch(hashed):
        raise ValueError("no SHA-256 of a log file")
    return LogFile(key, hashed)


def _signed(document: Any, digest: Digest) -> bytes:
    """The text that AWS signs; a digest without a previous one has the word `null` there."""
    previous = document["previousDigestSignature"]
    where = f"{document['digestS3Bucket']}/{digest.key}"
    lines = (document["digestEndTime"], where, digest.sha256, "null" if previous is None else previous)
    return "\n".join(lines).encode()


def _parsed(text: str, form: str) -> datetime:
    return datetime.strptime(text, form).replace(tzinfo=UTC)
