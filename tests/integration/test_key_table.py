"""The key table on both databases: one key for all who ask at once, and nothing left of one that was destroyed."""

from __future__ import annotations

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tasks.errors import KeyServiceUnreachableError, KeyTableBusyError, KeyUnavailableError, UsageError
from tasks.evidence import merkle
from tasks.evidence.key_table_entry import SUBJECT, commitment
from tasks.keyring.kek_file import FileKek
from tasks.subjects import (
    Cause,
    KeyTable,
    Place,
    destroy_lines,
    destroy_month,
    destroy_subject,
    open_database,
    rewrap,
)
from tasks.subjects.commitments import (
    forget_destruction,
    mark_all_unsealed,
    mark_sealed,
    unsealed_batches,
    unsealed_destructions,
)
from tasks.subjects.line_keys import without_line_keys
from tasks.subjects.pool import DRUM
from tasks.subjects.schema import SUBJECTS, TABLE_KEYS, UNUSED

if TYPE_CHECKING:
    from tests.support.postgres import Postgres

INDEX_KEY = b"i" * 32
CAUSE = Cause("ada", "grace", "request 17")
FIVE = [0, 1, 2, 400, 999_999]
PEOPLE = [f"person-{number}@example.org" for number in range(3_000)]
Open = Callable[[], KeyTable]


@pytest.fixture(params=["sqlite", "postgresql"])
def open_table(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same table again and again, as other processes would."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'state' / 'table.db'}"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.fresh()
    return lambda: KeyTable(open_database(url), FileKek(tmp_path / "keys"), INDEX_KEY)


def test_a_person_keeps_a_key_of_their_own(open_table: Open) -> None:
    keys = open_table().subject_keys(PEOPLE)
    assert len(set(keys)) == len(PEOPLE)
    assert {len(key) for key in keys} == {32}
    assert open_table().subject_keys(PEOPLE[::-1]) == keys[::-1]
    assert open_table().subject_keys([]) == []


def test_all_who_ask_at_once_get_the_same_keys(open_table: Open) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: open_table().subject_keys(PEOPLE[:500]), range(4)))
        months = set(pool.map(lambda _: open_table().month_key("pseudonym", "2026-11"), range(4)))
    assert found == [found[0]] * 4
    assert len(months) == 1


def test_subject_ids_need_the_index_key(open_table: Open) -> None:
    table = open_table()
    (subject,) = table.subject_ids(PEOPLE[:1])
    assert len(bytes.fromhex(subject)) == 16
    other = KeyTable(table.database, table.kek, b"j" * 32)
    assert other.subject_ids(PEOPLE[:1]) != [subject]
    assert table.known_key(subject) is None
    assert table.subject_keys(PEOPLE[:1]) == [table.known_key(subject)]


def test_a_destroyed_person_gets_another_key_and_is_nowhere(open_table: Open) -> None:
    table = open_table()
    before = table.subject_keys(PEOPLE[:3])
    ids = table.subject_ids(PEOPLE[:3])
    table.note_places("app", {"data/b": {ids[0]: [3, 70_000], ids[1]: [1]}, "data/a": {ids[0]: FIVE}})
    table.note_places("app", {"data/a": {ids[0]: FIVE}})
    places = [Place("app", "data/a", 5), Place("app", "data/b", 2)]
    assert table.places(ids[0]) == places
    assert list(table.row_numbers(ids[0])) == list(zip(places, [FIVE, [3, 70_000]], strict=True))
    gone = destroy_subject(table, ids[0], CAUSE)
    assert gone is not None
    assert (gone.commitment, list(gone.places)) == (commitment(SUBJECT, before[0]), places)
    assert table.places(ids[0]) == []
    assert destroy_subject(table, ids[0], CAUSE) is None
    after = open_table().subject_keys(PEOPLE[:3])
    assert after[0] not in before
    assert after[1:] == before[1:]


def test_nobody_is_noted_whose_key_is_gone(open_table: Open) -> None:
    table = open_table()
    table.subject_keys(PEOPLE[:1])
    (subject,) = table.subject_ids(PEOPLE[:1])
    destroy_subject(table, subject, CAUSE)
    with pytest.raises(KeyServiceUnreachableError, match="changed while this was done"):
        table.note_places("app", {"data/a": {subject: [0]}})


