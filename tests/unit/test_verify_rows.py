"""Rows by columns: the vectorised hasher equals the plain one, and never has the last word on a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import IndelibleError, VerificationError
from tasks.evidence.rows import PersonalGroup
from tasks.leaves import parquet_leaves
from tasks.verify import Verdict, reasons, verify
from tasks.verify.leaves import plain_leaves
from tests.support.sealed_tree import DATA_SCHEMA, SealedTree, example_batch, example_tree, parquet

SEED = bytes(range(32))
GROUP = PersonalGroup(("actor", "tags"), bytes(32))


def silent(_: int) -> None:
    return None


def one_column(name: str, value: object, kind: pa.DataType) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({name: pa.array([value], kind)}), sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("personal", [None, GROUP], ids=["public", "personal"])
@pytest.mark.parametrize("group", [4, 100_000])
def test_the_fast_leaves_of_a_file_are_the_plain_ones(group: int, personal: PersonalGroup | None) -> None:
    rows = example_batch("app", 0, drops=3, lines=3_000).data
    data = parquet(rows, DATA_SCHEMA, SEED, group=group)
    steps: list[int] = []
    assert parquet_leaves(data, SEED, personal, steps.append) == plain_leaves(data, SEED, personal, silent)
    assert steps[-1] == len(rows)


def test_row_groups_of_more_than_one_step_go_on_where_the_last_one_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.leaves.ROW_GROUP", 100)
    data = parquet(example_batch("app", 0, lines=700).data, DATA_SCHEMA, SEED)
    assert parquet_leaves(data, SEED, None) == plain_leaves(data, SEED, None, silent)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("count", 2**53, pa.int64()),
        ("count", -(2**63), pa.int64()),
        ("when", 2**53, pa.timestamp("us", "UTC")),
        ("a name", "x", pa.string()),
        ('na"me', "x", pa.string()),
        ("n\U0001f600", "x", pa.string()),
        ("real", 0.5, pa.float64()),
    ],
    ids=["large", "least", "late", "space", "quote", "astral", "float"],
)
def test_the_fast_way_refuses_what_it_is_not_exact_about(name: str, value: object, kind: pa.DataType) -> None:
    with pytest.raises(IndelibleError):
        parquet_leaves(one_column(name, value, kind), SEED, None)


def test_bytes_that_are_no_parquet_are_refused() -> None:
    with pytest.raises(IndelibleError):
        parquet_leaves(b"PAR1 nothing PAR1", SEED, None)


def lies(data: bytes, *_: Any) -> bytes:
    return bytes(32)


def refuses(*_: Any) -> bytes:
    raise IndelibleError("it cannot be exact about this file")


@pytest.mark.parametrize("hasher", [lies, refuses])
def test_no_finding_rests_on_another_hasher_than_the_plain_one(hasher: Callable[..., bytes]) -> None:
    tree = example_tree()
    assert verify(tree, tree.policy, hasher=hasher).findings == ()


def test_the_plain_way_is_not_taken_where_the_fast_one_says_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    def used(*_: Any) -> bytes:
        raise VerificationError(reasons.FILE_ROOT, "the plain way was used")

    monkeypatch.setattr("tasks.verify.leaves.plain_leaves", used)
    tree = example_tree()
    assert verify(tree, tree.policy, hasher=parquet_leaves).findings == ()


def test_a_vectorised_reader_is_not_let_near_bytes_that_nobody_sealed() -> None:
    read: list[bytes] = []

    def watches(data: bytes, *rest: Any) -> bytes:
        read.append(data)
        return parquet_leaves(data, *rest)

    tree = example_tree()
    path = next(path for path in tree.objects if path.startswith("data/"))
    tree.objects[path] = tree.objects[path][:-50] + bytes(50)
    verify(tree, tree.policy, hasher=watches)
    assert len(read) > 0
    assert tree.objects[path] not in read


def checked(tree: SealedTree, path: str) -> dict[str, Verdict]:
    report = verify(tree, tree.policy, only=path)
    assert report.counted.get("objects", 0) <= 1
    return {finding.reason: finding.verdict for finding in report.findings}


def test_one_object_is_checked_alone_with_the_logs() -> None:
    tree = example_tree()
    files = [path for path in tree.objects if path.startswith("data/")]
    assert checked(tree, files[0]) == {reasons.OBJECTS_SKIPPED: Verdict.NOT_MEASURED}
    tree.objects[files[1]] = b""
    assert checked(tree, files[0]) == {reasons.OBJECTS_SKIPPED: Verdict.NOT_MEASURED}
    assert checked(tree, files[1])[reasons.OBJECT_SIZE] is Verdict.CHANGED


@pytest.mark.parametrize("kind", ["contracts/", "gate/", "ledger/", "quarantine/"])
def test_any_object_of_a_batch_can_be_checked_alone(kind: str) -> None:
    tree = example_tree()
    path = next(path for path in sorted(tree.objects) if path.startswith(kind))
    assert checked(tree, path) == {reasons.OBJECTS_SKIPPED: Verdict.NOT_MEASURED}
    del tree.objects[path]
    assert checked(tree, path)[reasons.OBJECT_MISSING] is Verdict.MISSING


def test_an_object_that_no_entry_names_cannot_be_asked_for() -> None:
    tree = example_tree()
    with pytest.raises(IndelibleError, match="no entry of the log names data/x"):
        verify(tree, tree.policy, only="data/x")


@pytest.mark.parametrize("kind", ["data/", "contracts/", "ledger/"])
def test_batches_that_are_checked_at_the_same_time_give_the_same_report(kind: str) -> None:
    tree = example_tree([example_batch("app", number) for number in range(6)], sizes=(7,))
    for path in sorted(tree.objects):
        if path.startswith(kind):
            tree.objects[path] = tree.objects[path][:-1] + b"?"
    report = verify(tree, tree.policy)
    assert not report.ok
    assert verify(tree, tree.policy, hasher=parquet_leaves, at_once=3) == report
