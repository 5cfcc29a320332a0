"""A PKCS#11 token in software: SoftHSM2 from Debian's `softhsm2`, its token in a directory of the test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
TOKEN, PIN = "indelible", "271828"


@contextmanager
def softhsm(directory: Path) -> Iterator[None]:
    """Make a token. One a process: the library reads its configuration when it is loaded."""
    (directory / "tokens").mkdir()
    configuration = directory / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {directory}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    try:
        words = ["--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", "314159"]
        subprocess.run(["softhsm2-util", *words], check=True, capture_output=True)
        yield
    finally:
        if before is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = before
