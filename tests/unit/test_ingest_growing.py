"""A drop that is still being written is left for the next run: half of it is never sealed as the whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from flows import pipeline
from tasks.batch import Drop
from tasks.ingest.limits import Limits
from tasks.ingest.read import read_batch
from tasks.storage.local import LocalStore
from tasks.storage.protocol import ObjectStore
from tests.support.faults import (
    SOURCE,
    drop_text,
    land,
    ledger_lines,
    remembered_gate,
    small_runtime,
    write_contract,
)
from tests.support.ingest import MemoryLanding, contract, field

GROWING = "2026-11-02/001.ndjson"


@pytest.fixture(scope="module", autouse=True)
def gate() -> Iterator[None]:
    with remembered_gate():
        yield


@pytest.mark.parametrize("listed", [0, 7, 9])
def test_a_drop_of_another_size_than_listed_is_left_out(listed: int) -> None:
    landing = MemoryLanding({"a": b'{"a":1}\n', "b": b'{"a":2}\n', "c": b'{"a":3}\n'})
    drops = [Drop("source", key, listed if key == "b" else 8, "e", None, 0) for key in "abc"]
    batch = read_batch(
        cast("ObjectStore", landing), contract(("ndjson",), field("a", "integer")), drops, Limits()
    )
    assert [drop.drop.key for drop in batch.drops] == ["a", "c"]
    assert batch.frame.select("_drop", "a").rows() == [(0, 1), (1, 3)]


def test_the_next_run_seals_what_has_grown_and_seals_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_contract(tmp_path / "contracts")
    whole = land(tmp_path / "landing", 0, 1)
    file = tmp_path / "landing" / GROWING
    file.write_bytes(whole[GROWING][:100])
    runtime = small_runtime(LocalStore(tmp_path / "store"), tmp_path, tmp_path / "landing")
    read = LocalStore.read

    def grows(store: LocalStore, path: str, version_id: str | None = None) -> bytes:
        if path == GROWING:
            file.write_bytes(whole[GROWING])
        return read(store, path, version_id)

    monkeypatch.setattr(LocalStore, "read", grows)
    keys = [
        [line["key"] for line in ledger_lines(runtime.store)]
        for _ in range(3)
        if pipeline.deliver(runtime, SOURCE)
    ]
    assert keys == [["2026-11-02/000.ndjson"], *[["2026-11-02/000.ndjson", GROWING]] * 2]
    sealed = {line["key"]: line["raw_bytes"] for line in ledger_lines(runtime.store)}
    assert sealed[GROWING] == len(drop_text(1))
