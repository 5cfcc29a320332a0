"""What an S3 call that failed means: try again, lost race, absent, refused.

Put here: reading exceptions of s3fs, botocore and aiohttp. Messages carry the server's error code and
nothing else of its answer, so no credential or key id can reach a log.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, SSLError
from botocore.exceptions import ConnectionError as NoConnectionError

from tasks.errors import IndelibleError, NotFoundError, StoreRefusedError, StoreUnavailableError

T = TypeVar("T")
RAISED_BY_S3 = (OSError, ClientError, BotoCoreError, aiohttp.ClientError)

# "Try the same request again", as the S3 API reference and Ceph say of a conditional write that met another.
_CONFLICTS = frozenset({"ConditionalRequestConflict", "OperationAborted", "ConcurrentModification"})
_RETRY_CODES = frozenset(
    {"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "KMS.ThrottlingException"}
)
_NEXT_STEPS = {
    "RequestTimeTooSkewed": "set this machine's clock: it differs too much from the store's",
    "SSLError": "set ca_bundle to the authority that signed it, or correct the host in the endpoint",
    "NoSuchBucket": "create the bucket with Object Lock enabled, or correct the store's URI",
    "InvalidBucketState": "use a bucket that was created with Object Lock enabled",
    "NoCredentialsError": "give an access key and a secret key, or set up the AWS credential chain",
    "PartialCredentialsError": "give both an access key and a secret key",
    "ParamValidationError": "correct the bucket name or path in the store's URI",
}
_SENTENCES = {
    "SSLError": "TLS failed: the server's certificate is of no trusted authority, or not for this host"
}
_NO_KEY = (
    "check the KMS key's state and who may use it; what lies under a destroyed key can never be read again"
)


class S3CallError(Exception):
    """One failed S3 request.

    Attributes:
        status: HTTP status, or 0 when there was no answer.
        code: S3 error code, or the exception's class name when there was no answer.
    """

    def __init__(self, status: int, code: str, *, answered: bool) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.answered = answered

    @classmethod
    def of(cls, error: BaseException) -> S3CallError:
        """Read `error`; s3fs translates, and keeps botocore's exception as the cause."""
        client_error = error if isinstance(error, ClientError) else error.__cause__
        if isinstance(client_error, ClientError):
            answer = client_error.response
            status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            code = re.sub(r"[^A-Za-z0-9.]", "", str(answer.get("Error", {}).get("Code", "")))[:60]
            return cls(status, code, answered=True)
        if isinstance(error, SSLError):  # final, though botocore takes it for a lost connection
            return cls(0, "SSLError", answered=True)
        lost = isinstance(error, OSError | HTTPClientError | NoConnectionError | aiohttp.ClientError)
        return cls(0, type(error).__name__, answered=not lost)

    @property
    def conflict(self) -> bool:
        """Another request on the same path is under way, and this one changed nothing."""
        return self.status == 409 and self.code in _CONFLICTS

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return (
            not self.answered
            or self.status >= 500
            or self.status in {408, 429}
            or self.code in _RETRY_CODES
            or self.conflict
        ) and self.status != 501

    def as_error(self, action: str) -> IndelibleError:
        """The error that leaves the adapter; `action` is as in "read log/2026/checkpoint of s3://b"."""
        what = _SENTENCES.get(self.code, f"{self.status or ''} {self.code}".strip())
        if self.transient:
            return StoreUnavailableError(
                f"cannot {action}: {what}",
                next_step="check that the store runs and can be reached, then run again",
            )
        if self.status == 404 and self.code != "NoSuchBucket":
            return NotFoundError(f"cannot {action}: not found", next_step="check the path and the version")
        if self.code.startswith("KMS."):
            return StoreRefusedError(f"cannot {action}: {what}", next_step=_NO_KEY)
        next_step = _NEXT_STEPS.get(
            self.code, "check the permissions of these credentials and the bucket's settings"
        )
        return StoreRefusedError(f"cannot {action}: {what}", next_step=next_step)

    def without_key(self, action: str, key: str) -> StoreRefusedError:
        """The error when a server that answers otherwise cannot give bytes that lie under a KMS key."""
        return StoreRefusedError(
            f"cannot {action}: {self.status} {self.code}; it is encrypted under the KMS key {key}",
            next_step=_NO_KEY,
        )


def attempt(call: Callable[[], T]) -> T:
    """What a call gives; whatever it raises of S3 comes as `S3CallError`."""
    try:
        return call()
    except RAISED_BY_S3 as error:
        raise S3CallError.of(error) from error
