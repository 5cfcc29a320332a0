"""Evidence bundles: left out on purpose is "not measured", lost on the way is "missing"."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from tasks.evidence import paths
from tasks.verify import Verdict, reasons, verify
from tasks.verify.objects import named_paths
from tests.support.sealed_tree import YEAR, SealedTree, example_tree


def bundle(tree: SealedTree, left_out: set[str], **changes: Any) -> SealedTree:
    """Turn a tree into a bundle without some of its objects."""
    tree.objects = {path: data for path, data in tree.objects.items() if path not in left_out}
    manifest = {
        "format": "indelible-bundle/1",
        "since": "2026-11-01",
        "until": "2026-11-30",
        "created_at": "2026-12-01T00:00:00Z",
        "store_uri": "file:///srv/evidence",
        "sources": ["cloudtrail", "gateway"],
        "objects": [
            {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for path, data in tree.objects.items()
        ],
    } | changes
    tree.objects["bundle.json"] = json.dumps(manifest).encode()
    return tree


def objects_of(tree: SealedTree, entry: int) -> set[str]:
    return set(named_paths(tree.entries[entry]))  # type: ignore[arg-type]


def outside(tree: SealedTree) -> set[str]:
    shared = objects_of(tree, 1) | objects_of(tree, 3)
    gone = (objects_of(tree, 2) | objects_of(tree, 4)) - shared
    return gone | {paths.sequence(YEAR, 2), paths.sequence(YEAR, 4)}


def test_what_is_outside_the_range_is_not_measured() -> None:
    tree = example_tree()
    report = verify(bundle(tree, outside(tree)), tree.policy)
    assert report.ok
    assert report.scope is not None
    assert report.scope["since"] == "2026-11-01"
    assert {f.verdict for f in report.findings} == {Verdict.NOT_MEASURED}
    assert [f.reason for f in report.findings] == [reasons.OUTSIDE_BUNDLE]


def test_what_is_there_and_not_listed_is_named() -> None:
    tree = bundle(example_tree(), set())
    tree.objects["report.html"] = b"<p>"
    assert [(f.reason, f.path) for f in verify(tree, tree.policy).findings] == [
        (reasons.BUNDLE_OBJECT, "report.html")
    ]


def test_what_is_listed_and_absent_is_missing() -> None:
    tree = bundle(example_tree(), set())
    del tree.objects[path := paths.sequence(YEAR, 2)]
    report = verify(tree, tree.policy)
    assert not report.ok
    found = {(f.reason, f.path) for f in report.findings if f.verdict is Verdict.MISSING}
    assert found == {(reasons.BUNDLE_OBJECT, path), (reasons.SEQUENCE_MISSING, path)}


def test_an_object_that_the_bundle_describes_otherwise_is_changed() -> None:
    tree = bundle(example_tree(), set())
    tree.objects["report.html"] = b"<p>"
    manifest = json.loads(tree.objects["bundle.json"])
    manifest["objects"].append({"path": "report.html", "sha256": "0" * 64, "bytes": 3})
    tree.objects["bundle.json"] = json.dumps(manifest).encode()
    assert [(f.reason, f.path) for f in verify(tree, tree.policy).findings] == [
        (reasons.BUNDLE_OBJECT, "report.html")
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda manifest: b"",
        lambda manifest: b"[]",
        lambda manifest: b"[" * 100_000,
        lambda manifest: json.dumps(manifest | {"format": "indelible-bundle/2"}).encode(),
        lambda manifest: json.dumps(manifest | {"objects": [{"path": 1}]}).encode(),
        lambda manifest: json.dumps(
            manifest | {"objects": [{"path": 1, "sha256": None, "bytes": 1}]}
        ).encode(),
        lambda manifest: json.dumps(manifest | {"objects": None}).encode(),
    ],
)
def test_a_manifest_that_cannot_be_understood_excuses_nothing(spoil: Callable[[Any], bytes]) -> None:
    tree = example_tree()
    tree = bundle(tree, outside(tree))
    tree.objects["bundle.json"] = spoil(json.loads(tree.objects["bundle.json"]))
    report = verify(tree, tree.policy)
    assert reasons.BUNDLE_MANIFEST in {f.reason for f in report.findings}
    assert Verdict.MISSING in report.totals
