"""Free ports on loopback for the servers of a test."""

from __future__ import annotations

import socket
import time
from contextlib import suppress


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, timeout_s: float = 30) -> None:
    """Return when something listens on a port of 127.0.0.1.

    Raises:
        TimeoutError: nothing does.
    """
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")
