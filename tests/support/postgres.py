"""A real PostgreSQL server for tests: Debian's package, on this machine only, gone with the session."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from tests.support.ports import free_port

USER = "indelible"
PASSWORD = "of-the-tests"
_UNPRIVILEGED = "nobody"  # initdb refuses root
_NUMBERS = count(1)


@dataclass(frozen=True)
class Postgres:
    """A server.

    Attributes:
        port: on 127.0.0.1.
        binaries: the directory of `pg_dump` and the like.
    """

    port: int
    binaries: Path

    def fresh(self, driver: str = "postgresql+psycopg") -> str:
        """The URL of a new, empty database; `driver` as SQLAlchemy names it (Prefect: `postgresql+asyncpg`)."""
        name = f"test_{next(_NUMBERS)}"
        with psycopg.connect(self.url("postgres", "postgresql"), autocommit=True) as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return self.url(name, driver)

    def url(self, database: str, driver: str) -> str:
        """The URL of a database."""
        return f"{driver}://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """Start it and end it."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    user = _UNPRIVILEGED if os.geteuid() == 0 else None
    # Not below pytest's directory: that one is closed to the unprivileged user.
    directory = Path(tempfile.mkdtemp(prefix="indelible-postgres-"))
    try:
        if user is not None:
            shutil.chown(directory, user)
        data = directory / "data"
        password = directory / "password"
        password.write_text(PASSWORD)
        server: list[str | Path] = [binaries / "pg_ctl", "-D", data, "-w", "-s"]
        _run(
            [
                binaries / "initdb",
                "-D",
                data,
                "-U",
                USER,
                f"--pwfile={password}",
                "-A",
                "scram-sha-256",
                "-N",
            ],
            user,
        )
        port = free_port()
        options = f"-F -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        _run([*server, "-l", directory / "log", "-o", options, "start"], user)
        try:
            yield Postgres(port, binaries)
        finally:
            _run([*server, "-m", "immediate", "stop"], user)
    finally:
        shutil.rmtree(directory)


def _run(command: Sequence[str | Path], user: str | None) -> None:
    subprocess.run(command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL)
