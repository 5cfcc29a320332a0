"""The operator's command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from select import select

_PATIENCE_S = 60


def indelible(
    *arguments: str, directory: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `indelible` in `directory`, with no settings but those in `environment`."""
    return subprocess.run(
        _line(arguments), cwd=directory, env=_only(environment), capture_output=True, text=True, check=False
    )


def at_terminal(
    *arguments: str, directory: Path, environment: Mapping[str, str], typed: Sequence[str]
) -> tuple[int, str]:
    """The same at a terminal of its own: each line of `typed` answers a question that ends with a colon.

    Returns:
        The exit code, and all that was on the screen.
    """
    screen, terminal = os.openpty()
    with subprocess.Popen(
        _line(arguments), cwd=directory, env=_only(environment), start_new_session=True,
        stdin=terminal, stdout=terminal, stderr=terminal,
    ) as process:  # fmt: skip
        os.close(terminal)
        shown, answers = b"", iter(typed)
        # Reading fails (EIO) once the last process has closed the terminal.
        with suppress(OSError):
            while select([screen], [], [], _PATIENCE_S)[0] and (data := os.read(screen, 4096)):
                shown += data
                if shown.endswith(b": "):
                    os.write(screen, next(answers).encode() + b"\n")
        os.close(screen)
    return process.returncode, shown.decode()


def _line(arguments: Sequence[str]) -> list[str]:
    return [str(Path(sys.executable).with_name("indelible")), *arguments]


def _only(environment: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("INDELIBLE_")}
    return {**inherited, **environment}
