"""One real S3 server for a test session, and fresh buckets in it."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.storage.bucket import ensure_bucket
from tasks.storage.embedded import EmbeddedStore
from tasks.storage.s3 import S3Store


@dataclass(frozen=True)
class S3:
    """A running server. `bucket` makes a store on a new bucket, with an administrator's credentials."""

    server: EmbeddedStore

    @property
    def endpoint(self) -> str:
        return self.server.endpoint

    def store(self, bucket: str, prefix: str = "", identity: str = "admin") -> S3Store:
        keys = asdict(self.server.credentials(identity))
        return S3Store(bucket, prefix, endpoint=self.endpoint, **keys)

    def bucket(self, *, lock_days: int | None = None, prefix: str = "") -> S3Store:
        store = self.store(f"t-{uuid.uuid4().hex[:16]}", prefix)
        ensure_bucket(store, lock_days=lock_days)
        return store


def start_s3(directory: Path) -> S3:
    """Start the server; raises where it cannot run, so that a test never passes without it."""
    server = EmbeddedStore(directory)
    server.start()
    return S3(server)
