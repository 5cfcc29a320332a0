"""Documents name only commands, options and settings that there are."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from flows.cli.app import COMMANDS, load
from flows.settings import Settings
from tests.support.shared import REPO

DOCUMENTS = sorted(
    [REPO / "README.md", *(REPO / "infra").rglob("*.md"), *(REPO / "data_contracts").rglob("*.md")]
)
# Those of contracts have placeholders in brackets.
OF_SETTINGS = [path for path in DOCUMENTS if "data_contracts" not in path.parts]
IDS = [str(path.relative_to(REPO)) for path in DOCUMENTS]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?<![\w/.-])indelible ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)([^|;&\n]*)")
_SETTING = re.compile(r"^\[([a-z_.]+)\](?: ([a-z_]+))?")
_VARIABLE = re.compile(r"\bINDELIBLE_([A-Z0-9_]+)\b")
OUTSIDE_SETTINGS = {"CONFIG", "ORIGIN", "ALERTMANAGER", "CEPH"}  # of the shell, the compose file and CI


def code(text: str) -> Iterator[str]:
    """What a document calls code: spans, and lines of blocks that a shell is meant for."""
    for language, block in _FENCE.findall(text):
        if language in {"", "sh", "bash", "console"}:
            yield from block.splitlines()
    yield from _SPAN.findall(_FENCE.sub("", text))


def commands(text: str) -> Iterator[tuple[str, str]]:
    for piece in code(text):
        yield from _COMMAND.findall(piece.partition(" #")[0])


@cache
def command(name: str) -> Any:
    return load(name)


def options_of(words: str) -> set[str] | None:
    """Options of the command that is called so; None where there is none."""
    name, _, second = words.partition(" ")
    if name not in COMMANDS:
        return None
    found: Any = command(name)
    if hasattr(found, "commands"):
        if not second:
            return set()
        found = found.commands.get(second)
        if found is None:
            return None
        if hasattr(found, "commands"):  # one level more: a group in a group
            return {option for sub in found.commands.values() for option in _options(sub)}
    return _options(found)


def _options(found: Any) -> set[str]:
    return {option for parameter in found.params for option in parameter.opts} | {"--help"}


def is_setting(path: list[str], annotation: Any = Settings) -> bool:
    """Whether the settings have this path; a mapping has any key."""
    if not path:
        return True
    models = [part for part in (annotation, *_parts(annotation)) if isinstance(part, type)]
    for model in models:
        if issubclass(model, BaseModel) and path[0] in model.model_fields:
            return is_setting(path[1:], model.model_fields[path[0]].annotation)
        if issubclass(model, dict):
            return is_setting(path[1:], get_args(annotation)[1] if get_args(annotation) else str)
    return False


def _parts(annotation: Any) -> Iterator[Any]:
    for part in (getattr(annotation, "__origin__", None), *get_args(annotation)):
        if part is not None:
            yield part
            yield from _parts(part)


def paths(document: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[list[str]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from paths(value, (*above, key))
        yield [*above, key]


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_commands_and_their_options_are_there(document: Path) -> None:
    for words, rest in commands(document.read_text()):
        known = options_of(words)
        if known is None:  # the second word may be an argument
            known = options_of(words.partition(" ")[0])
        assert known is not None, f"indelible {words}"
        if words.partition(" ")[2] and hasattr(command(words.partition(" ")[0]), "commands"):
            assert options_of(words) is not None, f"indelible {words}"
        for option in re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", rest):
            assert option in known, f"indelible {words} {option}"


@pytest.mark.parametrize("document", OF_SETTINGS, ids=[str(path.relative_to(REPO)) for path in OF_SETTINGS])
def test_settings_are_there(document: Path) -> None:
    text = document.read_text()
    for language, block in _FENCE.findall(text):
        if language == "toml":
            for path in paths(tomllib.loads(block)):
                assert is_setting(path), ".".join(path)
    for piece in _SPAN.findall(_FENCE.sub("", text)):
        if match := _SETTING.match(piece):
            path = [*match[1].split("."), *([match[2]] if match[2] else [])]
            assert is_setting(path), piece
    for name in _VARIABLE.findall(text):
        if name not in OUTSIDE_SETTINGS and not name.startswith("SECTION"):
            assert is_setting(name.lower().split("__")), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_a_wrong_name_would_be_found() -> None:
    assert options_of("deliver") is not None
    assert options_of("delivr") is None
    assert options_of("key lst") is None
    assert is_setting(["store", "uri"])
    assert is_setting(["landing", "uris", "anything"])
    assert is_setting(["keys", "transit", "url"])
    assert not is_setting(["store", "url"])
    assert not is_setting(["keys", "transit", "uri"])


def test_every_command_is_explained_to_operators() -> None:
    text = (REPO / "infra" / "docs" / "operate.md").read_text()
    for name in COMMANDS:
        assert re.search(rf"\bindelible {name}\b", text), name
