"""The S3 adapter: create-only writes under Object Lock, each verified after it was made.

Implements `ObjectStore` on the S3 REST API through s3fs. What servers are known to ignore (lock headers,
checksums, conditions) is never taken on trust: `create` reads back what it asked for. Put here everything
that speaks S3; nothing else imports s3fs.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, TypeVar

from fsspec.asyn import sync  # type: ignore[import-untyped]
from s3fs import S3FileSystem

from tasks.errors import AlreadyExistsError, StoreRefusedError
from tasks.storage.names import check_path
from tasks.storage.protocol import ObjectInfo
from tasks.storage.s3_failure import RAISED_BY_S3, S3CallError

MAX_OBJECT_BYTES = (
    5 * 2**30
)  # the most that one PutObject takes; multipart loses lock headers on some servers
PAUSES = (0.2, 0.6, 1.8)  # seconds before each repetition of a transient failure
_CONFIG = {
    "connect_timeout": 10,
    "read_timeout": 60,
    "max_pool_connections": 32,
    "retries": {"total_max_attempts": 1},  # repetition is ours alone, see `S3Store.create`
    "s3": {"addressing_style": "path"},
    # Damaged bytes must reach the verifier, which names them; an exception here would hide them.
    "response_checksum_validation": "when_required",
}

T = TypeVar("T")
Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BucketState:
    """What the server says of a bucket: versioning on, Object Lock on, default COMPLIANCE days (0 = none)."""

    versioning: bool
    object_lock: bool
    default_days: int


class S3Store:
    """A bucket, or what lies under a prefix of it. May be used from several threads.

    Without keys the ordinary AWS chain applies (environment, profile, instance role).

    Args:
        bucket: bucket name.
        prefix: every path is below it.
        endpoint: base URL of a server other than AWS.
        access_key: access key id.
        secret_key: secret key; kept inside the client only.
        region: signing region.
        sleep: waits between repetitions; tests pass their own.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        region: str = "us-east-1",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._sleep = sleep
        self._fs = S3FileSystem(
            key=access_key,
            secret=secret_key,
            endpoint_url=endpoint,
            client_kwargs={"region_name": region},
            config_kwargs=_CONFIG,
            skip_instance_cache=True,
            use_listings_cache=False,
        )
        self._fs.retries = 1
        self._fs.connect()  # now, because two threads that connect at once would make two clients

    def __repr__(self) -> str:
        return f"S3Store({self.uri!r})"

    @property
    def uri(self) -> str:
        """`s3://bucket/prefix`."""
        return f"s3://{self.bucket}/{self._prefix}".rstrip("/")

    @cached_property
    def worm(self) -> bool:
        """Whether the bucket has Object Lock; asked once.

        Raises:
            StoreRefusedError: the credentials may not read the bucket's lock configuration.
        """
        return self._lock_rule() is not None

    def create(self, path: str, data: bytes, *, retain_until: datetime | None) -> ObjectInfo:
        """Store `data` with one conditional PutObject, then read back what was asked.

        An answer of "exists" raises, unless an earlier attempt of this same call was left without an
        answer: it may have been stored, so what lies there is compared. Equal bytes mean that it was, or
        that another writer stored the very same object; for content addresses and for log entries
        (which differ between writers) both are this call's success.

        Args:
            path: where.
            data: at most 5 GiB.
            retain_until: end of the COMPLIANCE lock, rounded up to a whole second; aware.
        """
        key = self._key(path)
        if len(data) > MAX_OBJECT_BYTES:
            raise StoreRefusedError(
                f"{path} has {len(data)} bytes, more than the {MAX_OBJECT_BYTES} of one PutObject",
                next_step="set a smaller target size for files",
            )
        until = _whole_seconds(retain_until)
        digest = hashlib.sha256(data).digest()
        request = {"Key": key, "Body": data, "IfNoneMatch": "*", **_checksum(digest), **_lock(until)}
        action = f"create {path} in {self.uri}"
        unanswered = False
        for pause in (*PAUSES, None):
            try:
                version = self._once("put_object", **request).get("VersionId", "")
                return self._verified(path, version, len(data), digest, until)
            except S3CallError as failure:
                if failure.status == 412:
                    if unanswered and self._holds(path, len(data), digest):
                        return self._verified(path, "", len(data), digest, until)
                    raise AlreadyExistsError(f"cannot {action}: something is there already") from failure
                if pause is None or not failure.transient:
                    raise failure.as_error(action) from failure
                unanswered = unanswered or not failure.conflict
                self._sleep(pause)
        raise AssertionError("unreachable")  # the last pause is None

    def replace(self, path: str, data: bytes) -> ObjectInfo:
        """Store `data` as the newest version, and read it back."""
        digest = hashlib.sha256(data).digest()
        answer = self._call("replace", path, "put_object", Body=data, **_checksum(digest))
        return self._verified(path, answer.get("VersionId", ""), len(data), digest, None)

    def read(self, path: str, version_id: str | None = None) -> bytes:
        """All bytes of the latest, or of the named, version."""
        return self._get(path, version_id)

    def read_range(self, path: str, start: int, length: int, version_id: str | None = None) -> bytes:
        """`length` bytes from `start`; fewer, or none, at the end of the object."""
        if length <= 0:
            return b""
        return self._get(path, version_id, Range=f"bytes={start}-{start + length - 1}")

    def head(self, path: str, version_id: str | None = None) -> ObjectInfo:
        """What the server says of one version, with its retention."""
        return self._info(path, self._head(path, version_id))

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """Latest versions, a page of 1,000 at a time."""
        request: dict[str, Any] = {"Prefix": self._prefix + prefix}
        if start_after:
            request["StartAfter"] = self._prefix + start_after
        while True:
            page = self._call("list", None, "list_objects_v2", **request)
            yield from self._listed(page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def list_versions(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every version and delete marker, a page of 1,000 at a time, by path within a page."""
        request: dict[str, Any] = {"Prefix": self._prefix + prefix}
        while True:
            page = self._call("list versions of", None, "list_object_versions", **request)
            items = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            items.sort(key=lambda item: item["Key"].encode())
            yield from self._listed(items)
            if not page.get("IsTruncated"):
                return
            request["KeyMarker"] = page["NextKeyMarker"]
            request["VersionIdMarker"] = page.get("NextVersionIdMarker", "")

    def delete(self, path: str, version_id: str) -> None:
        """Try to delete one version for good; under a COMPLIANCE lock the server refuses."""
        self._call("delete", path, "delete_object", **_version(version_id))

    def set_retention(self, path: str, version_id: str, until: datetime) -> None:
        """Ask for another end of a COMPLIANCE lock; a server that enforces it refuses an earlier one."""
        retention = {"Mode": "COMPLIANCE", "RetainUntilDate": until}
        request = {**_version(version_id), "Retention": retention}
        self._call("change the retention of", path, "put_object_retention", **request)

    def now(self) -> datetime:
        """The server's clock: the `Date` of its answer, in whole seconds."""
        answer = self._call("reach", None, "head_bucket")
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            return parsedate_to_datetime(date).astimezone(UTC)
        except ValueError as error:
            raise StoreRefusedError(
                f"{self.uri} sends no readable Date", next_step="let the server or proxy send the Date header"
            ) from error

    def bucket_state(self) -> BucketState:
        """What the server says of versioning and Object Lock."""
        versioning = self._call("read the versioning of", None, "get_bucket_versioning")
        rule = self._lock_rule()
        days = 0 if rule is None or rule.get("Mode") != "COMPLIANCE" else _days(rule)
        return BucketState(versioning.get("Status") == "Enabled", rule is not None, days)

    def ensure_bucket(self, *, lock_days: int | None) -> None:
        """Create the bucket with versioning where it is missing; only for a store that we run ourselves.

        Args:
            lock_days: enable Object Lock with this default COMPLIANCE retention; None for a bucket without.
        """
        locked = lock_days is not None
        try:
            self._once("create_bucket", ObjectLockEnabledForBucket=locked)
        except S3CallError as failure:
            if failure.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise failure.as_error(f"create the bucket of {self.uri}") from failure
        if locked:
            rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": lock_days}}
            configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
            self._call("lock", None, "put_object_lock_configuration", ObjectLockConfiguration=configuration)
        else:
            self._call(
                "version", None, "put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"}
            )

    def _lock_rule(self) -> Answer | None:
        """Default retention of the bucket: `{}` for Object Lock without one, None without Object Lock."""
        try:
            answer = self._retry(lambda: self._once("get_object_lock_configuration"))
        except S3CallError as failure:
            if failure.code == "ObjectLockConfigurationNotFoundError":
                return None
            raise failure.as_error(f"read the Object Lock configuration of {self.uri}") from failure
        configuration: Answer = answer.get("ObjectLockConfiguration", {})
        if configuration.get("ObjectLockEnabled") != "Enabled":
            return None
        rule: Answer = configuration.get("Rule", {}).get("DefaultRetention", {})
        return rule

    def _verified(
        self, path: str, version: str, size: int, digest: bytes, until: datetime | None
    ) -> ObjectInfo:
        """HEAD what was written and compare; the bytes are read again where the server keeps no SHA-256."""
        answer = self._head(path, version)
        info = self._info(path, answer)
        reported = answer.get("ChecksumSHA256")
        if reported is None:
            reported = _base64(hashlib.sha256(self.read(path, info.version_id)).digest())
        checks = {
            "size": info.size == size,
            "SHA-256": reported == _base64(digest),
            "lock mode": until is None or answer.get("ObjectLockMode") == "COMPLIANCE",
            "retain-until date": until is None or info.retain_until == until,
        }
        wrong = [name for name, right in checks.items() if not right]
        if wrong:
            raise StoreRefusedError(
                f"{path} in {self.uri} was stored with another {' and '.join(wrong)} than asked",
                next_step="probe the store: it ignores what Indelible depends on",
            )
        return info

    def _holds(self, path: str, size: int, digest: bytes) -> bool:
        return self.head(path).size == size and hashlib.sha256(self.read(path)).digest() == digest

    def _head(self, path: str, version_id: str | None) -> Answer:
        return self._call("look at", path, "head_object", ChecksumMode="ENABLED", **_version(version_id))

    def _get(self, path: str, version_id: str | None, **request: str) -> bytes:
        request = {"Bucket": self.bucket, "Key": self._key(path), **_version(version_id), **request}
        try:
            data: bytes = self._retry(
                lambda: self._attempt(lambda: sync(self._fs.loop, self._fetch, request))
            )
            return data
        except S3CallError as failure:
            if failure.status == 416:  # the range starts at or after the end
                return b""
            raise failure.as_error(f"read {path} of {self.uri}") from failure

    async def _fetch(self, request: Mapping[str, str]) -> bytes:
        answer = await self._fs._call_s3("get_object", **request)
        async with answer["Body"] as body:
            data: bytes = await body.read()
            return data

    def _call(self, verb: str, path: str | None, method: str, **request: Any) -> Answer:
        """One request, repeated on transient failures; its errors are those of `tasks.errors`."""
        if path is not None:
            request["Key"] = self._key(path)
        try:
            return self._retry(lambda: self._once(method, **request))
        except S3CallError as failure:
            action = f"{verb} {self.uri}" if path is None else f"{verb} {path} in {self.uri}"
            raise failure.as_error(action) from failure

    def _retry(self, call: Callable[[], T]) -> T:
        for pause in PAUSES:
            try:
                return call()
            except S3CallError as failure:
                if not failure.transient:
                    raise
                self._sleep(pause)
        return call()

    def _once(self, method: str, **request: Any) -> Answer:
        return self._attempt(lambda: self._fs.call_s3(method, Bucket=self.bucket, **request))

    @staticmethod
    def _attempt(call: Callable[[], T]) -> T:
        try:
            return call()
        except RAISED_BY_S3 as error:
            raise S3CallError.of(error) from error

    def _key(self, path: str) -> str:
        return self._prefix + check_path(path)

    def _info(self, path: str, answer: Answer) -> ObjectInfo:
        return ObjectInfo(
            path=path,
            version_id=answer.get("VersionId", ""),
            size=answer["ContentLength"],
            etag=answer["ETag"].strip('"'),
            modified=answer["LastModified"].astimezone(UTC),
            retain_until=_retention(answer),
        )

    def _listed(self, items: Iterable[Answer]) -> Iterator[ObjectInfo]:
        for item in items:
            if item["Key"] != self._prefix:  # the marker that consoles make for a "folder"
                yield self._listed_item(item)

    def _listed_item(self, item: Answer) -> ObjectInfo:
        return ObjectInfo(
            path=item["Key"][len(self._prefix) :],
            version_id=item.get("VersionId", ""),
            size=item.get("Size", 0),
            etag=item.get("ETag", "").strip('"'),
            modified=item["LastModified"].astimezone(UTC),
            is_delete_marker="Size" not in item,
            is_latest=item.get("IsLatest", True),
        )


def _whole_seconds(moment: datetime | None) -> datetime | None:
    """Round up, because servers keep whole seconds and less than asked would be too short."""
    if moment is None:
        return None
    moment = moment.astimezone(UTC)
    return (moment + timedelta(seconds=1) if moment.microsecond else moment).replace(microsecond=0)


def _lock(until: datetime | None) -> dict[str, Any]:
    return {} if until is None else {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}


def _retention(answer: Answer) -> datetime | None:
    """End of a COMPLIANCE lock; a GOVERNANCE lock, which a permission lifts, counts as none."""
    if answer.get("ObjectLockMode") != "COMPLIANCE":
        return None
    until: datetime = answer["ObjectLockRetainUntilDate"]
    return until.astimezone(UTC)


def _checksum(digest: bytes) -> dict[str, str]:
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": _base64(digest)}


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")


def _version(version_id: str | None) -> dict[str, str]:
    return {"VersionId": version_id} if version_id else {}


def _days(rule: Answer) -> int:
    return int(rule.get("Days") or 365 * rule.get("Years", 0))
