"""What an auditor's copy tells about completeness: holes, false inventories, drops that were left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasks.evidence import paths
from tasks.verify import reasons, verify
from tests.support.heartbeats import beat, gap, line, put_list
from tests.support.sealed_tree import YEAR, SealedTree, example_batch

SOURCE = "gateway"
NEWEST = (1, 0)


def tree_with_batch() -> SealedTree:
    """A log of a genesis entry and one batch, to which a test adds heartbeats."""
    tree = SealedTree()
    tree.genesis()
    tree.add(example_batch(SOURCE, 0))
    return tree.seal()


def drops(tree: SealedTree) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Inventory lines of the batch's two drops, and the counts of their ledger lines."""
    ledger = example_batch(SOURCE, 0).drops
    lines = [line(d["key"], d["bytes"], (YEAR, 1, d["index"])) for d in ledger]
    return lines, {name: sum(d[name] for d in ledger) for name in ("lines", "accepted")}


def found(tree: SealedTree) -> set[str]:
    """Reason codes of the sealed tree."""
    tree.seal()
    report = verify(tree, tree.policy)
    return {finding.reason for finding in report.findings}


def test_heartbeats_that_say_what_is_sealed_hold_also_those_of_silence() -> None:
    tree = tree_with_batch()
    lines, counts = drops(tree)
    beat(tree, SOURCE, 3, lines, NEWEST, counts=counts)
    beat(tree, SOURCE, 4, (), NEWEST)
    beat(tree, "app", 4)
    assert found(tree) == set()


def test_an_interval_that_was_left_out_is_not_measured_until_a_gap_entry_explains_it() -> None:
    tree = tree_with_batch()
    beat(tree, SOURCE, 3, (), NEWEST)
    beat(tree, SOURCE, 6, (), NEWEST)
    assert found(tree) == {reasons.HEARTBEAT_HOLE}
    gap(tree, SOURCE, 4, 5, ("heartbeat-missing", None, 4, 5))
    assert found(tree) == {reasons.HEARTBEAT_HOLE}
    gap(tree, SOURCE, 3, 6, ("heartbeat-missing", None, 4, 6))
    assert found(tree) == set()


def test_a_drop_that_waited_is_reported_until_it_is_sealed_or_explained() -> None:
    waiting = example_batch(SOURCE, 1).drops[0]
    tree = tree_with_batch()
    beat(tree, SOURCE, 3, [line(waiting["key"], waiting["bytes"], None)], NEWEST)
    assert found(tree) == {reasons.DROP_NOT_SEALED}
    explained = len(tree.entries)
    gap(tree, SOURCE, 3, 4, ("drop-vanished", waiting["key"], 3, 4))
    assert found(tree) == set()
    del tree.entries[explained]
    tree.add(example_batch(SOURCE, 1))
    assert reasons.DROP_NOT_SEALED not in found(tree)


def of_another_key(tree: SealedTree) -> None:
    lines, counts = drops(tree)
    beat(tree, SOURCE, 3, [line("other", 900, (YEAR, 1, 0)), lines[1]], NEWEST, counts=counts)


def of_no_ledger_line(tree: SealedTree) -> None:
    lines, counts = drops(tree)
    beat(tree, SOURCE, 3, [*lines, line("third", 900, (YEAR, 1, 2))], NEWEST, counts=counts)


def of_another_source(tree: SealedTree) -> None:
    lines, counts = drops(tree)
    beat(tree, "app", 3, lines, counts=counts)


def with_wrong_counts(tree: SealedTree) -> None:
    lines, counts = drops(tree)
    beat(tree, SOURCE, 3, lines, NEWEST, counts=counts | {"lines": 1_000})


def out_of_order(tree: SealedTree) -> None:
    lines, counts = drops(tree)
    entry = beat(tree, SOURCE, 3, lines, NEWEST, counts=counts)
    entry["inventory"] = put_list(tree, sorted(lines, key=str, reverse=True), ordered=False)


def over_one_hour_twice(tree: SealedTree) -> None:
    beat(tree, SOURCE, 3, (), NEWEST)
    beat(tree, SOURCE, 3, (), NEWEST)


def before_the_one_before(tree: SealedTree) -> None:
    beat(tree, SOURCE, 4, (), NEWEST)
    beat(tree, SOURCE, 2, (), NEWEST)


