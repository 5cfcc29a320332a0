"""A contract file as parsed YAML in which every value still knows its line.

Charter: strict parsing and the Open Data Contract Standard's own JSON Schema (v3.2). What Indelible
adds to the standard is checked in `tasks.contracts.lint`.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

import jsonschema
import yaml

from tasks.errors import ContractError

API_VERSION: Final = "v3.2.0"
MAX_DOCUMENT_BYTES: Final = 1 << 20
MAX_DEFECTS: Final = 50

Path = tuple[str | int, ...]


class Defects:
    """Collects what is wrong with one contract file, so that its owner sees everything at once."""

    def __init__(self, name: str, lines: dict[Path, int]) -> None:
        self._name = name
        self._lines = lines
        self._found: list[tuple[int, str]] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: Path, message: str) -> None:
        """Note a defect at `path`, or at the nearest enclosing value that stands in the file."""
        known = path
        while known and known not in self._lines:
            known = known[:-1]
        line = self._lines.get(known, 1)
        place = ".".join(str(step) for step in path) or "document"
        self._found.append((line, f"{self._name}:{line}: {place}: {message}"))

    def raise_any(self) -> None:
        """Raise one error with every defect, in order of line.

        Raises:
            ContractError: there is at least one defect.
        """
        if not self._found:
            return
        ordered = [text for _, text in sorted(self._found, key=lambda found: found[0])]
        rest = len(ordered) - MAX_DEFECTS
        shown = ordered[:MAX_DEFECTS] + ([f"... and {rest} more"] if rest > 0 else [])
        raise ContractError(
            "\n".join(shown),
            next_step="Correct the contract file; data_contracts/README.md names each property.",
        )


def parse(document: bytes, name: str) -> tuple[dict[str, Any], Defects]:
    """Parse a contract file and check it against the standard's JSON Schema.

    Args:
        document: bytes of the file.
        name: what to call the file in messages.

    Returns:
        The document's mapping and the collector of its further defects, still empty.

    Raises:
        ContractError: the file is too large, no YAML mapping, or not an ODCS v3.2 contract.
    """
    if len(document) > MAX_DOCUMENT_BYTES:
        raise ContractError(
            f"{name}: {len(document)} bytes, more than {MAX_DOCUMENT_BYTES}", next_step="Split the contract."
        )
    try:
        node = yaml.compose(document, Loader=yaml.CSafeLoader)
        content = yaml.load(document, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or type(error).__name__
        raise ContractError(
            f"{name}:{line}: not YAML: {problem}", next_step="Correct the YAML syntax."
        ) from error
    lines: dict[Path, int] = {}
    defects = Defects(name, lines)
    if node is not None:
        _locate(node, (), lines, defects)
    for found in _validator().iter_errors(content):
        defects.add(tuple(found.absolute_path), _sentence(found))
    if not defects and content["apiVersion"] != API_VERSION:
        defects.add(("apiVersion",), f"must be {API_VERSION}")
    defects.raise_any()
    return content, defects


def _locate(node: yaml.Node, path: Path, lines: dict[Path, int], defects: Defects) -> None:
    """Record the line of every value below `node`; a key that stands twice is a defect."""
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _locate(item, (*path, index), lines, defects)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            repeated = inner in lines
            _locate(value, inner, lines, defects)
            if repeated:
                defects.add(inner, "this key stands twice; YAML would silently keep the last")


def _sentence(error: jsonschema.ValidationError) -> str:
    return error.message if len(error.message) <= 200 else f"{error.message[:200]}..."


@cache
def _validator() -> jsonschema.Draft201909Validator:
    text = files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8")
    return jsonschema.Draft201909Validator(json.loads(text))
