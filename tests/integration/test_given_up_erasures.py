"""A log whose end is given up takes no erasure back: what was destroyed stays so, and the log goes on saying it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from flows import evidence, key_backups, keys, pipeline
from flows.entries import append_entry
from tasks.evidence import merkle
from tasks.evidence.key_table_entry import SUBJECT, commitment
from tasks.log import reader
from tasks.subjects.schema import BATCHES
from tests.integration.test_erasure import ALICE, BOB, ORDER, Killed, Place, filled, small

__all__ = ["filled", "small"]  # fixtures


def erase_and_give_up(place: Place, backup: Path, *forged: Mapping[str, Any]) -> keys.Recovered:
    key_backups.back_up(place.runtime, backup)
    [shard] = reader.shards(place.store)
    good = reader.integrated(place.store, shard)
    place.erase(ALICE)
    with place.runtime.catalog() as catalog:
        for entry in forged:
            append_entry(place.runtime, catalog, str(entry["type"]), entry)
        pipeline.publish(place.runtime, catalog)
    return keys.compromise(place.runtime, ORDER, good)


def forged(place: Place) -> list[dict[str, Any]]:
    """What the thief of the signing key may write of a person who was not erased, of lines, and of nothing."""
    table, words = (
        place.runtime.key_table,
        {"approver": "carla", "reason": "letter 18", "requested_by": "dennis"},
    )
    [key] = [table.known_key(subject) for subject in table.subject_ids([BOB])]
    assert key is not None
    leaf = commitment(SUBJECT, key)
    with table.database.reading() as connection:
        batch = connection.execute(select(BATCHES).where(BATCHES.c.name == SUBJECT)).one()
    leaves = [batch.commitments[at : at + 32] for at in range(0, len(batch.commitments), 32)]
    proof = merkle.inclusion_proof([merkle.leaf_hash(one) for one in leaves], leaves.index(leaf))
    shred = {
        "commitment": leaf.hex(), "count": len(leaves), "index": leaves.index(leaf), "name": SUBJECT,
        "proof": [digest.hex() for digest in proof], "root": batch.root.hex(),
    }  # fmt: skip
    common: dict[str, Any] = {"approval": None, "certificate": "c" * 64, "part": 1, "parts": 1}
    claims: list[dict[str, Any]] = [
        {"keys": [leaf.hex()], "lines": []},
        {"keys": [], "lines": [{"drop": place.digest(), "lines": [25]}]},
        {"keys": [], "lines": [{"drop": "d" * 64, "lines": [1]}]},
        {"keys": [], "lines": []},
    ]
    return [
        {**words, **shred, "action": "shred", "type": "key"},
        *(
            {**words, **common, **claim, "action": "erase", "request": f"{number:032x}", "type": "erasure"}
            for number, claim in enumerate(claims)
        ),
    ]


def test_no_backup_brings_back_whose_erasure_was_given_up(small: Place, tmp_path: Path) -> None:
    table = small.runtime.key_table
    subjects = table.subject_ids([ALICE, BOB])
    assert erase_and_give_up(small, tmp_path / "table.backup").erasures_left == 0
    shard = reader.shards(small.store)[-1]
    assert small.query("SELECT shard, keys, lines FROM erasures") == [(shard, 1, 1)]
    assert evidence.verify_store(small.runtime).ok
    key_backups.restore(small.runtime, tmp_path / "table.backup")
    assert [table.known_key(subject) is None for subject in subjects] == [True, False]
    assert small.lines() == {25: "encrypted", 26: "erased", 27: "encrypted"}


def test_what_a_thief_says_of_living_keys_is_not_sealed_again(small: Place, tmp_path: Path) -> None:
    false = forged(small)
    assert erase_and_give_up(small, tmp_path / "table.backup", *false).erasures_left == 4
    assert small.query("SELECT count(*) FROM keys WHERE action = 'shred' AND key = 'subject'") == [(1,)]
    assert small.query("SELECT keys, lines FROM erasures") == [(1, 1)]
    report = evidence.verify_store(small.runtime)
    assert report.ok, report.findings


def test_a_crash_while_the_log_is_given_up_loses_no_destruction(
    small: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise Killed

    [subject] = small.runtime.key_table.subject_ids([ALICE])
    monkeypatch.setattr(keys, "seal_erasures", killed)
    with pytest.raises(Killed):
        erase_and_give_up(small, tmp_path / "table.backup")
    key_backups.restore(small.runtime, tmp_path / "table.backup")
    assert small.runtime.key_table.known_key(subject) is None
    monkeypatch.undo()
    [lost, shard] = reader.shards(small.store)
    begun = reader.recovery(small.store, lost)
    assert begun is not None
    good = int(begun["previous_shard"].splitlines()[1])
    for _ in range(2):
        assert keys.compromise(small.runtime, ORDER, good).shard == shard
        assert small.query("SELECT shard, keys, lines FROM erasures") == [(shard, 1, 1)]
    assert reader.shards(small.store) == [lost, shard]
    assert evidence.verify_store(small.runtime).ok
