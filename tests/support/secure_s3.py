"""A real S3 server that speaks TLS only and encrypts under the keys of OpenBao: SeaweedFS, loopback only."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import StoreRefusedError, StoreUnavailableError
from tasks.storage.bucket import ensure_bucket
from tasks.storage.embedded_config import free_ports
from tasks.storage.s3 import S3Store
from tests.support.openbao import OpenBao
from tests.support.tls import Authority, new_authority

KEYS = {"access_key": "sealer", "secret_key": "sealer-secret"}
READY_SECONDS = 30.0


@dataclass(frozen=True)
class SecureS3:
    """A server that answers.

    Attributes:
        port: of S3, by TLS; the certificate names `127.0.0.1` and not `localhost`.
        authority: who signed it.
    """

    port: int
    authority: Authority

    @property
    def endpoint(self) -> str:
        """URL by the name that the certificate has."""
        return f"https://127.0.0.1:{self.port}"

    def section(self, **more: Any) -> dict[str, Any]:
        """Settings that reach this server, and more."""
        return {"endpoint": self.endpoint, **KEYS, "ca_bundle": self.authority.bundle, **more}

    def bucket(self) -> str:
        """Make a bucket with Object Lock and a default retention of a day; return its name."""
        name = f"t-{uuid.uuid4().hex[:12]}"
        ensure_bucket(S3Store(name, **self.section()), lock_days=1)
        return name


@contextmanager
def run_secure_s3(directory: Path, bao: OpenBao) -> Iterator[SecureS3]:
    """Start it and end it."""
    authority = new_authority(directory)
    certificate, key = authority.issue(directory, "127.0.0.1")
    ports = free_ports()
    credentials = [{"accessKey": KEYS["access_key"], "secretKey": KEYS["secret_key"]}]
    identity = {"name": "sealer", "actions": ["Admin"], "credentials": credentials}
    configuration = directory / "s3.json"
    kms = {"default_provider": "bao", "providers": {"bao": bao.provider()}}
    configuration.write_text(json.dumps({"identities": [identity], "kms": kms}))
    (directory / "data").mkdir()
    command = [
        str(Path(sys.executable).parent / "weed"),
        "-logtostderr=true",
        "mini",
        f"-dir={directory / 'data'}",
        *(f"-{service}.port={port}" for service, port in ports.items()),
        f"-s3.config={configuration}",
        f"-s3.cert.file={certificate}",
        f"-s3.key.file={key}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-volume.max=200",
    ]
    with (directory / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=directory, env={"HOME": str(directory)}, stdout=log, stderr=log
        )
    try:
        server = SecureS3(ports["s3"], authority)
        _wait(server, process)
        yield server
    finally:
        process.kill()
        process.wait()


def _wait(server: SecureS3, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            server.bucket()
            return
        except (StoreUnavailableError, StoreRefusedError):
            time.sleep(0.1)
    raise RuntimeError("the TLS server did not become ready")
