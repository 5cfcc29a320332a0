"""CloudTrail trees with signed digest chains: generated ones, and small ones that a test makes and breaks itself."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tasks.custody import Checked, Drops, StoredDigest, check, is_digest, read_keys

ACCOUNT, REGION, TRAIL, BUCKET = "123456789012", "eu-west-1", "audit", "aws-logs"
START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """One key a name and process; RSA keys cannot be made from a seed."""
    del name
    return rsa.generate_private_key(65537, 2048)


def public_keys(*names: str) -> bytes:
    """A ListPublicKeys answer."""
    listed = [{"Value": b64encode(_der(name)).decode(), "Fingerprint": fingerprint(name)} for name in names]
    return json.dumps({"PublicKeyList": listed}).encode()


def fingerprint(name: str) -> str:
    """As AWS gives it."""
    return hashlib.md5(_der(name), usedforsecurity=False).hexdigest()


def _der(name: str) -> bytes:
    return private_key(name).public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)


@dataclass
class Trail:
    """A tree below `root` like AWS's bucket: log files, and digests that chain.

    Attributes:
        key: name of the key that signs from now on.
        backfill: whether digests are delivered afterwards.
    """

    root: Path
    key: str = "first"
    backfill: bool = False
    last: dict[bool, tuple[str, str, str]] = field(default_factory=dict)

    def log(self, minute: int, content: bytes = b'{"Records":[]}') -> str:
        """Deliver one log file, so many minutes after the start."""
        time = START + timedelta(minutes=minute)
        unique = hashlib.sha256(f"{minute}".encode()).hexdigest()[:16]
        folder = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{time:%Y/%m/%d}"
        key = f"{folder}/{ACCOUNT}_CloudTrail_{REGION}_{time:%Y%m%dT%H%MZ}_{unique}.json.gz"
        self.put(key, gzip.compress(content, mtime=0))
        return key

    def digest(self, hour: int, logs: Sequence[str] = (), **changes: Any) -> str:
        """Deliver the digest of an hour, counted from the start; `changes` to its fields are signed with it."""
        start = START + hour * HOUR
        end = start + HOUR
        folder = f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/{end:%Y/%m/%d}"
        name = f"{ACCOUNT}_CloudTrail-Digest_{REGION}_{TRAIL}_{REGION}_{end:%Y%m%dT%H%M%SZ}"
        key = f"{folder}/{name}{'_backfill' if self.backfill else ''}.json.gz"
        before = self.last.get(self.backfill)
        document = {
            "awsAccountId": ACCOUNT,
            "digestStartTime": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "digestEndTime": f"{end:%Y-%m-%dT%H:%M:%SZ}",
            "digestS3Bucket": BUCKET,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": fingerprint(self.key),
            "digestSignatureAlgorithm": "SHA256withRSA",
            "previousDigestS3Bucket": BUCKET if before else None,
            "previousDigestS3Object": before and before[0],
            "previousDigestHashValue": before and before[1],
            "previousDigestHashAlgorithm": "SHA-256" if before else None,
            "previousDigestSignature": before and before[2],
            "logFiles": [self._listed(log) for log in logs],
            **changes,
        }
        raw = json.dumps(document).encode()
        digest = hashlib.sha256(raw).hexdigest()
        previous = document["previousDigestSignature"] or "null"
        where = f"{document['digestS3Bucket']}/{document['digestS3Object']}"
        text = f"{document['digestEndTime']}\n{where}\n{digest}\n{previous}"
        signature = private_key(self.key).sign(text.encode(), PKCS1v15(), SHA256()).hex()
        metadata = {"signature": signature, "signature-algorithm": "SHA256withRSA"}
        if self.backfill:
            metadata["backfill-generation-timestamp"] = "2026-11-05T00:00:00Z"
        self.put(key, gzip.compress(raw, mtime=0))
        self.put(f"{key}.meta.json", json.dumps(metadata).encode())
        self.last[self.backfill] = key, digest, signature
        return key

    def put(self, key: str, data: bytes) -> None:
        """Store bytes."""
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(data)

    def remove(self, key: str) -> None:
        """Remove a file, and its sidecar."""
        (self.root / key).unlink()
        (self.root / f"{key}.meta.json").unlink(missing_ok=True)

    def _listed(self, log: str) -> dict[str, Any]:
        raw = gzip.decompress((self.root / log).read_bytes())
        hashed = hashlib.sha256(raw).hexdigest()
        return {"s3Bucket": BUCKET, "s3Object": log, "hashValue": hashed, "hashAlgorithm": "SHA-256"}


def stored_digests(root: Path) -> Iterator[StoredDigest]:
    """The digest files of a tree."""
    for key in _keys(root):
        if is_digest(key):
            sidecar = root / f"{key}.meta.json"
            metadata = json.loads(sidecar.read_text()) if sidecar.exists() else {}
            yield StoredDigest(key, (root / key).read_bytes(), metadata)


def drops(root: Path) -> list[tuple[str, str]]:
    """Log files and the SHA-256 of their content, as far as they can be decompressed."""
    return [(key, hashlib.sha256(inflated((root / key).read_bytes())).hexdigest()) for key in _logs(root)]


def inflated(data: bytes) -> bytes:
    """What comes out of the whole file; the bytes themselves, where nothing does."""
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return data


def check_tree(root: Path, keys: bytes) -> Checked:
    """Our verdict on a tree all of whose log files are sealed as they lie there."""
    return check(stored_digests(root), read_keys(keys), Drops(drops(root)))


def _logs(root: Path) -> Iterator[str]:
    return (key for key in _keys(root) if not is_digest(key))


def _keys(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.json.gz"))
