"""Does this store give what sealing depends on? Asked by trying: servers ignore what they do not know.

Ceph RGW 16 lets ten of ten concurrent creators win in a bucket with Object Lock, and moto lets a lock be
shortened: a store is judged by what it refuses. Each probe leaves canaries, locked for `retain_for`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from tasks.errors import AlreadyExistsError, StoreRefusedError
from tasks.storage.attempts import CHANGE_SERVER, Lockable, attack, multipart, plant, wrong_checksum
from tasks.storage.bucket import Requester, bucket_state
from tasks.storage.finding import Finding
from tasks.storage.protocol import ObjectStore
from tasks.storage.s3_failure import S3CallError

CANARIES = "probe"
MAX_CLOCK_DIFFERENCE = timedelta(seconds=60)
RACERS = 4
# Where one of these is not ok, a seal may be doubled, lost or locked for the wrong time.
SEALABLE = frozenset(
    {"clock", "versioning", "object-lock", "default-retention", "create-if-absent", "lock-stored"}
)

Clock = Callable[[], datetime]


def this_clock() -> datetime:
    """This machine's clock, aware UTC."""
    return datetime.now(UTC)


def probe(
    store: ObjectStore,
    *,
    prefix: str = CANARIES,
    retain_for: timedelta = timedelta(days=1),
    clock: Clock = this_clock,
    others: Mapping[str, ObjectStore] | None = None,
) -> tuple[Finding, ...]:
    """Try the store.

    Args:
        store: with the credentials that will seal.
        prefix: where the canaries go; they get random names.
        retain_for: lock of the canaries; keep it short, nobody can end it early.
        clock: this machine's clock.
        others: the same store with other credentials, by the name of the identity: an administrator above all.

    Raises:
        StoreUnavailableError: the store cannot be reached.
        StoreRefusedError: it refuses to store, or to tell, anything at all.
    """
    name = f"{prefix.rstrip('/')}/{secrets.token_hex(8)}"
    settings = (_clock(clock(), store.now()), *check_bucket(store))
    if not isinstance(store, Lockable):
        not_worm = Finding(
            "not-worm",
            False,
            "A directory is not WORM: its owner can change and delete what is sealed. "
            "Use an S3 bucket with Object Lock for evidence.",
        )
        return (*settings, create_if_absent(store, f"{name}/race", None), not_worm)
    lockable = all(finding.ok for finding in settings if finding.code in {"versioning", "object-lock"})
    until = store.now() + retain_for if lockable else None
    race = create_if_absent(store, f"{name}/race", until)
    findings = [*settings, race, wrong_checksum(store, f"{name}/checksum", until)]
    if until is not None:
        findings += _locks(store, others or {}, name, until)
    return tuple(findings)


def check_bucket(store: ObjectStore) -> tuple[Finding, ...]:
    """What a bucket is set to: versioning, Object Lock, default retention. Two requests, and nothing is written.

    Raises:
        StoreUnavailableError: the store cannot be reached.
        StoreRefusedError: the credentials may not read the bucket's settings.
    """
    return _bucket(store) if isinstance(store, Lockable) else ()


def create_if_absent(store: ObjectStore, path: str, until: datetime | None) -> Finding:
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


def product(store: ObjectStore) -> str:
    """What the server calls itself; empty when it does not tell, or is a directory."""
    if not isinstance(store, Requester):
        return ""
    try:
        name = str(store.request("head_bucket")["ResponseMetadata"]["HTTPHeaders"].get("server", ""))
    except S3CallError as failure:
        raise failure.as_error(f"reach {store.uri}") from failure
    return "".join(c for c in name if c.isascii() and c.isprintable())[:100]


def _clock(here: datetime, there: datetime) -> Finding:
    seconds = round(abs(here - there).total_seconds())
    ok = abs(here - there) <= MAX_CLOCK_DIFFERENCE
    advice = "" if ok else " Set both by NTP: retention dates come from the store's clock."
    return Finding("clock", ok, f"This machine's clock and the store's differ by {seconds} seconds.{advice}")


def _bucket(store: Requester) -> tuple[Finding, ...]:
    state = bucket_state(store)
    return (
        Finding(
            "versioning",
            state.versioning,
            "The bucket keeps versions."
            if state.versioning
            else "The bucket keeps no versions: create a new bucket with Object Lock, and seal there.",
        ),
        Finding(
            "object-lock",
            state.object_lock,
            "Object Lock is enabled."
            if state.object_lock
            else "Object Lock is not enabled: create a new bucket with Object Lock, and seal there.",
        ),
        Finding(
            "default-retention",
            state.default_days > 0,
            f"Objects written without a lock get COMPLIANCE for {state.default_days} days."
            if state.default_days
            else "The bucket has no default COMPLIANCE retention: set one; a day is enough.",
        ),
    )


def _locks(store: Lockable, others: Mapping[str, ObjectStore], name: str, until: datetime) -> list[Finding]:
    try:
        plant(store, f"{name}/lock", until)
    except StoreRefusedError as error:
        sentence = f"A locked canary could not be stored: {error}. {CHANGE_SERVER}"
        return [Finding("lock-stored", False, sentence)]
    findings = [Finding("lock-stored", True, "A COMPLIANCE lock was stored with the date that was asked.")]
    findings.append(multipart(store, f"{name}/multipart", until))
    findings += attack(store, store, "", name, until)
    for identity, actor in others.items():
        actor.now()  # one who cannot even reach the bucket would be refused everything, for the wrong reason
        if isinstance(actor, Lockable):
            findings += attack(store, actor, identity, f"{name}/{identity}", until)
    return findings
