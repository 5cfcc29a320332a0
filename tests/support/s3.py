"""One real S3 server for a test session, and empty places in it."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.storage.embedded import EmbeddedStore
from tasks.storage.s3 import S3Store


@dataclass(frozen=True)
class S3:
    """A running server with the buckets `indelible` (Object Lock) and `landing`."""

    server: EmbeddedStore

    @property
    def endpoint(self) -> str:
        return self.server.endpoint

    def store(self, bucket: str, prefix: str = "", identity: str = "admin") -> S3Store:
        """A store with the credentials of `admin`, `writer` or a role."""
        keys = asdict(self.server.credentials(identity))
        return S3Store(bucket, prefix, endpoint=self.endpoint, **keys)

    def section(self, identity: str = "admin") -> dict[str, str]:
        """The part of the settings that reaches this server."""
        return {"endpoint": self.endpoint, **asdict(self.server.credentials(identity))}

    def fresh(self, bucket: str, identity: str = "admin") -> S3Store:
        """A store under a prefix that nobody used. A new bucket would take half a second."""
        return self.store(bucket, f"t-{uuid.uuid4().hex[:16]}", identity)


def start_s3(directory: Path) -> S3:
    """Start the server; raises where it cannot run, so that a test never passes without it."""
    server = EmbeddedStore(directory)
    server.start()
    return S3(server)