def test_a_destroyed_month_never_comes_back(open_table: Open) -> None:
    table = open_table()
    key = table.month_key("pseudonym", "2026-11")
    gone = destroy_month(table, "pseudonym", "2026-11", CAUSE)
    assert gone is not None
    assert gone.commitment == commitment("pseudonym/2026-11", key)
    with pytest.raises(KeyUnavailableError, match="pseudonym/2026-11 was destroyed"):
        open_table().month_key("pseudonym", "2026-11")
    assert destroy_month(table, "pseudonym", "2026-11", CAUSE) is None
    assert table.month_key("quarantine", "2026-11") != key


def test_commitments_are_published_once_and_bind_destructions(open_table: Open) -> None:
    table = open_table()
    keys = table.subject_keys(PEOPLE[:5])
    month = table.month_key("quarantine", "2026-11")
    by_name = {batch.name: batch for batch in unsealed_batches(table.database)}
    pool = by_name[SUBJECT]
    assert pool.count == 2 * DRUM
    assert pool.root == merkle.root([merkle.leaf_hash(leaf) for leaf in all_commitments(table)])
    assert {commitment(SUBJECT, key) for key in keys} < set(all_commitments(table))
    assert by_name["quarantine/2026-11"].root == merkle.leaf_hash(commitment("quarantine/2026-11", month))
    for batch in by_name.values():
        mark_sealed(table.database, batch.id)
    assert unsealed_batches(table.database) == []
    assert [b.name for b in unsealed_batches(table.database, {"quarantine/2026-11"})] == [
        "quarantine/2026-11"
    ]
    table.subject_keys(PEOPLE[5:6])
    assert unsealed_batches(open_table().database) == [], "the key was committed to before"

    destroy_subject(table, table.subject_ids(PEOPLE[2:3])[0], CAUSE)
    (gone,) = unsealed_destructions(open_table().database)
    assert (gone.root, gone.count, gone.reason) == (pool.root, pool.count, CAUSE.reason)
    assert gone.commitment == commitment(SUBJECT, keys[2])
    merkle.verify_inclusion(
        merkle.leaf_hash(gone.commitment), gone.index, pool.count, list(gone.proof), gone.root
    )
    forget_destruction(table.database, gone.commitment)
    assert unsealed_destructions(table.database) == []
    mark_all_unsealed(table.database)
    assert len(unsealed_batches(table.database)) == 2


def all_commitments(table: KeyTable) -> list[bytes]:
    """Of all keys of persons, whether somebody has them or not."""
    with table.database.reading() as connection:
        return sorted(
            bytes(leaf)
            for rows in (SUBJECTS, UNUSED)
            for leaf in connection.scalars(sa.select(rows.c.commitment))
        )


def test_a_key_moved_to_another_row_does_not_open(open_table: Open) -> None:
    table = open_table()
    table.subject_keys(PEOPLE[:2])
    first, second = (bytes.fromhex(subject) for subject in table.subject_ids(PEOPLE[:2]))
    with table.database.writing() as connection:
        wrapped = connection.scalar(sa.select(SUBJECTS.c.wrapped).where(SUBJECTS.c.subject == first))
        connection.execute(sa.update(SUBJECTS).where(SUBJECTS.c.subject == second).values(wrapped=wrapped))
    with pytest.raises(KeyUnavailableError, match="changed, or moved"):
        table.subject_keys(PEOPLE[1:2])


def test_rewrapping_keeps_keys_and_ends_what_wrapped_them_before(open_table: Open, tmp_path: Path) -> None:
    table = open_table()
    keys, month = table.subject_keys(PEOPLE), table.month_key("pseudonym", "2026-11")
    destroy_month(table, "quarantine", "2026-11", CAUSE)
    assert rewrap(table) == len(all_commitments(table)) + 1
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["table-kek-2.key"]
    with table.database.reading() as connection:
        assert [row.id for row in connection.execute(sa.select(TABLE_KEYS))] == [2]
    fresh = open_table()
    assert (fresh.subject_keys(PEOPLE), fresh.month_key("pseudonym", "2026-11")) == (keys, month)
    assert table.subject_keys(["somebody new"]) == open_table().subject_keys(["somebody new"])


def test_what_wraps_the_table_key_is_not_retired_when_two_rewrap_at_once(
    open_table: Open, tmp_path: Path
) -> None:
    class Overtaken(FileKek):
        def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
            wrapped = super().wrap(key, context)
            FileKek(tmp_path / "keys").rotate()
            return wrapped

    table = open_table()
    keys = table.subject_keys(PEOPLE[:3])
    table.kek = table.table_keys._kek = Overtaken(tmp_path / "keys")
    rewrap(table)
    assert open_table().subject_keys(PEOPLE[:3]) == keys
    names = {path.name for path in (tmp_path / "keys").iterdir()}
    assert names == {"table-kek-2.key", "table-kek-3.key"}
    rewrap(open_table())
    assert open_table().subject_keys(PEOPLE[:3]) == keys
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["table-kek-4.key"]


