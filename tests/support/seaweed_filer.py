"""The malicious provider: changes stored bytes below the S3 API, through the filer port of the embedded server.

Object Lock binds whoever comes through S3. The filer knows nothing of it and asks nobody for a key; it stands
here for the disk, and for an operator of the storage who has root.
"""

from __future__ import annotations

import json
import urllib.request
from base64 import b64decode
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tasks.storage.s3 import S3Store
from tests.support.s3 import S3


@dataclass(frozen=True)
class Filer:
    """What lies in a store, as its provider can change it."""

    s3: S3
    store: S3Store

    def rewrite(self, path: str, data: bytes) -> None:
        """Give the newest version other bytes; its id, its lock and its date stay what S3 shows."""
        entry = json.loads(self._request("GET", path, "?metadata=true"))
        kept = {name: b64decode(value).decode() for name, value in entry["Extended"].items()}
        self._request("PUT", path, data=data, headers={"Content-Type": "application/octet-stream", **kept})

    def truncate(self, path: str) -> None:
        """Leave half of the newest version."""
        data = self.store.read(path)
        self.rewrite(path, data[: len(data) // 2])

    def flip(self, path: str) -> None:
        """Change one bit in the middle of the newest version."""
        data = bytearray(self.store.read(path))
        data[len(data) // 2] ^= 1
        self.rewrite(path, bytes(data))

    def swap(self, one: str, other: str) -> None:
        """Give each of two objects the other's bytes."""
        first, second = self.store.read(one), self.store.read(other)
        self.rewrite(one, second)
        self.rewrite(other, first)

    def remove(self, path: str) -> None:
        """Take the newest version away."""
        self._request("DELETE", path)

    def _request(
        self, method: str, path: str, query: str = "", *, data: bytes | None = None, headers: Any = None
    ) -> bytes:
        newest = self.store.head(path).version_id
        where = quote(f"/buckets/{self.store.bucket}/{self.store.key(path)}.versions/v_{newest}")
        url = f"http://127.0.0.1:{self._port}{where}{query}"
        request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            body: bytes = answer.read()
            return body

    @property
    def _port(self) -> int:
        state = json.loads((self.s3.server.log_file.parent / "store.json").read_text())
        port: int = state["ports"]["filer"]
        return port
