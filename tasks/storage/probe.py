"""Does this store give what sealing depends on? Asked by trying: servers ignore what they do not know.

Ceph RGW 16 lets ten of ten concurrent creators win in a bucket with Object Lock, and moto lets a lock be
shortened: a store is judged by what it refuses. Each probe leaves a canary, locked for `retain_for`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from tasks.errors import AlreadyExistsError, StoreRefusedError
from tasks.storage.bucket import Requester, bucket_state
from tasks.storage.protocol import ObjectInfo, ObjectStore

MAX_CLOCK_DIFFERENCE = timedelta(seconds=60)
RACERS = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One property of a store.

    Attributes:
        code: stable, for machines.
        ok: the store has the property.
        sentence: for people; says what to change when `ok` is false.
    """

    code: str
    ok: bool
    sentence: str


@runtime_checkable
class _Lockable(ObjectStore, Requester, Protocol):
    def set_retention(self, path: str, version_id: str, until: datetime) -> None: ...


def probe(
    store: ObjectStore,
    *,
    prefix: str,
    retain_for: timedelta = timedelta(days=1),
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> tuple[Finding, ...]:
    """Try the store.

    Args:
        store: with the credentials that will seal.
        prefix: where the canaries go; they get random names.
        retain_for: lock of the canaries; keep it short, nobody can end it early.
        clock: this machine's clock.

    Raises:
        StoreUnavailableError: the store cannot be reached.
        StoreRefusedError: it refuses to store, or to tell, anything at all.
    """
    name = f"{prefix.rstrip('/')}/{secrets.token_hex(8)}"
    here, there = clock(), store.now()
    findings = [_clock(here, there)]
    if not isinstance(store, _Lockable):
        findings.append(_race(store, f"{name}/race", None))
        findings.append(
            Finding(
                "not-worm",
                False,
                "A directory is not WORM: its owner can change and delete what is sealed. "
                "Use an S3 bucket with Object Lock for evidence.",
            )
        )
        return tuple(findings)
    findings += _settings(store)
    until = there + retain_for
    findings.append(_race(store, f"{name}/race", until if findings[-1].ok else None))
    if findings[-2].ok:
        findings += _lock(store, f"{name}/lock", until)
    return tuple(findings)


def _clock(here: datetime, there: datetime) -> Finding:
    seconds = round(abs(here - there).total_seconds())
    ok = abs(here - there) <= MAX_CLOCK_DIFFERENCE
    advice = "" if ok else " Synchronise both with NTP: retention dates come from the store's clock."
    return Finding("clock", ok, f"This machine's clock and the store's differ by {seconds} s.{advice}")


def _settings(store: Requester) -> list[Finding]:
    state = bucket_state(store)
    return [
        Finding(
            "versioning",
            state.versioning,
            "The bucket keeps versions." if state.versioning else "Turn on versioning of the bucket.",
        ),
        Finding(
            "object-lock",
            state.object_lock,
            f"Object Lock is enabled; default COMPLIANCE retention {state.default_days} days."
            if state.object_lock
            else "Object Lock is not enabled: create a new bucket with Object Lock, and seal there.",
        ),
    ]


def _race(store: ObjectStore, path: str, until: datetime | None) -> Finding:
    """Several creators at once, then one more: exactly one may succeed."""

    def attempt(number: int) -> bool:
        try:
            store.create(path, b"canary %d\n" % number, retain_until=until)
        except AlreadyExistsError:
            return False
        return True

    try:
        with ThreadPoolExecutor(RACERS) as pool:
            winners = sum(pool.map(attempt, range(RACERS)))
        winners += attempt(RACERS)
    except StoreRefusedError as error:
        return Finding(
            "create-if-absent", False, f"A canary could not be created: {error}. {error.next_step}"
        )
    if winners == 1:
        return Finding(
            "create-if-absent", True, f"Of {RACERS + 1} creators of one object exactly one succeeded."
        )
    return Finding(
        "create-if-absent",
        False,
        f"Of {RACERS + 1} creators of one object {winners} succeeded: this server does not honour "
        "If-None-Match. Use another server or a newer version; two runners could fork the log here.",
    )


def _lock(store: _Lockable, path: str, until: datetime) -> list[Finding]:
    data = b"locked canary\n"
    try:
        canary = store.create(path, data, retain_until=until)
    except StoreRefusedError as error:
        return [
            Finding("lock-stored", False, f"A locked canary could not be stored: {error}. {error.next_step}")
        ]
    stored = Finding("lock-stored", True, "A COMPLIANCE lock was stored with the date that was asked.")
    shorten = until - timedelta(minutes=1)
    deleted = not _refused(lambda: store.delete(path, canary.version_id))
    if deleted:
        return [
            stored,
            Finding(
                "lock-enforced",
                False,
                "The server deleted a version under COMPLIANCE lock: it does not enforce Object Lock. "
                "Use another server.",
            ),
        ]
    shortened = not _refused(lambda: store.set_retention(path, canary.version_id, shorten))
    enforced = Finding(
        "lock-enforced",
        not shortened,
        "The server let a COMPLIANCE lock be shortened: it does not enforce Object Lock. Use another server."
        if shortened
        else "The server refused to delete a locked version and to shorten its lock.",
    )
    return [stored, enforced, _read_below(store, canary, data)]


def _read_below(store: ObjectStore, canary: ObjectInfo, data: bytes) -> Finding:
    store.replace(canary.path, b"above\n")
    ok = store.read(canary.path, canary.version_id) == data
    return Finding(
        "read-by-version",
        ok,
        "A version can be read below a newer one."
        if ok
        else "Reading by version id gives other bytes: use a server that keeps versions.",
    )


def _refused(call: Callable[[], None]) -> bool:
    try:
        call()
    except StoreRefusedError:
        return True
    return False
