"""Listing a landing place and planning batches."""

from __future__ import annotations

from tasks.batch import Drop
from tasks.ingest.listing import list_drops, plan
from tests.support.ingest import MemoryLanding, contract, field


def drop(key: str, size: int = 1) -> Drop:
    return Drop("source", key, size, "e", None, 0)


def test_patterns_of_the_contract_decide() -> None:
    source = contract(
        ("ndjson",),
        field("a"),
        landing_include=("logs/*.json*", "*.log"),
        landing_exclude=("*_truth*", "logs/tmp/*"),
    )
    keys = [
        "logs/b.json.gz",
        "logs/2026/a.json",
        "logs/tmp/c.json",
        "_truth/x.log",
        ".hidden.log",
        "LOGS/d.json",
    ]
    landing = MemoryLanding(dict.fromkeys(keys, b"12"))
    drops = list(list_drops(landing, source))
    assert [found.key for found in drops] == [".hidden.log", "logs/2026/a.json", "logs/b.json.gz"]
    assert drops[0] == Drop("source", ".hidden.log", 2, "e", None, 1_793_491_200_000_000)


def test_batches_are_bounded_by_bytes_and_by_count() -> None:
    drops = [drop("d", 1), drop("a", 6), drop("b", 5), drop("c", 40), drop("e", 1), drop("f", 1)]
    batches = plan(drops, max_bytes=11, max_drops=2)
    assert [[found.key for found in batch] for batch in batches] == [["a", "b"], ["c"], ["d", "e"], ["f"]]


def test_compressed_drop_counts_for_more_than_its_stored_bytes() -> None:
    batches = plan([drop("a.gz", 6), drop("b.gz", 6)], max_bytes=20, max_drops=9)
    assert [len(batch) for batch in batches] == [1, 1]


def test_nothing_new_is_no_batch() -> None:
    assert list(plan([], max_bytes=1, max_drops=1)) == []
