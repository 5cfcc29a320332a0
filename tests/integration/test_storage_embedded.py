"""The embedded server: loopback only, private state, one process, data that outlive it."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tasks.errors import UsageError
from tasks.storage.embedded import EmbeddedStore, supported
from tasks.storage.embedded_config import GRPC_OFFSET
from tasks.storage.s3 import S3Store
from tests.support.s3 import S3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """A server that the test may harm. The others look at the one of the session."""
    embedded = EmbeddedStore(tmp_path / "state with spaces")
    embedded.start()
    yield embedded
    embedded.stop(grace=0)


def _store(server: EmbeddedStore) -> S3Store:
    return S3Store("indelible", endpoint=server.endpoint, **asdict(server.credentials("writer")))


def _pid(server: EmbeddedStore) -> int:
    return int((server.log_file.parent / "seaweedfs.pid").read_text())


def _listening(pid: int) -> list[tuple[str, int]]:
    """Address and port of every TCP socket that the process listens on."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except FileNotFoundError:  # closed since it was listed
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, port = fields[1].split(":")
                found.append((address, int(port, 16)))
    return found


def test_every_port_is_on_loopback(s3: S3) -> None:
    end = time.monotonic() + 10
    while len(listening := _listening(_pid(s3.server))) < 10 and time.monotonic() < end:
        time.sleep(0.1)  # the server's own administration comes up last
    assert {address for address, _ in listening} == {"0100007F"}
    ports = {port for _, port in listening}
    assert len(ports) == 10
    assert all(port + GRPC_OFFSET in ports for port in ports if port < 22_000)


def test_only_its_owner_reads_the_state(s3: S3) -> None:
    for name in ("store.json", "identities.json"):
        assert stat.S_IMODE((s3.server.log_file.parent / name).stat().st_mode) == 0o600


def test_no_secret_is_logged(s3: S3) -> None:
    log = s3.server.log_file.read_text()
    assert "-master.telemetry=false" in Path(f"/proc/{_pid(s3.server)}/cmdline").read_text()
    for identity in ("admin", "writer", "analyst", "auditor"):
        assert s3.server.credentials(identity).secret_key not in log


def test_a_second_start_changes_nothing(s3: S3) -> None:
    pid, endpoint = _pid(s3.server), s3.server.endpoint
    EmbeddedStore(s3.server.log_file.parent).start()
    assert (_pid(s3.server), s3.server.endpoint) == (pid, endpoint)


def test_data_and_keys_outlive_a_kill_and_a_lost_port(server: EmbeddedStore) -> None:
    made = _store(server).create("a", b"x", retain_until=None)
    keys, endpoint = server.credentials("writer"), server.endpoint
    pid = _pid(server)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not server.running
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(endpoint.rsplit(":", 1)[1])))
        taken.listen()
        server.start()
    assert server.endpoint != endpoint
    assert server.credentials("writer") == keys
    assert _store(server).read("a", made.version_id) == b"x"
    endpoint = server.endpoint
    server.stop()
    assert not server.running
    server.start()
    assert server.endpoint == endpoint


def test_a_process_that_is_not_ours_is_spared(tmp_path: Path) -> None:
    server = EmbeddedStore(tmp_path)
    (tmp_path / "seaweedfs.pid").write_text(f"{os.getpid()}\n")
    assert not server.running
    server.stop()  # would end this test run


def test_there_is_no_endpoint_before_the_first_start(tmp_path: Path) -> None:
    assert supported()
    server = EmbeddedStore(tmp_path / "none")
    server.stop()
    assert not server.running
    with pytest.raises(UsageError, match="no embedded store"):
        _ = server.endpoint
