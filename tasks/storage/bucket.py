"""What a bucket as a whole is set to: versioning and Object Lock. Read before anything is sealed in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from tasks.storage.s3_answers import Answer
from tasks.storage.s3_failure import S3CallError


@runtime_checkable
class Requester(Protocol):
    """What this module needs of an S3 store."""

    @property
    def uri(self) -> str:
        """For messages."""
        ...

    def request(self, method: str, **parameters: Any) -> Answer:
        """One S3 operation on the bucket, repeated on transient failures; raises `S3CallError`."""
        ...

    def key(self, path: str) -> str:
        """The S3 key of a path."""
        ...


@dataclass(frozen=True, slots=True)
class BucketState:
    """What the server says of a bucket.

    Attributes:
        versioning: versions are kept.
        object_lock: versions can be locked.
        default_days: COMPLIANCE retention of objects written without one; 0 when there is none.
    """

    versioning: bool
    object_lock: bool
    default_days: int


def bucket_state(store: Requester) -> BucketState:
    """Ask the server.

    Raises:
        StoreRefusedError: the credentials may not read these settings, or the bucket does not exist.
    """
    try:
        versioning = store.request("get_bucket_versioning").get("Status") == "Enabled"
        configuration = lock_configuration(store)
    except S3CallError as failure:
        raise failure.as_error(f"read the settings of the bucket of {store.uri}") from failure
    rule = configuration.get("Rule", {}).get("DefaultRetention", {})
    days = int(rule.get("Days") or 365 * rule.get("Years", 0)) if rule.get("Mode") == "COMPLIANCE" else 0
    return BucketState(versioning, configuration.get("ObjectLockEnabled") == "Enabled", days)


def ensure_bucket(store: Requester, *, lock_days: int | None) -> None:
    """Create the bucket where it is missing, with versioning; only for a server that is ours.

    Args:
        store: names the bucket; its credentials must be an administrator's.
        lock_days: enable Object Lock with this default COMPLIANCE retention; None for a bucket without.
    """
    try:
        _create(store, locked=lock_days is not None)
        if lock_days is None:
            store.request("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
        else:
            rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": lock_days}}
            configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
            store.request("put_object_lock_configuration", ObjectLockConfiguration=configuration)
    except S3CallError as failure:
        raise failure.as_error(f"set up the bucket of {store.uri}") from failure


def _create(store: Requester, *, locked: bool) -> None:
    try:
        store.request("create_bucket", ObjectLockEnabledForBucket=locked)
    except S3CallError as failure:
        if failure.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise


def lock_configuration(store: Requester) -> Answer:
    """The bucket's Object Lock configuration; empty when it has none."""
    try:
        answer = store.request("get_object_lock_configuration")
    except S3CallError as failure:
        if failure.code == "ObjectLockConfigurationNotFoundError":
            return {}
        raise
    configuration: Answer = answer.get("ObjectLockConfiguration", {})
    return configuration
