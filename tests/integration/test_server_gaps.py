"""A server that ignores what was asked, as some do: noticed at the read-back, repaired or refused.

The server is real; what it is known to ignore elsewhere is taken out of the request on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import AlreadyExistsError, StoreRefusedError, UsageError
from tasks.storage.s3 import S3Store
from tasks.storage.s3_failure import S3CallError
from tests.support.faults import fresh_bucket
from tests.support.s3 import S3

UNTIL = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
Change = Callable[[dict[str, Any]], None]


class ForgetfulStore(S3Store):
    """Each PutObject is changed before the server gets it, and the first answers can get lost."""

    change: Change
    lost_answers = 0

    def _once(self, method: str, **parameters: Any) -> Any:
        if method != "put_object":
            return super()._once(method, **parameters)
        self.change(parameters)
        answer = super()._once(method, **parameters)
        if self.lost_answers:
            self.lost_answers -= 1
            raise S3CallError(0, "ReadTimeoutError", answered=False)
        return answer


def forgetful(place: dict[str, Any], *names: str, **more: Any) -> ForgetfulStore:
    """A store whose server ignores these parameters of PutObject."""
    store = ForgetfulStore(**place, **more, sleep=lambda _: None)

    def change(parameters: dict[str, Any]) -> None:
        for name in names:
            parameters.pop(name, None)

    store.change = change
    return store


@pytest.fixture
def place(s3: S3) -> dict[str, Any]:
    return fresh_bucket(s3)


def test_a_lock_that_was_dropped_is_set_and_checked(s3: S3) -> None:
    bucket = "without-default"
    s3.store(bucket).request("create_bucket", ObjectLockEnabledForBucket=True)
    keys = {**fresh_bucket(s3), "bucket": bucket}
    store = forgetful(keys, "ObjectLockMode", "ObjectLockRetainUntilDate")
    made = store.create("a", b"x", retain_until=UNTIL)
    assert made.retain_until == UNTIL
    assert store.head("a", made.version_id).retain_until == UNTIL
    with pytest.raises(StoreRefusedError, match="AccessDenied"):
        store.delete("a", made.version_id)


def test_a_lock_with_another_date_is_refused_and_not_hidden(place: dict[str, Any]) -> None:
    """The bucket's default retention of a day takes the place of the two days that were asked."""
    store = forgetful(place, "ObjectLockMode", "ObjectLockRetainUntilDate")
    with pytest.raises(StoreRefusedError, match="retain-until date"):
        store.create("a", b"x", retain_until=UNTIL)


def test_bytes_that_changed_on_the_way_are_refused_when_the_server_does_not_look(
    place: dict[str, Any],
) -> None:
    store = forgetful(place, "ChecksumSHA256", "ChecksumAlgorithm")
    assert store.create("a", b"right", retain_until=None).size == 5
    forget = store.change

    def damage(parameters: dict[str, Any]) -> None:
        forget(parameters)
        parameters["Body"] = b"wrong"

    store.change = damage
    with pytest.raises(StoreRefusedError, match="SHA-256"):
        store.create("b", b"right", retain_until=None)


def test_creators_that_take_turns_are_right_where_the_condition_is_ignored(
    place: dict[str, Any], tmp_path: Path
) -> None:
    turn = tmp_path / "turn"
    with get_context("forkserver").Pool(1) as one, ThreadPoolExecutor(10) as pool:
        elsewhere = one.apply_async(_creations, (place, turn, 10))
        here = list(pool.map(lambda number: _creates(place, turn, number), range(10)))
        won = sum(here) + elsewhere.get(60)
    assert won == 1
    assert len(list(S3Store(**place).list_versions())) == 1


def test_without_turns_the_same_creators_would_all_win(place: dict[str, Any]) -> None:
    assert [_creates(place, None, number) for number in range(3)] == [True] * 3


def test_an_answer_that_was_lost_is_found_again_in_turn(place: dict[str, Any], tmp_path: Path) -> None:
    store = forgetful(place, "IfNoneMatch", create_lock=tmp_path / "turn")
    store.lost_answers = 1
    made = store.create("a", b"x", retain_until=UNTIL)
    assert store.lost_answers == 0
    assert [info.version_id for info in store.list_versions()] == [made.version_id]


def test_a_lock_file_that_cannot_be_made_is_explained(place: dict[str, Any], tmp_path: Path) -> None:
    store = S3Store(**place, create_lock=tmp_path / "absent" / "turn")
    with pytest.raises(UsageError, match="create_lock"):
        store.create("a", b"x", retain_until=None)


def _creations(place: dict[str, Any], turn: Path, count: int) -> int:
    return sum(_creates(place, turn, number) for number in range(count))


def _creates(place: dict[str, Any], turn: Path | None, number: int) -> bool:
    try:
        forgetful(place, "IfNoneMatch", create_lock=turn).create("a", b"%d" % number, retain_until=None)
    except AlreadyExistsError:
        return False
    return True
