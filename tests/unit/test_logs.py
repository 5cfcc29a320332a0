"""One chain for all log lines: JSON with identifiers; exceptions of libraries without what they say."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows import logs
from flows.settings import LogOutputSettings
from tasks.errors import ContractError

VALUE = "alice@example.test"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A log file of this process, which afterwards logs as it did before."""
    root = logging.getLogger()
    before, levels = list(root.handlers), (root.level, logs.EVENTS.level)
    for handler in before:
        root.removeHandler(handler)
    logs.install(LogOutputSettings(file=tmp_path / "logs" / "indelible.jsonl"))
    try:
        yield tmp_path / "logs" / "indelible.jsonl"
    finally:
        for handler in list(root.handlers):
            root.removeHandler(handler)
            handler.close()
        for handler in before:
            root.addHandler(handler)
        root.setLevel(levels[0])
        logs.EVENTS.setLevel(levels[1])


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def upset() -> None:
    try:
        int(VALUE)
    except ValueError as error:
        raise KeyError(VALUE) from error


def test_an_event_is_one_json_object_with_its_identifiers(file: Path) -> None:
    logs.EVENTS.info("sealed", extra={"source": "app", "entry": 4, "lines": 3, "note": VALUE})
    (line,) = lines(file)
    assert {name: line[name] for name in ("event", "source", "entry", "lines", "level", "logger")} == {
        "event": "sealed",
        "source": "app",
        "entry": 4,
        "lines": 3,
        "level": "info",
        "logger": "indelible",
    }
    assert line["timestamp"].endswith("Z")
    assert "note" not in line


@pytest.mark.parametrize("way", ["exception", "argument", "message", "repr"])
def test_an_exception_of_a_library_keeps_its_type_and_place_only(file: Path, way: str) -> None:
    log = logging.getLogger("some.library")
    try:
        upset()
    except KeyError as error:
        match way:
            case "exception":
                log.exception("failed")
            case "argument":
                log.error("failed: %s", error)  # noqa: TRY400
            case "message":
                log.error(error)  # noqa: TRY400
            case "repr":
                log.error("failed: %(why)r", {"why": error})  # noqa: TRY400
    text = file.read_text()
    assert VALUE not in text
    assert "KeyError" in text
    assert "test_logs.py:" in text
    assert ("ValueError" in text) == (way == "exception")


def test_our_own_errors_say_what_they_say(file: Path) -> None:
    logging.getLogger("flow").error("failed: %s", ContractError("the contract of app names no time"))
    (line,) = lines(file)
    assert line["event"] == "failed: ContractError: the contract of app names no time"


def test_a_message_for_the_database_carries_no_value_either() -> None:
    try:
        upset()
    except KeyError:
        record = logging.LogRecord("flow", logging.ERROR, "", 1, "failed", (), sys.exc_info())
    text = logs.messages().format(record)
    assert text.startswith("failed\nKeyError, by way of test_logs.py:")
    assert VALUE not in text


def test_libraries_are_heard_from_warnings_on(file: Path) -> None:
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("look")
    assert [line["event"] for line in lines(file)] == ["look"]
