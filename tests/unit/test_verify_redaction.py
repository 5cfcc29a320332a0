"""The redaction report of an entry: what is malformed, contradicts itself or its entry, is pointed out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasks.evidence import paths
from tasks.evidence.canonical import canonical_json
from tasks.verify import reasons, verify
from tests.support.sealed_tree import SealedTree, example_batches, redaction_report

SOURCE = "cloudtrail"
Change = Callable[[dict[str, Any]], object]


def tree(data: bytes) -> SealedTree:
    """One batch, whose redaction report is `data`."""
    made = SealedTree()
    made.genesis()
    entry = made.add(example_batches()[0])
    entry["redaction"] = made.put(data, lambda digest: paths.redaction(SOURCE, digest))
    return made.seal()


def found(made: SealedTree) -> set[str]:
    report = verify(made, made.policy)
    return {f.reason for f in report.findings if f.reason != reasons.OBJECT_UNNAMED}


def report(**changes: Any) -> dict[str, Any]:
    accepted = sum(drop["accepted"] for drop in example_batches()[0].drops)
    return {**redaction_report(SOURCE, accepted), **changes}


def leak(**changes: Any) -> dict[str, Any]:
    return {"detector": "email", "drop": 0, "field": "actor", "line": 1, "rows": 1, **changes}


def test_a_report_with_hits_and_leaks_holds() -> None:
    hit = {"detector": "email", "field": "actor", "texts": 10**6}
    assert found(tree(canonical_json(report(hits=[hit], leaks=[leak()])))) == set()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("extra", 1),
        ("rows", -1),
        ("format", "indelible/2"),
        ("fields", [{"field": "actor", "rows": 1, "treatment": "keep"}] * 2),
        ("fields", [{"field": "actor", "rows": 10**9, "treatment": "keep"}]),
        ("hits", [{"detector": "email", "field": "other", "texts": 1}]),
        ("leaks", [leak(field="other")]),
        ("leaks", [leak(value="bob@example.org")]),
        ("canaries", {"planted": 2, "redacted": 1, "rescanned": 2}),
        ("canaries", {"planted": 0, "redacted": 0, "rescanned": 0}),
    ],
)
def test_a_malformed_report_is_pointed_out(name: str, value: object) -> None:
    assert found(tree(canonical_json(report(**{name: value})))) == {reasons.REDACTION_FORM}


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"{ }", b"\xff"])
def test_what_is_no_report_is_pointed_out(data: bytes) -> None:
    assert found(tree(data)) == {reasons.REDACTION_FORM}


@pytest.mark.parametrize(
    ("name", "value"),
    [("rows", 10**6), ("source", "gateway"), ("contract", "0" * 64), ("leaks", [leak(rows=10**6)])],
)
def test_a_report_about_other_rows_is_pointed_out(name: str, value: object) -> None:
    assert found(tree(canonical_json(report(**{name: value})))) == {reasons.REDACTION_COUNTS}


def test_a_report_that_is_gone_is_missing() -> None:
    made = tree(canonical_json(report()))
    del made.objects[made.entries[1]["redaction"]["path"]]
    assert found(made) == {reasons.OBJECT_MISSING}