def test_all_keys_are_wrapped_anew_while_others_deliver(open_table: Open) -> None:
    def deliver(part: int) -> list[bytes]:
        table = open_table()
        for start in range(part * 1_000, part * 1_000 + 1_000, 100):
            table.subject_keys(PEOPLE[start : start + 100])
            table.line_keys(f"{start:064x}", [1])
        return table.subject_keys(PEOPLE[part * 1_000 : part * 1_000 + 1_000])

    open_table().subject_keys(PEOPLE[2_000:])
    with ThreadPoolExecutor(3) as pool:
        delivering = [pool.submit(deliver, part) for part in range(2)]
        rewrapped = [rewrap(open_table()) for _ in range(2)]
        found = [key for future in delivering for key in future.result()]
    assert all(rewrapped)
    assert open_table().subject_keys(PEOPLE[:2_000]) == found
    assert len(set(found)) == 2_000


def test_who_works_on_the_whole_table_is_alone(open_table: Open) -> None:
    table = open_table()
    keys = table.subject_keys(PEOPLE[:3])
    with table.database.alone():
        with pytest.raises(KeyTableBusyError, match="another process wraps all keys anew") as busy:
            rewrap(open_table())
        assert "Run again" in busy.value.next_step
        assert open_table().subject_keys(PEOPLE[:4])[:3] == keys
    assert rewrap(open_table()) > 3


def test_errors_hold_no_identifier_and_no_address(tmp_path: Path) -> None:
    table = KeyTable(
        open_database("postgresql+psycopg://who:secret@127.0.0.1:1/x"), FileKek(tmp_path), INDEX_KEY
    )
    with pytest.raises(KeyServiceUnreachableError) as caught:
        table.subject_keys(PEOPLE[:1])
    assert str(caught.value) == "the key table's database does not answer (OperationalError)"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("url", ["mysql://host/x", "nothing", "sqlite+nothing:///x"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="url names"):
        open_database(url)


def test_sqlite_holds_nothing_of_what_was_destroyed(tmp_path: Path) -> None:
    path = tmp_path / "state" / "table.db"
    table = KeyTable(open_database(f"sqlite:///{path}"), FileKek(tmp_path / "keys"), INDEX_KEY)
    table.subject_keys(PEOPLE)
    (subject,) = table.subject_ids(PEOPLE[1500:1501])
    table.note_places("app", {"data/a": {subject: [0]}})
    with table.database.reading() as connection:
        query = sa.select(SUBJECTS.c.wrapped).where(SUBJECTS.c.subject == bytes.fromhex(subject))
        wrapped = bytes(connection.execute(query).scalar_one())

    def stored() -> bytes:
        return b"".join(file.read_bytes() for file in path.parent.iterdir())

    assert wrapped in stored()
    assert bytes.fromhex(subject) in stored()
    destroy_subject(table, subject, CAUSE)
    assert wrapped not in stored()
    assert bytes.fromhex(subject) not in stored()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


DROPS = [character * 64 for character in "ab"]


def test_keys_of_lines_end_one_by_one_and_never_come_back(open_table: Open) -> None:
    table = open_table()
    before = {drop: table.line_keys(drop, range(1, 50)) for drop in DROPS}
    assert len({key for keys in before.values() for key in keys.values()}) == 98
    destroy_lines(table, {DROPS[0]: {3, 17}, "c" * 64: {1}})
    destroy_lines(table, {DROPS[0]: [3, 20]})
    left = {line: key for line, key in before[DROPS[0]].items() if line not in {3, 17, 20}}
    assert rewrap(open_table()) == 2
    assert open_table().line_keys(DROPS[0], range(1, 50)) == left
    assert open_table().line_keys(DROPS[1], range(1, 50)) == before[DROPS[1]]


def test_all_who_ask_for_a_line_at_once_get_the_same_key(open_table: Open) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: open_table().line_keys(DROPS[0], [1, 2]), range(8)))
    assert found == [found[0]] * 8


def test_reading_lines_of_a_drop_that_has_no_keys_makes_none(open_table: Open) -> None:
    table = open_table()
    assert table.known_line_keys(DROPS[0], [1, 2]) == {}
    assert without_line_keys(table.database, DROPS) == DROPS
    keys = table.line_keys(DROPS[0], [1, 2])
    assert open_table().known_line_keys(DROPS[0], [1, 2]) == keys
    assert without_line_keys(table.database, DROPS) == DROPS[1:]
