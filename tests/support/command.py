"""The operator's command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def indelible(
    *arguments: str, directory: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `indelible` in `directory`, with no settings but those in `environment`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("INDELIBLE_")}
    line = [str(Path(sys.executable).with_name("indelible")), *arguments]
    return subprocess.run(
        line, cwd=directory, env={**inherited, **environment}, capture_output=True, text=True, check=False
    )
