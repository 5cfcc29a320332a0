"""Four deliverers at once, in processes of their own, whose landing places overlap, on a real S3 server."""

from __future__ import annotations

from pathlib import Path

from tests.support.faults import Delivery, check_history, fresh_bucket, land, seal_entries, write_contract
from tests.support.s3 import S3

DROPS = 8
JOIN_S = 240


def test_four_deliverers_with_overlapping_drops_write_one_history(s3: S3, tmp_path: Path) -> None:
    write_contract(tmp_path / "contracts")
    place = fresh_bucket(s3)
    deliveries = [
        Delivery(tmp_path, tmp_path / f"landing-{n}", tmp_path / f"state-{n}", s3=place, batch_drops=2)
        for n in range(4)
    ]
    contents: dict[str, bytes] = {}
    for n, delivery in enumerate(deliveries):
        contents |= land(delivery.landing, *sorted((2 * n + i) % DROPS for i in range(5)))
    deliveries[0].runtime(deliveries[0].store())  # the keys, before anybody needs them
    running = [delivery.start() for delivery in deliveries]
    for process in running:
        process.join(JOIN_S)
    assert [process.exitcode for process in running] == [0, 0, 0, 0]

    runtime = deliveries[0].runtime(deliveries[0].store())
    check_history(runtime, contents, leftovers=True)
    assert len(seal_entries(runtime.store)) >= DROPS // 2
