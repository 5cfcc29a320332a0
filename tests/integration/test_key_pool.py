"""Keys of persons are drawn from a pool that was committed to before: an erasure does not tell whose key it was."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import sqlalchemy as sa

from tasks.evidence.key_table_entry import SUBJECT, commitment
from tasks.keyring.kek_file import FileKek
from tasks.subjects import Cause, KeyTable, destroy_subject, open_database
from tasks.subjects.commitments import unsealed_batches, unsealed_destructions
from tasks.subjects.pool import DRUM, drum_places
from tasks.subjects.schema import SUBJECTS, UNUSED

if TYPE_CHECKING:
    from tests.support.postgres import Postgres

Open = Callable[..., KeyTable]
CAUSE = Cause("ada", "grace", "request 17")


@pytest.fixture(params=["sqlite", "postgresql"])
def open_table(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'state' / 'table.db'}"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.fresh()
    chance = random.Random(7).randrange
    return lambda below=chance: KeyTable(
        open_database(url), FileKek(tmp_path / "keys"), b"i" * 32, random_below=below
    )


def counts(table: KeyTable) -> tuple[int, int]:
    """Keys that somebody has, and keys that nobody has."""
    with table.database.reading() as connection:
        used, unused = (
            connection.scalars(sa.select(sa.func.count()).select_from(rows)).one()
            for rows in (SUBJECTS, UNUSED)
        )
    return used, unused


def test_the_pool_grows_before_the_drum_is_not_full(open_table: Open) -> None:
    table = open_table()
    table.subject_keys(["first"])
    assert counts(table) == (1, DRUM - 1)
    table.subject_keys([f"p{n}" for n in range(DRUM - 1)])
    assert counts(table) == (DRUM, DRUM)
    table.subject_keys(["next"])
    assert counts(table) == (DRUM + 1, DRUM - 1), "it drew from a full drum"
    table.subject_keys(["one more"])
    assert counts(table) == (DRUM + 2, 2 * DRUM - 2)
    table.subject_keys([f"q{n}" for n in range(3_000)])
    assert counts(table) == (DRUM + 3_002, 2 * DRUM - 2 - 3_000 + 2_048)
    assert [batch.count for batch in unsealed_batches(table.database)] == [1_024, 1_024, 1_024, 2_048]


def test_a_pool_that_is_made_by_a_transaction_that_fails_is_not_there(open_table: Open) -> None:
    table = open_table()

    def killed(_: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_table(killed).subject_keys(["ada"])
    assert (counts(table), unsealed_batches(table.database)) == ((0, 0), [])
    table.subject_keys(["ada"])
    with pytest.raises(KeyboardInterrupt):
        open_table(killed).subject_keys(["grace"])
    assert counts(table) == (1, DRUM - 1)


def test_no_key_is_given_twice_and_nobody_gets_two(open_table: Open) -> None:
    groups = [[f"p{n}" for n in range(start, start + 600)] for start in (0, 300, 600, 900)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda group: open_table().subject_keys(group), groups))
    keys: dict[str, set[bytes]] = {}
    for group, of_group in zip(groups, found, strict=True):
        for person, key in zip(group, of_group, strict=True):
            keys.setdefault(person, set()).add(key)
    assert {len(of_person) for of_person in keys.values()} == {1}
    assert len(set.union(*keys.values())) == len(keys) == 1_500
    assert counts(open_table())[0] == 1_500


def test_each_key_was_committed_to_in_a_pool_of_many(open_table: Open) -> None:
    """Persons come alone, and each is erased at once."""
    table, pools = open_table(), dict[bytes, int]()
    for number in range(40):
        (key,) = table.subject_keys([f"p{number}"])
        pools |= {batch.root: batch.count for batch in unsealed_batches(table.database)}
        destroy_subject(table, table.subject_ids([f"p{number}"])[0], CAUSE)
        assert commitment(SUBJECT, key) in {gone.commitment for gone in unsealed_destructions(table.database)}
    destroyed = unsealed_destructions(table.database)
    assert len(destroyed) == 40
    assert {(gone.root, gone.count) for gone in destroyed} <= set(pools.items())
    assert min(pools.values()) >= 1_024


def test_drawing_takes_each_place_at_most_once_and_none_too_early() -> None:
    places = drum_places(5_000, 100, random.Random(3).randrange)
    assert len(set(places)) == 5_000
    assert all(place < 100 + number for number, place in enumerate(places))
    assert set(range(4_000)) < set(places)


@pytest.mark.parametrize("persons", [DRUM, DRUM + 2, DRUM + 19, DRUM + 100, 2 * DRUM + 12, 4 * DRUM])
def test_whoever_knows_the_order_of_persons_cannot_tell_whose_key_was_destroyed(persons: int) -> None:
    """The newest person is erased at once. How likely is the best guess, from the commitment's pool, to be right?

    Exact: the key at place x of the queue is drawn by person t with probability 1/D (1 - 1/D)**w, where w is for how
    many draws it lay in the drum before. All pools have 1,024 keys, which is the worst.
    """
    numbers = np.arange(1, persons + 1)
    right = 0.0
    bounds = range(0, 6 * DRUM, DRUM)
    for first, end in pairwise(bounds):
        waited = numbers[:, None] - 1 - np.maximum(np.arange(first, end) - DRUM + 1, 0)[None, :]
        chance = np.where(waited >= 0, (1 - 1 / DRUM) ** np.maximum(waited, 0) / DRUM, 0.0).sum(axis=1)
        if chance[-1] > 0:
            right += chance[-1] * chance.max() / chance.sum()
    assert right < 1 / 290