def without_the_newest(tree: SealedTree) -> None:
    beat(tree, SOURCE, 3)


def with_another_leaf(tree: SealedTree) -> None:
    entry = beat(tree, SOURCE, 3, (), NEWEST)
    entry["newest"]["leaf"] = "0" * 64


def a_gap_of_other_codes(tree: SealedTree) -> None:
    gap(tree, SOURCE, 3, 4, ("silence", None, 3, 4))["codes"] = ["event-gap"]


def a_gap_outside_its_time(tree: SealedTree) -> None:
    gap(tree, SOURCE, 3, 4, ("silence", None, 3, 5))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (of_another_key, reasons.HEARTBEAT_INVENTORY),
        (of_no_ledger_line, reasons.HEARTBEAT_INVENTORY),
        (of_another_source, reasons.HEARTBEAT_INVENTORY),
        (with_wrong_counts, reasons.HEARTBEAT_INVENTORY),
        (out_of_order, reasons.HEARTBEAT_INVENTORY),
        (over_one_hour_twice, reasons.HEARTBEAT_CHAIN),
        (before_the_one_before, reasons.HEARTBEAT_CHAIN),
        (without_the_newest, reasons.HEARTBEAT_NEWEST),
        (with_another_leaf, reasons.HEARTBEAT_NEWEST),
        (a_gap_of_other_codes, reasons.GAP_LIST),
        (a_gap_outside_its_time, reasons.GAP_LIST),
    ],
    ids=lambda value: value.__name__ if callable(value) else str(value),
)
def test_a_false_statement_about_completeness_is_found(
    change: Callable[[SealedTree], None], code: str
) -> None:
    tree = tree_with_batch()
    change(tree)
    # Lists of `out_of_order` that were replaced before sealing lie around, which is said and harms nothing.
    assert found(tree) - {reasons.OBJECT_UNNAMED} == {code}


def test_an_inventory_that_was_altered_or_removed_is_found() -> None:
    tree = tree_with_batch()
    lines, counts = drops(tree)
    path = beat(tree, SOURCE, 3, lines, NEWEST, counts=counts)["inventory"]["path"]
    tree.seal()
    whole = tree.objects[path]
    tree.objects[path] = whole.replace(b'"landed":true', b'"landed":false', 1)[: len(whole)]
    codes = {finding.reason for finding in verify(tree, tree.policy).findings}
    assert codes & {reasons.OBJECT_HASH, reasons.OBJECT_SIZE}
    del tree.objects[path]
    assert {finding.reason for finding in verify(tree, tree.policy).findings} == {reasons.OBJECT_MISSING}


def test_without_its_ledger_an_inventory_is_not_measured() -> None:
    tree = tree_with_batch()
    lines, counts = drops(tree)
    beat(tree, SOURCE, 3, lines, NEWEST, counts=counts)
    tree.seal()
    del tree.objects[tree.entries[1]["ledger"]["path"]]
    codes = {finding.reason for finding in verify(tree, tree.policy).findings}
    assert reasons.COMPLETENESS_SKIPPED in codes
    assert reasons.HEARTBEAT_INVENTORY not in codes


def test_past_an_entry_that_is_lost_no_chain_is_judged() -> None:
    tree = tree_with_batch()
    beat(tree, SOURCE, 3, (), NEWEST)
    beat(tree, SOURCE, 6, (), NEWEST)
    tree.seal()
    for path in [p for p in tree.objects if "/entries/" in p or p == paths.sequence(YEAR, 1)]:
        del tree.objects[path]
    codes = {finding.reason for finding in verify(tree, tree.policy).findings}
    assert reasons.HEARTBEAT_HOLE not in codes
    assert reasons.HEARTBEAT_NEWEST not in codes


def test_whether_a_drop_was_sealed_later_is_not_measured_without_the_later_ledgers() -> None:
    waiting = example_batch(SOURCE, 1).drops[0]
    tree = tree_with_batch()
    beat(tree, SOURCE, 3, [line(waiting["key"], waiting["bytes"], None)], NEWEST)
    later = tree.add(example_batch(SOURCE, 1))
    tree.seal()
    del tree.objects[later["ledger"]["path"]]
    codes = {finding.reason for finding in verify(tree, tree.policy).findings}
    assert reasons.COMPLETENESS_SKIPPED in codes
    assert reasons.DROP_NOT_SEALED not in codes
