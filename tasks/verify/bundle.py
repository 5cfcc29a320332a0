"""`bundle.json`: what an evidence bundle says of its own scope. Format: FORMAT.md, "Evidence bundles".

The manifest is not signed and proves nothing. It only tells "left out on purpose" from "lost on the way".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.errors import StoreRefusedError
from tasks.verify import reasons
from tasks.verify.readers import Reader
from tasks.verify.report import Findings

MANIFEST = "bundle.json"
FORMAT = "indelible-bundle/1"
MAX_MANIFEST_BYTES = 256 << 20
MAX_OBJECT_BYTES = 2 << 30

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Scope of a bundle. `objects` is path -> (sha256, bytes)."""

    scope: Mapping[str, Any]
    objects: Mapping[str, tuple[str, int]]

    def promises(self, path: str) -> bool:
        """Whether the bundle says that it contains `path`."""
        return path in self.objects


def bundle_format(reader: Reader) -> object:
    """The format that the bundle's manifest names; None when the tree is no bundle, or its manifest of no use."""
    try:
        value = json.loads(_manifest(reader) or b"null")
    except (StoreRefusedError, ValueError, RecursionError):
        return None
    return value.get("format") if isinstance(value, dict) else None


def read_bundle(reader: Reader, findings: Findings, form: str = FORMAT) -> Bundle | None:
    """The bundle's manifest, or None when the tree is no bundle or its manifest is of no use.

    Args:
        reader: where the tree lies.
        findings: takes the finding that it is of no use.
        form: the format that it must have.
    """
    try:
        manifest = _manifest(reader)
        return None if manifest is None else _parse(json.loads(manifest), form)
    except (StoreRefusedError, ValueError, TypeError, KeyError, RecursionError):
        sentence = "The bundle's manifest cannot be understood, so everything is looked for."
        findings.changed(reasons.BUNDLE_MANIFEST, MANIFEST, sentence, "Ask for the bundle again.")
        return None


def _manifest(reader: Reader) -> bytes | None:
    size = reader.size(MANIFEST)
    if size is None:
        return None
    return reader.read(MANIFEST) if size <= MAX_MANIFEST_BYTES else b""


def check_bundle(reader: Reader, bundle: Bundle, findings: Findings) -> None:
    """Compare what the bundle lists with what it holds."""
    for path in reader.list():
        if path != MANIFEST and path not in bundle.objects:
            findings.changed(
                reasons.BUNDLE_OBJECT, path, "The bundle contains this object and does not list it."
            )
    for path, (sha256, size) in bundle.objects.items():
        found = reader.size(path)
        if found is None:
            sentence = "The bundle lists this object and does not contain it."
            findings.missing(reasons.BUNDLE_OBJECT, path, sentence, "Ask for the bundle again.")
        elif found != size or found > MAX_OBJECT_BYTES or not _has_digest(reader, path, sha256):
            findings.changed(reasons.BUNDLE_OBJECT, path, "It is not the object that the bundle lists.")


def _has_digest(reader: Reader, path: str, sha256: str) -> bool:
    try:
        return hashlib.sha256(reader.read(path)).hexdigest() == sha256
    except StoreRefusedError:
        return False


def _parse(value: Mapping[str, Any], form: str) -> Bundle:
    if value["format"] != form:
        raise ValueError(form)
    objects = {item["path"]: (item["sha256"], item["bytes"]) for item in value["objects"]}
    for path, (sha256, size) in objects.items():
        if type(path) is not str or type(size) is not int or not _SHA256.fullmatch(sha256):
            raise ValueError("objects")
    keys = ("since", "until", "created_at", "sources", *(["store_uri"] if form == FORMAT else []))
    return Bundle({key: value[key] for key in keys}, objects)
