"""A one-node Ceph RGW for the optional lane: one monitor, one OSD in memory, one gateway, loopback only.

From Debian's `ceph-mon`, `ceph-osd` and `radosgw`. Its whole state lies in one directory and in memory, and it
trusts whoever can reach its internal ports (`auth none`), so it is for tests on a machine of one user.
"""

from __future__ import annotations

import http.client
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.storage.bucket import ensure_bucket
from tasks.storage.s3 import S3Store
from tests.support.ports import free_port

KEYS: dict[str, Any] = {"access_key": "lane", "secret_key": "lane-secret"}
READY_SECONDS = 60.0

_CONFIGURATION = """\
[global]
fsid = {fsid}
mon_host = v2:127.0.0.1:{mon_port}
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
run_dir = {directory}
admin_socket = {directory}/$name.asok
log_file = {directory}/$name.log
mon_data = {directory}/mon
osd_data = {directory}/osd
rgw_data = {directory}/rgw
mon_data_avail_warn = 2
mon_data_avail_crit = 1
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 2000
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_crush_initial_weight = 1
osd_crush_chooseleaf_type = 0
osd_class_dir = {classes}
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
rgw_frontends = beast endpoint=127.0.0.1:{rgw_port}
rgw_enable_usage_log = false
rgw_dns_name = 127.0.0.1
"""


@contextmanager
def run_ceph(directory: Path) -> Iterator[Ceph]:
    """Start a cluster and end it."""
    cluster = Ceph(directory)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@dataclass
class Ceph:
    """A cluster that answers S3.

    Attributes:
        directory: configuration, logs and the monitor's data.
        endpoint: URL of the gateway.
    """

    directory: Path
    endpoint: str = ""
    _daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Make the cluster and wait until the gateway answers."""
        fsid, mon_port, rgw_port = str(uuid.uuid4()), free_port(), free_port()
        classes = next(Path("/usr/lib").glob("*/rados-classes"))
        text = _CONFIGURATION.format(
            fsid=fsid, mon_port=mon_port, rgw_port=rgw_port, directory=self.directory, classes=classes
        )
        (self.directory / "ceph.conf").write_text(text)
        for name in ("mon", "osd", "rgw"):
            (self.directory / name).mkdir()
        monmap = str(self.directory / "monmap")
        self._run(
            "monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{mon_port}]", monmap
        )
        self._run("ceph-mon", "--mkfs", "--id", "a", "--monmap", monmap)
        self._daemon("ceph-mon", "--id", "a")
        osd = str(uuid.uuid4())
        self._run("ceph", "osd", "new", osd)
        self._run("ceph-osd", "--id", "0", "--mkfs", "--osd-uuid", osd)
        self._daemon("ceph-osd", "--id", "0")
        keys = (f"--access-key={KEYS['access_key']}", f"--secret={KEYS['secret_key']}")
        self._run("radosgw-admin", "user", "create", "--uid=lane", "--display-name=lane", *keys)
        self._daemon("radosgw", "--id", "rgw.a")
        self.endpoint = f"http://127.0.0.1:{rgw_port}"
        self._wait(rgw_port)

    def stop(self) -> None:
        """End the daemons that were started here; the last one first."""
        for daemon in reversed(self._daemons):
            daemon.kill()  # its data go with the directory
            daemon.wait()

    def bucket(self, *, lock_days: int | None = 1, **options: Any) -> S3Store:
        """A store on a new bucket with Object Lock.

        Args:
            lock_days: default retention; None for none.
            options: of `S3Store`.
        """
        store = S3Store(f"t-{uuid.uuid4().hex[:12]}", endpoint=self.endpoint, **KEYS, **options)
        if lock_days is None:
            store.request("create_bucket", ObjectLockEnabledForBucket=True)
        else:
            ensure_bucket(store, lock_days=lock_days)
        return store

    def _run(self, tool: str, *arguments: str) -> None:
        done = subprocess.run(
            self._command(tool, arguments), capture_output=True, timeout=READY_SECONDS, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{tool} {arguments[0]}: {done.stderr.decode(errors='replace')[-2000:]}")

    def _daemon(self, tool: str, *arguments: str) -> None:
        with (self.directory / f"{tool}.out").open("wb") as log:
            command = [*self._command(tool, arguments), "-f"]
            self._daemons.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def _command(self, tool: str, arguments: tuple[str, ...]) -> list[str]:
        configuration = [] if tool == "monmaptool" else ["-c", str(self.directory / "ceph.conf")]
        return [tool, *configuration, *arguments]

    def _wait(self, port: int) -> None:
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            ended = [d.args for d in self._daemons if d.poll() is not None]
            if ended:
                raise RuntimeError(f"a Ceph daemon ended; see {self.directory}: {ended}")
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            with suppress(OSError, http.client.HTTPException):
                connection.request("HEAD", "/")
                connection.getresponse()
                return
            time.sleep(0.1)
        raise RuntimeError(f"the gateway did not answer in {READY_SECONDS:.0f} s; see {self.directory}")
