"""Metadata that users gave an object: S3's `x-amz-meta-*`, or a sidecar `<path>.meta.json` where a copy has one."""

from __future__ import annotations

import json

from tasks.storage.protocol import ObjectStore
from tasks.storage.s3 import S3Store
from tasks.storage.s3_failure import S3CallError

SIDECAR = ".meta.json"
MAX_SIDECAR_BYTES = 64 << 10


def user_metadata(store: ObjectStore, path: str, *, sidecar: bool) -> dict[str, str]:
    """Names (lower case) and values; empty where there are none.

    A sidecar is believed before the object's own metadata, which a copying tool may have replaced. A sidecar
    that is no JSON object of strings counts as none.

    Args:
        store: where the object lies.
        path: the object.
        sidecar: whether the sidecar was listed.

    Raises:
        StoreUnavailableError: the store cannot be reached now.
        StoreRefusedError: it may not be read.
    """
    if sidecar:
        return _strings(store.read_range(f"{path}{SIDECAR}", 0, MAX_SIDECAR_BYTES + 1))
    return _of_object(store, path) if isinstance(store, S3Store) else {}


def _of_object(store: S3Store, path: str) -> dict[str, str]:
    try:
        answer = store.request("head_object", Key=store.key(path))
    except S3CallError as failure:
        raise failure.as_error(f"read the metadata of {path} in {store.uri}") from failure
    return {name.lower(): value for name, value in answer.get("Metadata", {}).items()}


def _strings(data: bytes) -> dict[str, str]:
    try:
        document = json.loads(data) if len(data) <= MAX_SIDECAR_BYTES else None
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {name.lower(): value for name, value in document.items() if isinstance(value, str)}
