"""From S3's answers to `ObjectInfo`, and from what we ask to request parameters. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.storage.protocol import ObjectInfo

Answer = Mapping[str, Any]


def object_info(path: str, answer: Answer) -> ObjectInfo:
    """Of a HeadObject answer. A GOVERNANCE lock, which a permission lifts, counts as none."""
    locked = answer.get("ObjectLockMode") == "COMPLIANCE"
    return ObjectInfo(
        path=path,
        version_id=answer.get("VersionId", ""),
        size=answer["ContentLength"],
        etag=answer["ETag"].strip('"'),
        modified=answer["LastModified"].astimezone(UTC),
        retain_until=answer["ObjectLockRetainUntilDate"].astimezone(UTC) if locked else None,
    )


def listed(items: Iterable[Answer], root: str) -> Iterator[ObjectInfo]:
    """Of one page, in byte order: some servers order a page by percent-encoded keys."""
    for item in sorted(items, key=lambda item: item["Key"].encode()):
        if item["Key"] == root:  # the marker that consoles make for a "folder"
            continue
        yield ObjectInfo(
            path=item["Key"][len(root) :],
            version_id=item.get("VersionId", ""),
            size=item.get("Size", 0),
            etag=item.get("ETag", "").strip('"'),
            modified=item["LastModified"].astimezone(UTC),
            is_delete_marker="Size" not in item,
            is_latest=item.get("IsLatest", True),
        )


class CutPageError(OSError):
    """A page of a listing that contradicts itself; asked again, the server may give all of it."""


def whole_page(answer: Answer) -> Answer:
    """The answer, unless it is a page that lost keys or does not say where the next one begins.

    Raises:
        CutPageError: what is missing from a listing must not pass for what does not exist.
    """
    held = len(answer.get("Contents", ())) + len(answer.get("CommonPrefixes", ()))
    if answer.get("KeyCount", held) != held:
        raise CutPageError("a page has another number of keys than it says")
    if answer.get("IsTruncated") and not ("NextContinuationToken" in answer or "NextKeyMarker" in answer):
        raise CutPageError("a page does not say where the next one begins")
    return answer


def whole_seconds(moment: datetime | None) -> datetime | None:
    """Round up, because servers keep whole seconds, and less than asked would be too short."""
    if moment is None:
        return None
    moment = moment.astimezone(UTC)
    return (moment + timedelta(seconds=1) if moment.microsecond else moment).replace(microsecond=0)


def lock(until: datetime | None) -> dict[str, Any]:
    """Request parameters of a COMPLIANCE lock."""
    return {} if until is None else {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}


def checksum(digest: bytes) -> dict[str, str]:
    """Request parameters that let the server check the SHA-256 of what it receives."""
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": encoded(digest)}


def encoded(digest: bytes) -> str:
    """A digest as S3 writes it."""
    return base64.b64encode(digest).decode("ascii")


def version(version_id: str | None) -> dict[str, str]:
    """Request parameter of a version; none for the latest."""
    return {"VersionId": version_id} if version_id else {}
