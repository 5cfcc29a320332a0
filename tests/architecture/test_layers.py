"""The architecture as rules: who may import whom, what code may know, how large a module may grow."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.contracts import list_sources
from tests.support.shared import REPO

MAX_LINES = 400
MODULES = sorted(path for package in ("flows", "tasks") for path in (REPO / package).rglob("*.py"))
# `cloudtrail` is also a wire format: documents with a list of records, whichever source sends them.
WIRE_FORMAT = {("tasks/contracts/lint.py", "cloudtrail"), ("tasks/contracts/model.py", "cloudtrail"),
               ("tasks/ingest/read.py", "cloudtrail")}  # fmt: skip


def name(path: Path) -> str:
    return str(path.relative_to(REPO))


def literals(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_import_rules_hold() -> None:
    rules = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    run = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert f"Contracts: {len(rules)} kept, 0 broken." in run.stdout


def test_code_names_no_source() -> None:
    """A source is a folder with a contract: a new one takes no code."""
    sources = set(list_sources())
    assert len(sources) == 3
    found = {(name(path), text) for path in MODULES for text in literals(path) if text in sources}
    assert found == WIRE_FORMAT


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_is_small_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_LINES
    if text:
        assert ast.get_docstring(ast.parse(text))
