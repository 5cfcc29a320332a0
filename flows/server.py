"""Prefect for one machine: a server and one worker, on loopback, quiet and offline.

The server keeps its runs in a SQLite file, or in PostgreSQL where the settings name one: SQLite answers 503 when
several runs write at once, and clients then wait. Evidence depends on neither.

A worker on a process pool rather than `serve`: the queue for backfills can yield to scheduled runs, a second
worker is all that growth takes, and the deployments are the same as for a server that stands elsewhere.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from flows import logs
from flows.deployments import POOL
from flows.processes import Background
from flows.settings import Settings
from tasks.errors import IndelibleError, UsageError

READY_SECONDS: Final = 180.0
# One run a source and one to spare. Runs of a machine share its processors and its store.
CONCURRENT_RUNS: Final = 4
_HOST: Final = "127.0.0.1"
_QUIET: Final = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # The second user interface asks an outside host for its configuration; `flows.console` forbids it that.
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_CLI_COLORS": "false",
    # Leases in memory would die with the server and block the next run of a deployment.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_WORKER_QUERY_SECONDS": "5",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}


@dataclass(frozen=True)
class LocalPrefect:
    """The Prefect server and worker of a state directory.

    Attributes:
        settings: of the deployment; the runs read the same ones.
        port: of the server, on 127.0.0.1.
    """

    settings: Settings
    port: int

    @classmethod
    def of(cls, settings: Settings) -> LocalPrefect:
        """That of `settings.state`. It keeps its port as long as nobody else takes it."""
        directory = settings.state.resolve() / "prefect"
        directory.mkdir(parents=True, exist_ok=True)
        memory = directory / "port"
        with suppress(OSError, ValueError):
            local = cls(settings, int(memory.read_text()))
            if local.server.pid is not None or _is_free(local.port):
                return local
        local = cls(settings, _free_port())
        memory.write_text(f"{local.port}\n")
        return local

    @property
    def directory(self) -> Path:
        """Database, logs and pid files."""
        return self.settings.state.resolve() / "prefect"

    @property
    def url(self) -> str:
        """What a person opens."""
        return f"http://{_HOST}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Of every process here. Other Prefect settings of this shell must not leak in, nor ours out."""
        foreign = ("PREFECT_", "INDELIBLE_PREFECT__")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        ours = {
            "PREFECT_HOME": str(self.directory),
            "PREFECT_API_URL": f"{self.url}/api",
            "PREFECT_SERVER_API_HOST": _HOST,
            "PREFECT_SERVER_API_PORT": str(self.port),
            "PREFECT_SERVER_UI_API_URL": f"{self.url}/api",
            # By default, any page that a browser shows may use the API.
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": self.url,
            "INDELIBLE_STATE": str(self.settings.state.resolve()),
            "PREFECT_LOGGING_SETTINGS_PATH": str(logs.PREFECT_CONFIG),
            "PYTHONUNBUFFERED": "1",
        }
        return inherited | _QUIET | ours

    @property
    def server(self) -> Background:
        """The API, its background services and the user interface."""
        command = [sys.executable, "-m", "flows.console", f"--host={_HOST}", f"--port={self.port}"]
        return Background("server", self.directory, command, self.environment | self._database)

    @property
    def _database(self) -> dict[str, str]:
        """For the server alone: its password is no matter of the runs."""
        url = self.settings.prefect.database_url
        if url is None:
            return {}
        scheme, _, rest = url.get_secret_value().partition("://")
        if scheme.partition("+")[0] not in ("postgresql", "postgres"):
            raise UsageError(
                "[prefect] database_url is no PostgreSQL URL",
                next_step="Write postgresql://user:password@host/database, or remove it for SQLite.",
            )
        return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{rest}"}

    @property
    def worker(self) -> Background:
        """What starts a process for each due run."""
        options = {"pool": POOL, "type": "process", "name": "this-machine", "limit": str(CONCURRENT_RUNS)}
        command = _prefect("worker", "start", *(f"--{name}={value}" for name, value in options.items()))
        return Background("worker", self.directory, command, self.environment)

    def register(self) -> list[str]:
        """Create or update the deployments.

        Returns:
            Their names, `flow/deployment`.

        Raises:
            IndelibleError: the server refused one.
        """
        here = f"--working-directory={Path.cwd()}"
        command = [sys.executable, "-m", "flows.registration", here]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise IndelibleError(
                f"the deployments could not be registered: {done.stderr.strip().rpartition(chr(10))[2]}",
                next_step=f"Read {self.server.log_file}",
            )
        names: list[str] = json.loads(done.stdout)
        return names

    def wait_for_server(self) -> None:
        """Wait until the API answers."""
        self._wait(self.server, lambda: self._ask("/health", None) is True)

    def wait_for_worker(self) -> None:
        """Wait until the worker reports for work. One that was killed still counts as online for a while."""
        workers = f"/work_pools/{POOL}/workers/filter"

        def is_ready() -> bool:
            beats = [datetime.fromisoformat(w["last_heartbeat_time"]) for w in self._ask(workers, {})]
            return max(beats).timestamp() >= self.worker.started_at

        self._wait(self.worker, is_ready)

    def _wait(self, process: Background, is_ready: Callable[[], bool]) -> None:
        end = time.monotonic() + READY_SECONDS
        while (alive := process.pid is not None) and time.monotonic() < end:
            with suppress(OSError, ValueError):
                if is_ready():
                    return
            time.sleep(0.2)
        what = f"did not become ready in {READY_SECONDS:.0f} s" if alive else "ended at once"
        raise IndelibleError(f"the Prefect {process.role} {what}", next_step=f"Read {process.log_file}")

    def _ask(self, path: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            f"{self.url}/api{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return json.load(answer)


def _prefect(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "prefect", *arguments]


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with suppress(OSError), socket.create_server((_HOST, port)):
        return True
    return False
