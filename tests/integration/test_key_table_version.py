"""A key table that another version made is refused at once, in words, and stays as it is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from tasks.errors import KeyUnavailableError
from tasks.subjects import open_database
from tasks.subjects.schema import METADATA, PLACES, SCHEMA_VERSION, VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.postgres import Postgres

# What a version's tables are. Whoever changes a table adds a line here, and raises the version.
TABLES = {
    1: "fbd26e0e11fac646da653563c8fe5eb67a2819155bb82068b4b516c417f37945",
    2: "8dac7ca8679e86badc6f909fa0ff04516615ff68377b783bffb9338201b00cc6",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'table.db'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.fresh()


def count_places(url: str) -> int | None:
    with open_database(url).reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(PLACES))


def alter(url: str, *statements: str) -> None:
    with sa.create_engine(url).begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def test_a_table_of_this_version_opens_again_beside_tables_of_others(url: str) -> None:
    alter(url, "CREATE TABLE of_somebody_else (id INTEGER)")
    assert count_places(url) == 0
    assert count_places(url) == 0


def test_a_table_from_before_versions_is_refused_and_left_as_it_is(url: str) -> None:
    alter(url, "CREATE TABLE subject_places (subject INTEGER, path TEXT, source TEXT, rows INTEGER)")
    for _ in range(2):
        with pytest.raises(KeyUnavailableError, match="the key table has no version") as refused:
            count_places(url)
        assert "release of Indelible" in refused.value.next_step
    assert sa.inspect(sa.create_engine(url)).get_table_names() == [PLACES.name]


@pytest.mark.parametrize("version", [0, VERSION + 1])
def test_an_older_and_a_newer_table_are_refused(url: str, version: int) -> None:
    assert count_places(url) == 0
    alter(url, f"UPDATE {SCHEMA_VERSION.name} SET version = {version}")
    with pytest.raises(KeyUnavailableError, match=f"the key table has version {version}, and"):
        count_places(url)


def test_no_table_changes_without_its_version() -> None:
    made = "".join(str(CreateTable(table)) for table in METADATA.sorted_tables)
    assert TABLES[VERSION] == hashlib.sha256(made.encode()).hexdigest()
