"""Load a source's data contract: Open Data Contract Standard v3.2 YAML, checked to the last property.

Charter: find the file, run the checks in order (YAML, JSON Schema of the standard, Indelible's own),
hand out one immutable `Contract`. Every extension is documented in `data_contracts/README.md`.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from tasks.contracts import lint, privacy
from tasks.contracts.document import Defects, parse
from tasks.contracts.model import Contract
from tasks.contracts.processing import processing
from tasks.contracts.rhythm import rhythm
from tasks.contracts.rules import build_rules
from tasks.errors import ContractError

FILE_NAME: Final = "contract.odcs.yaml"
_SOURCE: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def list_sources(directory: Path | None = None) -> tuple[str, ...]:
    """Names of the sources that have a contract, sorted.

    Args:
        directory: where to look instead of the contracts that ship with Indelible.
    """
    root = _root(directory)
    if not root.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in root.iterdir() if entry.joinpath(FILE_NAME).is_file()))


def load_contract(source: str, directory: Path | None = None) -> Contract:
    """Load and check the contract of `source`.

    Args:
        source: folder name under `data_contracts/sources/`.
        directory: where to look instead of the contracts that ship with Indelible.

    Raises:
        ContractError: there is no such source, or its contract has defects; the message lists all of them.
    """
    place = _root(directory).joinpath(source, FILE_NAME)
    if not _SOURCE.fullmatch(source) or not place.is_file():
        known = ", ".join(list_sources(directory)) or "none"
        raise ContractError(
            f"no contract for source `{source[:63]}`; there are: {known}",
            next_step=f"Name one of them, or write <source>/{FILE_NAME}.",
        )
    return parse_contract(place.read_bytes(), source)


def sample_drops(source: str, directory: Path | None = None) -> dict[str, bytes]:
    """Drops that lie beside a contract as samples: key -> content, in order of the keys."""
    found: dict[str, bytes] = {}
    places = [(_root(directory).joinpath(source, "samples", "drops"), "")]
    while places:
        place, key = places.pop()
        if place.is_file():
            found[key] = place.read_bytes()
        elif place.is_dir():
            places += [(child, f"{key}/{child.name}".lstrip("/")) for child in place.iterdir()]
    return dict(sorted(found.items()))


def parse_contract(document: bytes, source: str) -> Contract:
    """Check the bytes of a contract file, for example of one that was sealed.

    Args:
        document: the YAML file.
        source: the source that it must be the contract of.

    Raises:
        ContractError: the contract has defects; the message lists all of them.
    """
    content, defects = parse(document, f"{source}/{FILE_NAME}")
    schemas = content.get("schema") or []
    if len(schemas) != 1:
        defects.add(("schema",), "there must be exactly one schema object")
    if content["id"] != source:
        defects.add(("id",), f"must equal the name of the source, {source}")
    defects.raise_any()
    contract = _build(document, source, content, schemas[0], defects)
    defects.raise_any()
    return contract


def _build(
    document: bytes, source: str, content: dict[str, Any], schema: dict[str, Any], defects: Defects
) -> Contract:
    path = ("schema", 0)
    custom = lint.schema_properties(schema, path, defects)
    fields = lint.build_fields(schema, path, defects)
    by_name = {field.name: field for field in fields}
    drift = lint.drift(custom)
    whole = lint.document_properties(content, defects)
    minimums, maximum = lint.retention(content, defects)
    return Contract(
        source=source,
        version=content["version"],
        document=document,
        sha256=hashlib.sha256(document).hexdigest(),
        formats=lint.formats(custom),
        fields=fields,
        rules=build_rules(schema, path, fields, drift, defects),
        time_field=lint.time_field(custom, by_name),
        key=lint.record_key(custom, by_name),
        drift=drift,
        threshold_pct=lint.threshold(whole),
        retention_days=max((days for _, days in minimums), default=0),
        access_events=lint.access_events(custom),
        landing_include=custom.texts("landingInclude", ("*",)),
        landing_exclude=custom.texts("landingExclude"),
        subject=privacy.subject(custom, fields),
        retention_class=lint.retention_class(whole),
        retention_minimums=minimums,
        retention_max_days=maximum,
        rhythm=rhythm(content, whole, defects),
        processing=processing(content, whole, by_name),
    )


def _root(directory: Path | None) -> Traversable:
    return directory if directory is not None else files("data_contracts").joinpath("sources")
