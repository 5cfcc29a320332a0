"""Listing a landing place and planning batches."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tasks.batch import Drop
from tasks.ingest.listing import drop_date, list_drops, plan
from tests.support.ingest import MemoryLanding, contract, field


def drop(key: str, size: int = 1, landed: datetime = datetime(2026, 11, 24, tzinfo=UTC)) -> Drop:
    return Drop("source", key, size, "e", None, int(landed.timestamp()) * 1_000_000)


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


@pytest.mark.parametrize(
    ("key", "day"),
    [
        ("AWSLogs/111122223333/CloudTrail/eu-west-1/2023/07/10/x.json.gz", date(2023, 7, 10)),
        ("app-2023-07-10.ndjson", date(2023, 7, 10)),
        ("app-20230710T1015Z.gz", date(2023, 7, 10)),
        ("2023/02/30/app-2023-07-10.log", date(2023, 7, 10)),  # the first is no date
        ("120230710.log", date(2026, 11, 24)),  # part of a longer number
        ("20230710123.log", date(2026, 11, 24)),
        ("access.log", date(2026, 11, 24)),
    ],
)
def test_a_drop_has_the_date_of_its_key_or_of_its_landing(key: str, day: date) -> None:
    assert drop_date(drop(key, landed=datetime(2026, 11, 24, tzinfo=UTC))) == day


def test_batches_are_bounded_by_bytes_and_by_count() -> None:
    drops = [drop("d", 1), drop("a", 6), drop("b", 5), drop("c", 40), drop("e", 1), drop("f", 1)]
    batches = plan(drops, max_bytes=11, max_drops=2, max_dates=9)
    assert [[found.key for found in batch] for batch in batches] == [["a", "b"], ["c"], ["d", "e"], ["f"]]


def test_batches_are_bounded_by_dates_over_all_prefixes() -> None:
    days = [drop(f"{region}/2026/11/0{day}/x") for region in ("eu", "us") for day in (1, 2, 3)]
    batches = plan(days, max_bytes=99, max_drops=99, max_dates=2)
    assert [[found.key for found in batch] for batch in batches] == [
        ["eu/2026/11/01/x", "us/2026/11/01/x", "eu/2026/11/02/x", "us/2026/11/02/x"],
        ["eu/2026/11/03/x", "us/2026/11/03/x"],
    ]


def test_compressed_drop_counts_for_more_than_its_stored_bytes() -> None:
    batches = plan([drop("a.gz", 6), drop("b.gz", 6)], max_bytes=20, max_drops=9, max_dates=9)
    assert [len(batch) for batch in batches] == [1, 1]


def test_nothing_new_is_no_batch() -> None:
    assert list(plan([], max_bytes=1, max_drops=1, max_dates=1)) == []
