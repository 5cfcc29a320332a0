"""Deliverers at once, in processes of their own, whose landing places overlap, on a real S3 server."""

from __future__ import annotations

import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.faults import Delivery, check_history, fresh_bucket, land, seal_entries, write_contract
from tests.support.s3 import S3

DROPS_EACH = 4
# Each deliverer has a drop that no other has, so each must seal: a contract, a gate, files, a ledger, an entry.
CERTAIN_WRITES = 6
JOIN_S = 400


@pytest.mark.parametrize(("deliverers", "killed", "seed"), [(8, 3, 1)])
def test_deliverers_with_overlapping_drops_write_one_history_whoever_of_them_dies(
    deliverers: int, killed: int, seed: int, s3: S3, tmp_path: Path
) -> None:
    write_contract(tmp_path / "contracts")
    place, dice = fresh_bucket(s3), random.Random(seed)
    everything = Delivery(tmp_path, tmp_path / "landing", tmp_path / "state", s3=place)
    everything.runtime(everything.store())  # the keys, before anybody needs them
    doomed = set(dice.sample(range(deliverers), killed))
    running = []
    contents: dict[str, bytes] = {}
    for n in range(deliverers):
        landing = tmp_path / f"landing-{n}"
        shared = {(n + i) % deliverers for i in range(DROPS_EACH - 1)}
        contents |= land(landing, *sorted(shared), deliverers + n)
        delivery = replace(everything, landing=landing, state=tmp_path / f"state-{n}", batch_drops=2)
        if n in doomed:
            moment, persisted = dice.randrange(CERTAIN_WRITES), dice.random() < 0.5
            delivery = replace(delivery, kill_at=moment, persisted=persisted)
        running.append(delivery.start())
    for n, process in enumerate(running):
        process.join(JOIN_S)
        assert process.exitcode == (-signal.SIGKILL if n in doomed else 0), n

    land(everything.landing, *range(2 * deliverers))
    last = everything.start()
    last.join(JOIN_S)
    assert last.exitcode == 0
    runtime = everything.runtime(everything.store())
    check_history(runtime, contents, leftovers=True)
    assert len(seal_entries(runtime.store)) >= deliverers - killed
