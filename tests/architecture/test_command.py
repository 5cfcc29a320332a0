"""The command's names are those that were promised, and each is documented."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from flows.cli.app import COMMANDS, app, load
from tasks import errors
from tests.support.shared import REPO

GROUPS = {
    "completeness": {"approve", "check", "gaps", "heartbeat", "reconcile"},
    "custody": {"check"},
    "hold": {"list", "place", "release"},
    "key": {
        "backup",
        "compromise",
        "destroy-epoch",
        "list",
        "months",
        "restore",
        "revoke",
        "rewrap",
        "rotate",
    },
    "officer": {"enrol", "keys", "list", "request", "sign", "withdraw"},
    "metrics": {"print", "push", "serve"},
    "quarantine": {"discard", "list", "replay", "show"},
    "redaction": {"canary", "check"},
    "retention": {"extend", "plan"},
    "sequencer": {"key", "run"},
    "store": {"probe"},
    "subject": {"erase", "export", "reidentify"},
    "witness": {"evidence", "key", "serve"},
}
NAMES = {
    "audit",
    "backfill",
    "deliver",
    "demo",
    "down",
    "export",
    "prove",
    "query",
    "register",
    "status",
    "up",
    "verify",
    *GROUPS,
}
SUBCOMMANDS = [f"{group} {name}" for group, names in sorted(GROUPS.items()) for name in sorted(names)]


LISTING = """
import sys
from typer.testing import CliRunner
from flows.cli.app import app
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
print(sorted({name.partition(".")[0] for name in sys.modules} & {"duckdb", "polars", "prefect", "pyarrow", "pydantic"}))
"""


def commands(group: object) -> set[str]:
    return set(getattr(group, "commands", ()))


def exit_codes() -> Iterator[int]:
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, errors.IndelibleError):
            yield value.exit_code


def test_all_names_are_there() -> None:
    assert commands(typer.main.get_command(app)) == NAMES
    assert {name: found for name in COMMANDS if (found := commands(load(name)))} == GROUPS


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_list_says_of_a_command_what_the_command_says_of_itself(name: str) -> None:
    assert load(name).get_short_help_str(200) == COMMANDS[name][1]


def test_the_list_of_commands_needs_no_large_library() -> None:
    listed = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, text=True, check=True)
    assert listed.stdout == "[]\n"


def test_help_lists_every_name() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    assert {name for name in NAMES if re.search(rf"│ {name} ", text)} == NAMES
    for group, names in GROUPS.items():
        text = CliRunner().invoke(app, [group, "--help"]).output
        assert {name for name in names if re.search(rf"│ {name} ", text)} == names


@pytest.mark.parametrize("name", [*sorted(NAMES), *SUBCOMMANDS])
def test_every_name_has_help_of_its_own(name: str) -> None:
    result = CliRunner().invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert "--help" in result.output


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_readme_names_every_command(name: str) -> None:
    assert re.search(rf"\bindelible {name}\b", (REPO / "README.md").read_text())


def test_the_readme_names_every_exit_code() -> None:
    documented = {
        int(code) for code in re.findall(r"^\| `?(\d+)`? \|", (REPO / "README.md").read_text(), re.MULTILINE)
    }
    assert documented >= {0, *exit_codes()}
