"""The S3 adapter: create-only writes under Object Lock, each verified after it was made.

Implements `ObjectStore` on the S3 REST API through s3fs. What servers are known to ignore (lock headers,
checksums, conditions) is never taken on trust: `create` reads back what it asked for. Put here everything
that speaks S3; nothing else imports s3fs.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from aiobotocore.session import AioSession  # type: ignore[import-untyped]
from fsspec.asyn import sync  # type: ignore[import-untyped]
from s3fs import S3FileSystem

from tasks.errors import AlreadyExistsError, IndelibleError, StoreRefusedError
from tasks.storage.bucket import bucket_state
from tasks.storage.encryption import KmsKeys
from tasks.storage.names import check_path
from tasks.storage.protocol import ObjectInfo
from tasks.storage.s3_answers import (
    Answer,
    checksum,
    encoded,
    listed,
    lock,
    object_info,
    version,
    whole_page,
    whole_seconds,
)
from tasks.storage.s3_failure import S3CallError, attempt
from tasks.storage.serialised import turn
from tasks.storage.single_send import SingleSendSession
from tasks.storage.transport import trusted_authorities

MAX_OBJECT_BYTES = 5 * 2**30  # of one PutObject; multipart loses lock headers on some servers
PAUSES = (0.2, 0.6, 1.8)  # seconds before each repetition of a transient failure
_CONFIG = {
    "connect_timeout": 10,
    "read_timeout": 60,
    "max_pool_connections": 32,
    "retries": {"total_max_attempts": 1},  # repetition is ours alone, see `S3Store.create`
    "http_session_cls": SingleSendSession,
    "s3": {"addressing_style": "path"},
    "ignore_configured_endpoint_urls": True,  # AWS_ENDPOINT_URL would pass by the check of endpoints
    # Damaged bytes must reach the verifier, which names them; an exception here would hide them.
    "response_checksum_validation": "when_required",
}

T = TypeVar("T")


@cache
def _session() -> AioSession:
    """One for all stores: it holds the parsed service models, which take 0.1 s to read."""
    return AioSession()


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
        ca_bundle: PEM file of the authorities to trust instead of the system's.
        kms_keys: see `KmsKeys`.
        create_lock: file whose lock every creator takes, for a server that ignores `If-None-Match`.
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
        ca_bundle: Path | None = None,
        kms_keys: Mapping[str, str] | None = None,
        create_lock: Path | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.bucket = bucket
        self.endpoint = endpoint
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._kms = KmsKeys(kms_keys or {})
        self._create_lock = create_lock
        self._sleep = sleep
        self._fs = S3FileSystem(
            key=access_key,
            secret=secret_key,
            endpoint_url=endpoint,
            session=_session(),
            client_kwargs={"region_name": region, "verify": trusted_authorities(ca_bundle)},
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
        return bucket_state(self).object_lock

    def create(self, path: str, data: bytes, *, retain_until: datetime | None) -> ObjectInfo:
        """Store `data` with one conditional PutObject, then read back what was asked.

        An answer of "exists" raises, unless an earlier attempt of this same call was left without an
        answer: it may have been stored, so what lies there is compared. Equal bytes under the lock that was
        asked for mean that it was, or that another writer stored the very same object; for content
        addresses and for log entries (which differ between writers) both are this call's success.

        Args:
            path: where.
            data: at most 5 GiB.
            retain_until: end of the COMPLIANCE lock, rounded up to a whole second; aware.
        """
        key = self.key(path)
        if len(data) > MAX_OBJECT_BYTES:
            raise StoreRefusedError(
                f"{path} has {len(data)} bytes, more than the {MAX_OBJECT_BYTES} of one PutObject",
                next_step="set a smaller target size for files",
            )
        until = whole_seconds(retain_until)
        digest = hashlib.sha256(data).digest()
        request = {"Key": key, "Body": data, **checksum(digest), **lock(until), **self._kms.request(path)}
        action = f"create {path} in {self.uri}"
        unanswered = False
        for pause in (*PAUSES, None):
            try:
                stored = self._put_if_absent(request).get("VersionId", "")
                return self._verified(path, stored, len(data), digest, until)
            except S3CallError as failure:
                if failure.status == 412:
                    if unanswered and self._holds(path, len(data), digest, until):
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
        about = {**checksum(digest), **self._kms.request(path)}
        answer = self._call("replace", path, "put_object", Body=data, **about)
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
        return object_info(path, self._head(path, version_id))

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """Latest versions, a page of 1,000 at a time.

        Servers that keep directories (SeaweedFS) walk `a/b` before `a-b`, and start there too: after
        `a-b` they would leave `a/b` out. So the server starts only where no character below `/` can make
        that difference, and what it then gives too early is left out here.
        """
        request: dict[str, Any] = {"Prefix": self._prefix + prefix}
        beyond = start_after.removeprefix(prefix)
        if beyond and min(beyond) >= "/":
            request["StartAfter"] = self._prefix + start_after
        first = start_after.encode()
        while True:
            page = self._call("list", None, "list_objects_v2", **request)
            for info in listed(page.get("Contents", ()), self._prefix):
                if info.path.encode() > first:
                    yield info
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def list_versions(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every version and delete marker, a page of 1,000 at a time."""
        request: dict[str, Any] = {"Prefix": self._prefix + prefix}
        while True:
            page = self._call("list the versions of", None, "list_object_versions", **request)
            yield from listed([*page.get("Versions", ()), *page.get("DeleteMarkers", ())], self._prefix)
            if not page.get("IsTruncated"):
                return
            request["KeyMarker"] = page["NextKeyMarker"]
            request["VersionIdMarker"] = page.get("NextVersionIdMarker", "")

    def delete(self, path: str, version_id: str) -> None:
        """Try to delete one version for good; under a COMPLIANCE lock the server refuses."""
        self._call("delete", path, "delete_object", **version(version_id))

    def set_retention(self, path: str, version_id: str, until: datetime) -> None:
        """Ask for another end of a COMPLIANCE lock; a server that enforces it refuses an earlier one."""
        retention = {"Mode": "COMPLIANCE", "RetainUntilDate": until}
        request = {**version(version_id), "Retention": retention}
        self._call("change the retention of", path, "put_object_retention", **request)

    def extend_retention(self, path: str, version_id: str, until: datetime) -> bool:
        """See `ObjectStore`; a fraction of a second is rounded up."""
        rounded = whole_seconds(until)
        if rounded is None or self._is_locked(path, version_id, rounded):
            return False
        try:
            self.set_retention(path, version_id, rounded)
        except StoreRefusedError:
            if not self._is_locked(path, version_id, rounded):
                raise
            return False  # somebody else extended it further meanwhile, so ours would have shortened it
        if not self._is_locked(path, version_id, rounded):
            raise StoreRefusedError(
                f"the lock of {path} in {self.uri} ends before it was told to",
                next_step="probe the store: it ignores what Indelible depends on",
            )
        return True

    def _is_locked(self, path: str, version_id: str, until: datetime) -> bool:
        end = self.head(path, version_id).retain_until
        return end is not None and end >= until

    def set_legal_hold(self, path: str, version_id: str, *, held: bool) -> None:
        """See `ObjectStore`: PutObjectLegalHold, then GetObjectLegalHold."""
        hold = {**version(version_id), "LegalHold": {"Status": "ON" if held else "OFF"}}
        self._call("change the legal hold of", path, "put_object_legal_hold", **hold)
        if self.legal_hold(path, version_id) != held:
            raise StoreRefusedError(
                f"the legal hold of {path} in {self.uri} is not as it was told to be",
                next_step="use a store that keeps S3 legal holds",
            )

    def legal_hold(self, path: str, version_id: str) -> bool:
        """See `ObjectStore`. A version that never had a hold has none; servers call that an error."""
        try:
            answer = self.request("get_object_legal_hold", Key=self.key(path), **version(version_id))
        except S3CallError as failure:
            if failure.code in {"NoSuchObjectLockConfiguration", "NoSuchObjectLegalHold"}:
                return False
            raise failure.as_error(f"read the legal hold of {path} in {self.uri}") from failure
        return bool(answer["LegalHold"]["Status"] == "ON")

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

    def _verified(
        self, path: str, version_id: str, size: int, digest: bytes, until: datetime | None
    ) -> ObjectInfo:
        """HEAD what was written and compare; the bytes are read again where the server keeps no SHA-256.

        A lock that the server dropped is set once more, alone; what is still wrong then is refused.
        """
        answer = self._head(path, version_id)
        if until is not None and "ObjectLockMode" not in answer:
            self.set_retention(path, answer.get("VersionId", version_id), until)
            answer = self._head(path, version_id)
        info = object_info(path, answer)
        reported = answer.get("ChecksumSHA256")
        if reported is None:
            reported = encoded(hashlib.sha256(self.read(path, info.version_id)).digest())
        checks = {
            "size": info.size == size,
            "SHA-256": reported == encoded(digest),
            "lock mode": until is None or answer.get("ObjectLockMode") == "COMPLIANCE",
            "retain-until date": until is None or info.retain_until == until,
            "encryption": self._kms.hold(path, answer),
        }
        wrong = [name for name, right in checks.items() if not right]
        if wrong:
            raise StoreRefusedError(
                f"{path} in {self.uri} was stored with another {' and '.join(wrong)} than asked",
                next_step="probe the store: it ignores what Indelible depends on",
            )
        return info

    def _put_if_absent(self, request: Mapping[str, Any]) -> Answer:
        """One PutObject under `If-None-Match`; with `create_lock` also in turn, after a look at the name."""
        if self._create_lock is None:
            return self._once("put_object", IfNoneMatch="*", **request)
        with turn(self._create_lock):
            try:
                self._once("head_object", Key=request["Key"])
            except S3CallError as failure:
                if failure.status != 404:
                    raise
                return self._once("put_object", IfNoneMatch="*", **request)
            raise S3CallError(412, "PreconditionFailed", answered=True)

    def _holds(self, path: str, size: int, digest: bytes, until: datetime | None) -> bool:
        """Whether the object may be this call's: another date shows that it is older, no lock can be mended."""
        info = self.head(path)
        ours = info.size == size and info.retain_until in {until, None}
        return ours and hashlib.sha256(self.read(path)).digest() == digest

    def _head(self, path: str, version_id: str | None) -> Answer:
        return self._call("look at", path, "head_object", ChecksumMode="ENABLED", **version(version_id))

    def _get(self, path: str, version_id: str | None, **request: str) -> bytes:
        request = {"Bucket": self.bucket, "Key": self.key(path), **version(version_id), **request}
        try:
            data: bytes = self._retry(lambda: attempt(lambda: sync(self._fs.loop, self._fetch, request)))
            return data
        except S3CallError as failure:
            if failure.status == 416:  # the range starts at or after the end
                return b""
            raise self._unreadable(path, version_id, failure) from failure

    def _unreadable(self, path: str, version_id: str | None, failure: S3CallError) -> IndelibleError:
        """HEAD needs no key: where it answers and GET fails to the end, a missing KMS key is the reason."""
        action = f"read {path} of {self.uri}"
        if failure.status == 500:
            key = self._head(path, version_id).get("SSEKMSKeyId")
            if key:
                return failure.without_key(action, key)
        return failure.as_error(action)

    async def _fetch(self, request: Mapping[str, str]) -> bytes:
        answer = await self._fs._call_s3("get_object", **request)
        async with answer["Body"] as body:
            data: bytes = await body.read()
            return data

    def request(self, method: str, **parameters: Any) -> Answer:
        """One S3 operation on the bucket, repeated on transient failures.

        Raises:
            S3CallError: for the modules of this package that turn it into an error of `tasks.errors`.
        """
        return self._retry(lambda: self._once(method, **parameters))

    def _call(self, verb: str, path: str | None, method: str, **parameters: Any) -> Answer:
        if path is not None:
            parameters["Key"] = self.key(path)
        try:
            return self.request(method, **parameters)
        except S3CallError as failure:
            action = f"{verb} {self.uri}" if path is None else f"{verb} {path} in {self.uri}"
            raise failure.as_error(action) from failure

    def _once(self, method: str, **parameters: Any) -> Answer:
        return attempt(lambda: whole_page(self._fs.call_s3(method, Bucket=self.bucket, **parameters)))

    def _retry(self, call: Callable[[], T]) -> T:
        for pause in PAUSES:
            try:
                return call()
            except S3CallError as failure:
                if not failure.transient:
                    raise
                self._sleep(pause)
        return call()

    def key(self, path: str) -> str:
        """The S3 key of a path."""
        return self._prefix + check_path(path)
