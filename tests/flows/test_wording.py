"""Whatever command seals free text, it refuses an identifier in it, and names the kind and not the value."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import app as cli
from tasks.errors import UsageError
from tasks.redact.wording import identifiers_in
from tasks.storage.local import LocalStore
from tests.integration.test_subject_access import make

MAIL = "kim.doe@example.org"
FREE_TEXT = {"reason", "purpose", "case"}
SOON = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%d")
AGREED = ("--approver", "bob", "--requested-by", "alice")
COMMANDS = {
    "completeness approve": ("app", "--since", "2026-11-01", "--until", "2026-11-02", *AGREED),
    "hold place": ("--source", "app", *AGREED),
    "hold release": ("2026-1", *AGREED),
    "key compromise": ("--last-good", "1", *AGREED),
    "key destroy-epoch": ("pseudonym/2026-11", *AGREED),
    "key revoke": ("none", *AGREED),
    "key rotate": AGREED,
    "officer request": ("kim", f"--sign-key={9:064x}", f"--open-key={9:064x}", "--requested-by", "alice"),
    "officer withdraw": ("kim", *AGREED),
    "quarantine discard": ("1", *AGREED),
    "retention extend": ("--source", "app", "--to", "2039-01-01", *AGREED),
    "subject erase request": ("--ids", "-"),
    "subject reidentify request": ("--source", "app", "--pseudonym", "s_1", "--expires", SOON),
}
NOT_SEALED = {"backfill"}
"""Its reason stands in a receipt of Prefect's."""


def taking_free_text() -> Iterator[tuple[str, set[str]]]:
    """Each command with such options, and these."""
    todo: list[tuple[str, Any]] = [(name, cli.load(name)) for name in cli.COMMANDS]
    for name, command in todo:
        if parts := getattr(command, "commands", None):
            todo += [(f"{name} {part}", inner) for part, inner in parts.items()]
        elif options := FREE_TEXT & {str(parameter.name) for parameter in command.params}:
            yield name, options


FOUND = {name: options for name, options in taking_free_text() if name not in NOT_SEALED}
EACH = sorted((name, option) for name, options in FOUND.items() for option in options)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LocalStore]:
    base = tmp_path_factory.mktemp("wording")
    return base, make(base, 0)[1]


def test_every_command_that_seals_free_text_is_tried() -> None:
    assert set(FOUND) == set(COMMANDS)


@pytest.mark.parametrize(("command", "option"), EACH, ids=lambda text: text.replace(" ", "-"))
def test_an_identifier_is_refused(
    command: str, option: str, place: tuple[Path, LocalStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    base, store = place
    for name, value in {"STORE__URI": store.uri, "STATE": str(base / "state")}.items():
        monkeypatch.setenv(f"INDELIBLE_{name}", value)
    monkeypatch.setenv("INDELIBLE_CONTRACTS", str(base / "contracts"))
    monkeypatch.setenv("INDELIBLE_LOG__ORIGIN", "audit.example/test")
    monkeypatch.chdir(base)
    before = sorted(info.path for info in store.list("log/"))
    texts = [f"--{name}={f'asked by {MAIL}' if name == option else 'letter 17'}" for name in FOUND[command]]
    result = CliRunner().invoke(cli.app, [*command.split(), *COMMANDS[command], *texts], input="somebody\n")
    told = result.output + repr(result.exception)
    assert isinstance(result.exception, UsageError) or result.exit_code == UsageError.exit_code
    assert f"the {option} holds" in " ".join(told.split())
    assert "email" in told
    assert MAIL not in told
    assert sorted(info.path for info in store.list("log/")) == before


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (f"mail {MAIL.replace('@', '%40')}", ["email"]),
        ("from 203.0.113.9", ["ip"]),
        ("seen at 2001:db8::8a2e:370:7334", ["ip"]),
        ("call +49 30 1234567", ["phone"]),
        ("paid with 4111 1111 1111 1111", ["card"]),
        ("account DE89 3704 0044 0532 0130 00", ["iban"]),
        ("number 123-45-6789", ["ssn"]),
        ("password=hunter2x", ["secret"]),
    ],
)
def test_each_kind_is_seen(text: str, kinds: list[str]) -> None:
    assert identifiers_in(text) == kinds


@pytest.mark.parametrize(
    "text",
    [
        "letter 17",
        "requested for CASE1234",
        "by INC0012345",
        "AZ 12-345/2026",
        "GDPR 17(3)(e)",
        "2026-11-24/0042",
    ],
)
def test_numbers_of_cases_are_none(text: str) -> None:
    assert identifiers_in(text) == []
