"""How the embedded server is set up: ports, credentials and who may do what. No process is started here."""

from __future__ import annotations

import json
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import StoreUnavailableError
from tasks.files import whole_file
from tasks.storage.roles import ROLES, WRITER, seaweedfs_policies

WORM_BUCKET = "indelible"
LANDING_BUCKET = "landing"
SERVICES = ("s3", "master", "volume", "filer", "admin")
GRPC_OFFSET = 10_000  # each port has a twin there
PORTS = range(12_000, 22_000)  # twins end below 32768, where Linux takes ports for outgoing connections


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key and its secret, which stays out of `repr`."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r})"


def new_credentials() -> dict[str, dict[str, str]]:
    """Random keys for the administrator, the writer and each role."""
    return {
        name: {"access_key": f"{name}{secrets.token_hex(6)}", "secret_key": secrets.token_urlsafe(32)}
        for name in ("admin", WRITER.name, *(role.name for role in ROLES))
    }


def identities(credentials: dict[str, dict[str, str]]) -> dict[str, Any]:
    """SeaweedFS's own permission file: the administrator, and a policy for everybody else."""
    return {
        "identities": [
            {
                "name": name,
                "credentials": [{"accessKey": keys["access_key"], "secretKey": keys["secret_key"]}],
                **({"actions": ["Admin"]} if name == "admin" else {"policyNames": [name]}),
            }
            for name, keys in credentials.items()
        ],
        "policies": list(seaweedfs_policies({"store": WORM_BUCKET, "landing": LANDING_BUCKET})),
    }


def free_ports() -> dict[str, int]:
    """A free port for each service, its gRPC twin free too."""
    ports: dict[str, int] = {}
    for _ in range(1000):
        port = PORTS[secrets.randbelow(len(PORTS))]
        if port not in ports.values() and _is_free(port) and _is_free(port + GRPC_OFFSET):
            ports[SERVICES[len(ports)]] = port
        if len(ports) == len(SERVICES):
            return ports
    raise StoreUnavailableError("no free ports for the embedded store", next_step="end what holds them")


def all_free(ports: dict[str, int]) -> bool:
    """Whether the ports of an earlier start can be had again."""
    return set(ports) == set(SERVICES) and all(
        _is_free(p) and _is_free(p + GRPC_OFFSET) for p in ports.values()
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does after a restart
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def write_private(path: Path, value: object) -> None:
    """Write JSON that only this user can read, whole or not at all."""
    with whole_file(path, mode=0o600) as file:
        file.write(json.dumps(value, indent=1).encode())
