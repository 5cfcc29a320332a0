"""RFC 3161 time-stamps over checkpoints: asked for over HTTP, checked, then stored once.

The token is over the bytes of the cosigned note where witnesses are configured, else of the log's own note.
It shows that the checkpoint, and so every entry under it, existed at the authority's time.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass

from flows.outbound import post
from flows.shards import log_until
from flows.wiring import Runtime
from tasks.errors import (
    AlreadyExistsError,
    NotFoundError,
    StoreUnavailableError,
    UsageError,
    VerificationError,
)
from tasks.evidence import paths
from tasks.log import reader
from tasks.verify.timestamps import Authority, check_token, read_certificates


@dataclass(frozen=True, slots=True)
class Stamped:
    """How far a shard is time-stamped, and why no further."""

    size: int | None
    problem: str = ""


def authority(runtime: Runtime) -> Authority | None:
    """The certificates of the settings, to check tokens with.

    Raises:
        UsageError: the file cannot be read or is not as it must be.
    """
    path = runtime.settings.timestamps.certificates
    return None if path is None else read_certificates(path)


def stamp_shard(runtime: Runtime, year: int) -> Stamped | None:
    """Have the newest checkpoint of a year time-stamped, unless it is; None when no authority is configured."""
    settings = runtime.settings.timestamps
    if settings.url is None:
        return None
    stamped = _newest(runtime, year)
    witnesses = bool(runtime.settings.witness.members)
    note = (
        reader.newest_cosigned(runtime.store, year) if witnesses else reader.newest_note(runtime.store, year)
    )
    if note is None:
        return Stamped(stamped, "no checkpoint is cosigned yet" if witnesses else "")
    size = int(note.split(b"\n", 2)[1])
    if stamped == size:
        return Stamped(size)
    path = paths.cosigned_at(year, size) if witnesses else paths.checkpoint_at(year, size)
    try:
        token = _request(settings.url, runtime.store.read(path), settings.timeout_s, authority(runtime))
    except (StoreUnavailableError, VerificationError, NotFoundError) as error:
        return Stamped(stamped, str(error))
    with suppress(AlreadyExistsError):
        runtime.store.create(paths.timestamp_at(year, size), token, retain_until=log_until(runtime))
    return Stamped(size)


def _request(url: str, data: bytes, timeout_s: float, trusted: Authority | None) -> bytes:
    try:
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder
    except ImportError as error:
        raise UsageError(
            "time-stamps need the package rfc3161-client",
            next_step="Install indelible[pipeline], or remove [timestamps] url.",
        ) from error
    request = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256)
    body = request.nonce(nonce=False).cert_request(cert_request=True).build().as_bytes()
    answer = post(url, body, "application/timestamp-query", timeout_s)
    if answer.status != 200 or answer.content_type != "application/timestamp-reply":
        raise StoreUnavailableError(f"the time-stamping authority answered {answer.status}")
    # It is stored once and for ever, so what will not verify is not stored.
    check_token(answer.body, [hashlib.sha256(data).digest()], trusted)
    return answer.body


def _newest(runtime: Runtime, year: int) -> int | None:
    """Size of the newest time-stamped checkpoint."""
    found = [info.path for info in runtime.store.list(paths.timestamps_prefix(year))]
    return paths.parse_number(found[-1]) if found else None
