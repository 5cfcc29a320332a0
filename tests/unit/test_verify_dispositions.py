"""A verifier believes a discard only of lines that an earlier batch set aside."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.evidence import merkle
from tasks.evidence.canonical import parse_canonical
from tasks.verify import reasons, verify
from tests.support.sealed_tree import SEALED_AT, YEAR, SealedTree, example_batch

SOURCE = "gateway"


def tree_with_batch() -> tuple[SealedTree, dict[str, Any], int]:
    """A log of one batch, how a discard names it, and how many lines it has in quarantine."""
    tree = SealedTree()
    tree.genesis()
    tree.add(example_batch(SOURCE, 0))
    tree.seal()
    data = tree.objects[f"log/{YEAR}/seq/{1:020d}"]
    leaf = merkle.leaf_hash(data).hex()
    batch = {"entry": 1, "leaf": leaf, "shard": YEAR, "source": SOURCE}
    return tree, batch, parse_canonical(data)["sums"]["quarantined"]


def found(tree: SealedTree, *discards: dict[str, Any]) -> set[str]:
    common = {"format": "indelible/1", "sealed_at": SEALED_AT, "type": "disposition", "action": "discard"}
    people = {"approver": "bob", "reason": "test data", "requested_by": "alice"}
    tree.entries += [{**common, **people, **discard} for discard in discards]
    tree.seal()
    return {finding.reason for finding in verify(tree, tree.policy).findings}


def test_a_discard_of_lines_that_were_set_aside_holds() -> None:
    tree, batch, quarantined = tree_with_batch()
    assert quarantined > 1
    first = {"batch": batch, "lines": 1}
    assert found(tree, first, {"batch": batch, "lines": quarantined - 1}) == set()


@pytest.mark.parametrize(
    "change",
    [{"entry": 0}, {"entry": 2}, {"shard": YEAR - 1}, {"source": "app"}, {"leaf": "0" * 64}],
    ids=["no-batch", "later", "year", "source", "leaf"],
)
def test_a_discard_of_another_batch_is_reported(change: dict[str, Any]) -> None:
    tree, batch, _ = tree_with_batch()
    assert found(tree, {"batch": batch | change, "lines": 1}) == {reasons.DISCARD}


def test_a_discard_of_more_lines_than_were_set_aside_is_reported() -> None:
    tree, batch, quarantined = tree_with_batch()
    discards = ({"batch": batch, "lines": quarantined}, {"batch": batch, "lines": 1})
    assert found(tree, *discards) == {reasons.DISCARD}
