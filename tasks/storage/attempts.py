"""What must fail on a locked object, tried: each attempt on a canary of its own, by each identity that is given.

Put here: requests that an attacker with valid credentials would send through S3. An attempt is judged by what is
left afterwards and not by the answer: servers answer "AccessDenied" to one who merely lacks a permission, and
"OK" to what they ignore. Because a refusal may come from a missing permission rather than from the lock, an
administrator must try as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from tasks.errors import NotFoundError
from tasks.storage.bucket import Requester, bucket_state, lock_configuration
from tasks.storage.finding import Finding
from tasks.storage.protocol import ObjectStore
from tasks.storage.s3_answers import checksum, lock
from tasks.storage.s3_failure import S3CallError

DATA = b"locked canary\n"
CHANGE_SERVER = "Use another server, or a version of this one that enforces it."
_BYPASS = {"BypassGovernanceRetention": True}
_DONE = "200 OK"


@runtime_checkable
class Lockable(ObjectStore, Requester, Protocol):
    """A store whose objects can be locked, with the requests that no part of Indelible but this one sends."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A locked version that is there to be attacked."""

    path: str
    key: str
    version_id: str
    until: datetime

    @property
    def version(self) -> dict[str, str]:
        """Request parameters that name the version."""
        return {"Key": self.key, "VersionId": self.version_id}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that must leave a locked version as it is, whatever else it does."""

    code: str
    what: str
    method: str
    parameters: Callable[[Canary], Mapping[str, Any]]


def _retention(canary: Canary, mode: str, until: datetime) -> dict[str, Any]:
    return {**canary.version, **_BYPASS, "Retention": {"Mode": mode, "RetainUntilDate": until}}


ATTEMPTS = (
    Attempt("delete-version", "delete a locked version", "delete_object", lambda c: c.version),
    Attempt(
        "delete-bypass",
        "delete a locked version with governance bypass",
        "delete_object",
        lambda c: {**c.version, **_BYPASS},
    ),
    Attempt(
        "delete-batch",
        "delete a locked version with DeleteObjects",
        "delete_objects",
        lambda c: {"Delete": {"Objects": [c.version]}},
    ),
    Attempt(
        "shorten-lock",
        "shorten a lock",
        "put_object_retention",
        lambda c: _retention(c, "COMPLIANCE", c.until - timedelta(minutes=1)),
    ),
    Attempt(
        "downgrade-lock",
        "turn a COMPLIANCE lock into GOVERNANCE",
        "put_object_retention",
        lambda c: _retention(c, "GOVERNANCE", c.until),
    ),
    Attempt(
        "remove-lock",
        "remove a lock",
        "put_object_retention",
        lambda c: {**c.version, **_BYPASS, "Retention": {}},
    ),
    Attempt(
        "overwrite",
        "put another object on the name, as S3 allows",
        "put_object",
        lambda c: {"Key": c.key, "Body": b"x"},
    ),
    Attempt("plain-delete", "delete the name, as S3 allows", "delete_object", lambda c: {"Key": c.key}),
)


def plant(store: Lockable, path: str, until: datetime) -> Canary:
    """Store a locked canary; `create` reads back its bytes, mode and date.

    Raises:
        StoreRefusedError: the server stored it otherwise than asked, or not at all.
    """
    made = store.create(path, DATA, retain_until=until)
    return Canary(path, store.key(path), made.version_id, until)


def attack(
    store: Lockable, actor: Requester, identity: str, prefix: str, until: datetime
) -> Iterator[Finding]:
    """Try everything on the objects and the bucket.

    Args:
        store: with the credentials that seal; plants the canaries and looks at what is left of them.
        actor: with the credentials that try.
        identity: the actor's name; empty when it is `store`.
        prefix: where the canaries go.
        until: end of their lock.
    """
    for attempt in ATTEMPTS:
        canary = plant(store, f"{prefix}/{attempt.code}", until)
        answer = _ask(actor, attempt.method, attempt.parameters(canary))
        harm = _harm(store, canary)
        left = f"{harm}. {CHANGE_SERVER}" if harm else "the version is as it was."
        sentence = f"Tried to {attempt.what}: the server answered {answer}, and {left}"
        yield Finding(attempt.code, not harm, sentence, identity)
    yield _suspend(store, actor, identity)
    yield _default_retention(store, actor, identity)


def multipart(store: Lockable, path: str, until: datetime) -> Finding:
    """Does a lock hold that is asked for at the start of a multipart upload? Indelible itself makes none."""
    key = store.key(path)
    try:
        upload = store.request("create_multipart_upload", Key=key, **lock(until))["UploadId"]
        part = store.request("upload_part", Key=key, UploadId=upload, PartNumber=1, Body=DATA)
        parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
        store.request("complete_multipart_upload", Key=key, UploadId=upload, MultipartUpload=parts)
    except S3CallError as failure:
        return Finding("multipart-lock", True, f"A multipart upload is not possible here: {_code(failure)}.")
    kept = store.head(path).retain_until == until
    return Finding(
        "multipart-lock",
        kept,
        "A multipart upload kept the lock that it asked for."
        if kept
        else "The server dropped the lock that a multipart upload asked for; what is uploaded so is not "
        f"protected. {CHANGE_SERVER}",
    )


def wrong_checksum(store: Requester, path: str, until: datetime | None) -> Finding:
    """Does the server check the SHA-256 that it is told? The request is that of a sealed object, but for this."""
    digest = checksum(b"\0" * 32)
    answer = _ask(store, "put_object", {"Key": store.key(path), "Body": DATA, **digest, **lock(until)})
    ok = answer != _DONE
    return Finding(
        "checksum",
        ok,
        f"Bytes with a wrong SHA-256 were refused: {answer}."
        if ok
        else f"The server stored bytes whose SHA-256 was not the one it was told. {CHANGE_SERVER}",
    )


def _suspend(store: Lockable, actor: Requester, identity: str) -> Finding:
    answer = _ask(actor, "put_bucket_versioning", {"VersioningConfiguration": {"Status": "Suspended"}})
    ok = bucket_state(store).versioning
    left = "versions are kept."
    if not ok:  # at once: without versions, the next write to a name would destroy what lies there
        again = _ask(actor, "put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}})
        left = f"versioning was suspended; turned on again: {again}. {CHANGE_SERVER}"
    sentence = f"Tried to suspend versioning of the bucket: the server answered {answer}, and {left}"
    return Finding("suspend-versioning", ok, sentence, identity)


def _default_retention(store: Lockable, actor: Requester, identity: str) -> Finding:
    """Ask for the setting as it is: whoever may do that may change it too, and the bucket is never without."""
    configuration = lock_configuration(store)
    answer = _ask(actor, "put_object_lock_configuration", {"ObjectLockConfiguration": configuration})
    what = f"Tried to set the bucket's default retention: the server answered {answer}"
    if answer != _DONE:
        return Finding("default-retention-change", True, f"{what}.", identity)
    if identity:
        sentence = f"{what}, as S3 lets administrators; each sealed object has a lock of its own."
        return Finding("default-retention-change", True, sentence, identity)
    sentence = f"{what}. Deliver with credentials that may not configure the bucket."
    return Finding("default-retention-change", False, sentence)


def _ask(actor: Requester, method: str, parameters: Mapping[str, Any]) -> str:
    """Send one request; what the server said. Only a failure that may pass is raised."""
    try:
        answer = actor.request(method, **parameters)
    except S3CallError as failure:
        return _code(failure)
    errors = answer.get("Errors") or ()  # DeleteObjects says "200" and refuses one by one
    return re.sub(r"[^A-Za-z0-9.]", "", str(errors[0].get("Code", "")))[:60] if errors else _DONE


def _code(failure: S3CallError) -> str:
    if failure.transient:
        raise failure.as_error("probe the store") from failure
    return str(failure)


def _harm(store: ObjectStore, canary: Canary) -> str:
    """What is no longer as it was stored; empty when all is."""
    try:
        info = store.head(canary.path, canary.version_id)
        data = store.read(canary.path, canary.version_id)
    except NotFoundError:
        return "the version is gone"
    if data != DATA:
        return "its version id now gives other bytes"
    if info.retain_until is None:
        return "the version is no longer under a COMPLIANCE lock"
    return "its lock ends earlier" if info.retain_until < canary.until else ""
