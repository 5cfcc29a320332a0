"""The auditor's command in a process of its own, on a machine that has nothing of the pipeline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_START = (
    "import runpy, sys\n"
    "class Block:\n"
    "    absent = {'polars', 'duckdb', 'prefect', 's3fs', 'great_expectations', 'typer', 'rich', 'jinja2',\n"
    "              'pydantic', 'flows'}\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name.split('.')[0] in self.absent:\n"
    "            raise ImportError('blocked: ' + name)\n"
    "sys.meta_path.insert(0, Block())\n"
    "verifier = sys.argv.pop(1)\n"
    "if verifier:\n"
    "    runpy.run_path(verifier, run_name='__main__')\n"
    "else:\n"
    "    from tasks.verify.command import main\n"
    "    sys.exit(main())\n"
)


def auditor(
    *arguments: object, verifier: Path | None = None, directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `indelible-verify`, or a verifier from a bundle."""
    line = [sys.executable, "-c", _START, str(verifier or ""), *map(str, arguments)]
    return subprocess.run(line, cwd=directory, capture_output=True, text=True, check=False)
