"""Servers that answer wrongly, late or not at all, and what `create` makes of it. The server is a fake."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError

from tasks.errors import (
    AlreadyExistsError,
    IndelibleError,
    NotFoundError,
    StoreRefusedError,
    StoreUnavailableError,
)
from tasks.storage import s3 as s3_module
from tasks.storage.s3 import S3Store
from tasks.storage.s3_failure import S3CallError

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
UNTIL = NOW + timedelta(days=1)


def answer(status: int, code: str) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "hidden"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "PutObject",
    )


def lost() -> ReadTimeoutError:
    return ReadTimeoutError(endpoint_url="http://127.0.0.1")


class FakeServer:
    """Stands where s3fs stands: one object, and a script of failures before and after it stores."""

    def __init__(self) -> None:
        self.loop = None
        self.object: dict[str, Any] | None = None
        self.before: list[Exception | None] = []
        self.after: list[Exception | None] = []
        self.changes: dict[str, Any] = {}
        self.puts = 0

    def call_s3(self, method: str, **request: Any) -> dict[str, Any]:
        if method == "head_object":
            if self.object is None:
                raise answer(404, "404")
            shown = {name: value for name, value in self.object.items() if name != "Body"}
            return {**shown, **self.changes}
        assert method == "put_object"
        self.puts += 1
        if self.before and (error := self.before.pop(0)):
            raise error
        if self.object is not None:
            raise answer(412, "PreconditionFailed")
        self._store(request)
        if self.after and (error := self.after.pop(0)):
            raise error
        return {"VersionId": "v1"}

    def _store(self, request: dict[str, Any]) -> None:
        body = request["Body"]
        self.object = {
            "Body": body,
            "ContentLength": len(body),
            "ETag": '"e"',
            "LastModified": NOW,
            "VersionId": "v1",
            "ChecksumSHA256": request["ChecksumSHA256"],
            "ObjectLockMode": request.get("ObjectLockMode"),
            "ObjectLockRetainUntilDate": request.get("ObjectLockRetainUntilDate"),
        }

    def holds(self, body: bytes) -> None:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": UNTIL}
        self._store({"Body": body, "ChecksumSHA256": digest, **lock})

    async def _call_s3(self, method: str, **request: Any) -> dict[str, Any]:
        assert method == "get_object"
        assert self.object is not None
        return {"Body": FakeBody(self.object["Body"])}


class FakeBody:
    def __init__(self, data: bytes) -> None:
        self.data = data

    async def __aenter__(self) -> FakeBody:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def read(self) -> bytes:
        return self.data


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def store(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    import asyncio

    made = S3Store("b", endpoint="http://127.0.0.1:9", access_key="k", secret_key="s", sleep=lambda _: None)
    monkeypatch.setattr(made, "_fs", server)
    monkeypatch.setattr(s3_module, "sync", lambda _, function, request: asyncio.run(function(request)))
    return made


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"ObjectLockRetainUntilDate": UNTIL - timedelta(seconds=1)}, "retain-until date"),
        ({"ObjectLockMode": "GOVERNANCE"}, "lock mode"),
        ({"ObjectLockMode": None}, "lock mode and retain-until date"),
        ({"ContentLength": 2}, "size"),
        ({"ChecksumSHA256": "AAAA"}, "SHA-256"),
    ],
)
def test_what_a_server_ignores_is_noticed(
    store: S3Store, server: FakeServer, changes: dict[str, Any], word: str
) -> None:
    server.changes = changes
    with pytest.raises(StoreRefusedError, match=word):
        store.create("a", b"x", retain_until=UNTIL)


def test_without_a_checksum_the_bytes_are_read_again(store: S3Store, server: FakeServer) -> None:
    server.changes = {"ChecksumSHA256": None}
    assert store.create("a", b"x", retain_until=UNTIL).size == 1
    server.object = None
    server.before = [None]
    original = server._store

    def damaged(request: dict[str, Any]) -> None:
        original({**request, "Body": b"y"})

    server._store = damaged  # type: ignore[method-assign]
    with pytest.raises(StoreRefusedError, match="SHA-256"):
        store.create("a", b"x", retain_until=UNTIL)


@pytest.mark.parametrize("error", [lost(), answer(500, "InternalError"), ConnectionResetError(104, "reset")])
def test_an_answer_that_was_lost_after_storing_is_success(
    store: S3Store, server: FakeServer, error: Exception
) -> None:
    server.after = [error]
    made = store.create("a", b"x", retain_until=UNTIL)
    assert (made.version_id, made.retain_until, server.puts) == ("v1", UNTIL, 2)


def test_a_lost_answer_while_another_writer_won_is_a_lost_race(store: S3Store, server: FakeServer) -> None:
    server.holds(b"theirs")
    server.before = [lost()]
    with pytest.raises(AlreadyExistsError):
        store.create("a", b"mine", retain_until=UNTIL)


def test_equal_bytes_that_this_call_did_not_write_are_already_there(
    store: S3Store, server: FakeServer
) -> None:
    server.holds(b"x")
    with pytest.raises(AlreadyExistsError):
        store.create("a", b"x", retain_until=UNTIL)
    assert server.puts == 1


def test_a_conflict_is_asked_again_and_proves_nothing(store: S3Store, server: FakeServer) -> None:
    """S3 answers 409 when two conditional writes meet; only the next answer tells who won."""
    server.before = [answer(409, "ConditionalRequestConflict")]
    assert store.create("a", b"x", retain_until=UNTIL).size == 1
    server.before = [answer(409, "ConditionalRequestConflict")]
    with pytest.raises(AlreadyExistsError):
        store.create("a", b"x", retain_until=UNTIL)


def test_a_store_that_stays_away_is_unavailable(store: S3Store, server: FakeServer) -> None:
    server.before = [answer(503, "SlowDown")] * 9
    with pytest.raises(StoreUnavailableError):
        store.create("a", b"x", retain_until=UNTIL)
    assert server.puts == 4


def test_an_object_above_the_limit_of_one_request_is_refused(
    store: S3Store, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "MAX_OBJECT_BYTES", 3)
    with pytest.raises(StoreRefusedError, match="one PutObject"):
        store.create("a", b"xxxx", retain_until=None)
    assert server.puts == 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (answer(500, "InternalError"), StoreUnavailableError),
        (answer(503, "SlowDown"), StoreUnavailableError),
        (answer(429, "TooManyRequests"), StoreUnavailableError),
        (lost(), StoreUnavailableError),
        (TimeoutError(), StoreUnavailableError),
        (answer(403, "AccessDenied"), StoreRefusedError),
        (answer(400, "InvalidRequest"), StoreRefusedError),
        (answer(501, "NotImplemented"), StoreRefusedError),
        (answer(404, "NoSuchKey"), NotFoundError),
        (answer(404, "NoSuchBucket"), StoreRefusedError),
        (NoCredentialsError(), StoreRefusedError),
    ],
)
def test_each_failure_is_one_of_our_errors(error: Exception, expected: type[IndelibleError]) -> None:
    made = S3CallError.of(error).as_error("read a of s3://b")
    assert type(made) is expected
    assert made.next_step
    assert "hidden" not in f"{made} {made.next_step}"
