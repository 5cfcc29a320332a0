"""Deliveries killed (SIGKILL, a process each) at random writes, and started again until one lives."""

from __future__ import annotations

import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.faults import Delivery, check_history, fresh_bucket, land, write_contract
from tests.support.s3 import S3

SHORTEST = 11  # writes of a delivery that seals one batch on one date; see test_write_faults
JOIN_S = 240


def kill_again_and_again(delivery: Delivery, kills: int, seed: int) -> None:
    """Before each run another drop lands; all runs but the last are killed."""
    moments = random.Random(seed)
    contents: dict[str, bytes] = {}
    for number in range(kills):
        contents |= land(delivery.landing, number)
        doomed = replace(
            delivery, kill_at=moments.randrange(SHORTEST), persisted=moments.random() < 0.5
        ).start()
        doomed.join(JOIN_S)
        assert doomed.exitcode == -signal.SIGKILL
    last = delivery.start()
    last.join(JOIN_S)
    assert last.exitcode == 0
    check_history(delivery.runtime(delivery.store()), contents, leftovers=True)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_directory_after_ten_killed_deliveries_holds_one_complete_history(
    seed: int, tmp_path: Path
) -> None:
    write_contract(tmp_path / "contracts")
    delivery = Delivery(tmp_path, tmp_path / "landing", tmp_path / "state", directory=tmp_path / "store")
    kill_again_and_again(delivery, 10, seed)


def test_a_bucket_after_five_killed_deliveries_holds_one_complete_history(s3: S3, tmp_path: Path) -> None:
    write_contract(tmp_path / "contracts")
    delivery = Delivery(tmp_path, tmp_path / "landing", tmp_path / "state", s3=fresh_bucket(s3))
    kill_again_and_again(delivery, 5, 3)
