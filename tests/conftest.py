"""Fixtures of every kind of test: a real S3 server a session (and xdist worker), fresh stores a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.storage.local import LocalStore

if TYPE_CHECKING:
    from tasks.storage.s3 import S3Store
    from tests.support.postgres import Postgres
    from tests.support.s3 import S3


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    from tests.support.s3 import start_s3  # only tests that use S3 pay for its libraries

    running = start_s3(tmp_path_factory.mktemp("seaweedfs"))
    yield running
    running.server.stop(grace=0)  # its data go with the session


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    from tests.support.postgres import run_postgres

    with run_postgres() as running:
        yield running


@pytest.fixture
def worm_store(s3: S3) -> S3Store:
    """An empty place in a bucket with Object Lock and a default retention of a day."""
    return s3.fresh("indelible")


@pytest.fixture
def landing_store(s3: S3) -> S3Store:
    """An empty place in a bucket with versions and without locks."""
    return s3.fresh("landing")


@pytest.fixture
def local_store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")
