"""The command's names are those that were promised, and each is documented."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from flows.cli.app import app
from tasks import errors
from tests.support.shared import REPO

GROUPS = {
    "custody": {"check"},
    "hold": {"list", "place", "release"},
    "key": {"compromise", "list", "revoke", "rotate"},
    "quarantine": {"list", "replay", "show"},
    "retention": {"extend", "plan"},
    "sequencer": {"key", "run"},
    "store": {"probe"},
    "witness": {"evidence", "key", "serve"},
}
NAMES = {
    "backfill",
    "deliver",
    "demo",
    "down",
    "export",
    "prove",
    "query",
    "status",
    "up",
    "verify",
    *GROUPS,
}
SUBCOMMANDS = [f"{group} {name}" for group, names in sorted(GROUPS.items()) for name in sorted(names)]


def commands(group: typer.Typer) -> set[str]:
    click = typer.main.get_command(group)
    return set(getattr(click, "commands"))  # noqa: B009


def exit_codes() -> Iterator[int]:
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, errors.IndelibleError):
            yield value.exit_code


def test_all_names_are_there() -> None:
    assert commands(app) == NAMES
    found = {
        str(group.name): commands(group.typer_instance)
        for group in app.registered_groups
        if group.typer_instance
    }
    assert found == GROUPS


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
