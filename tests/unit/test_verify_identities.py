"""Identities files are verified without a key: bytes, columns, order, number of rows and root."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from tasks.evidence import merkle, paths
from tasks.verify import reasons, verify
from tasks.verify.report import Verdict
from tests.support.sealed_tree import (
    IDENTITIES_SCHEMA,
    YEAR,
    Row,
    SealedTree,
    example_batches,
    example_tree,
    leaf_hashes,
    parquet,
)

ENTRY = 2  # the first of the example's entries that has identities


def path_of(tree: SealedTree) -> str:
    return str(tree.entries[ENTRY]["identities"][0]["path"])


def found(tree: SealedTree, **options: Any) -> set[tuple[str, str, Verdict]]:
    findings = verify(tree, tree.policy, **options).findings
    return {(f.reason, f.path, f.verdict) for f in findings if f.reason != reasons.OBJECT_UNNAMED}


def resealed(
    change: Callable[[list[Row]], object], schema: pa.Schema = IDENTITIES_SCHEMA, **facts: Any
) -> SealedTree:
    """The example, whose owner seals other identities: with the root of the changed rows, unless told otherwise."""
    batches = example_batches()
    tree = example_tree(batches)
    batch = batches[ENTRY - 1]
    change(batch.identities)
    rows = [{name: row.get(name) for name in schema.names} for row in batch.identities]
    made = tree.put(
        parquet(rows, schema, batch.seed), lambda digest: paths.identities_file(batch.source, digest)
    )
    root = merkle.root(leaf_hashes(rows, batch.seed)).hex()
    tree.entries[ENTRY]["identities"][0] |= made | {"root": root, "rows": len(rows)} | facts
    return tree.seal(3, 5)


def test_what_is_sealed_holds_with_and_without_rows() -> None:
    tree = example_tree()
    assert path_of(tree).startswith("identities/source=gateway/")
    assert found(tree) == set()
    assert found(tree, rows=False) == {(reasons.ROWS_SKIPPED, "data/", Verdict.NOT_MEASURED)}
    assert found(resealed(lambda rows: rows)) == set()


def test_a_changed_or_removed_file_is_named() -> None:
    tree = example_tree()
    data = bytearray(tree.objects[path_of(tree)])
    data[40] ^= 1
    tree.objects[path_of(tree)] = bytes(data)
    assert found(tree) == {(reasons.OBJECT_HASH, path_of(tree), Verdict.CHANGED)}
    del tree.objects[path_of(tree)]
    assert found(tree) == {(reasons.OBJECT_MISSING, path_of(tree), Verdict.MISSING)}


def test_a_file_that_no_entry_names_is_no_evidence() -> None:
    tree = example_tree()
    extra = paths.identities_file("gateway", "ab" * 32)
    tree.objects[extra] = b"x"
    report = verify(tree, tree.policy)
    assert [(f.reason, f.path) for f in report.findings] == [(reasons.OBJECT_UNNAMED, extra)]
    assert report.ok


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (resealed(lambda rows: rows.reverse()), reasons.ROW_ORDER),
        (resealed(lambda rows: rows.append(dict(rows[-1]))), reasons.ROW_ORDER),
        (resealed(lambda rows: rows, rows=3), reasons.ROW_COUNT),
        (resealed(lambda rows: rows, root="00" * 32), reasons.FILE_ROOT),
        (resealed(lambda rows: rows, IDENTITIES_SCHEMA.remove(2)), reasons.COLUMNS),
        (
            resealed(lambda rows: rows, IDENTITIES_SCHEMA.append(pa.field("value", pa.string()))),
            reasons.COLUMNS,
        ),
        (resealed(lambda rows: rows[0].update(pseudonym=None)), reasons.PARQUET),
    ],
    ids=["order", "twice", "count", "root", "column missing", "column more", "no pseudonym"],
)
def test_an_insiders_lie_about_them_is_found(tree: SealedTree, reason: str) -> None:
    assert (reason, path_of(tree), Verdict.CHANGED) in found(tree)


def test_the_entry_cannot_name_them_elsewhere() -> None:
    tree = example_tree()
    tree.entries[ENTRY]["identities"][0]["path"] = "identities/source=gateway/x.parquet"
    tree.seal(3, 5)
    assert ("malformed-entry", paths.sequence(YEAR, ENTRY), Verdict.CHANGED) in found(tree)
