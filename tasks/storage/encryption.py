"""Server-side encryption under keys of a key management service (SSE-KMS): which key, asked how, held or not."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.errors import UsageError
from tasks.storage.s3_answers import Answer


class KmsKeys:
    """A key for each path. What has none is encrypted as the bucket's default says.

    Args:
        keys: id or ARN of a key by the beginning of the paths that it encrypts; the longest counts, and ""
            stands for all other paths.

    Raises:
        UsageError: a key is given by an alias.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        if any("alias/" in key for key in keys.values()):
            raise UsageError(
                "a KMS key is set by an alias, which can be pointed at another key later",
                next_step="give the key's id or ARN",
            )
        self._keys = sorted(keys.items(), key=lambda item: -len(item[0]))

    def request(self, path: str) -> dict[str, str]:
        """Request parameters of PutObject."""
        key = self._key(path)
        return {} if key is None else {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}

    def hold(self, path: str, answer: Answer) -> bool:
        """Whether a HeadObject answer reports the key of `path`; AWS reports the ARN of a key given by id."""
        key, reported = self._key(path), answer.get("SSEKMSKeyId", "")
        return key is None or (
            answer.get("ServerSideEncryption") == "aws:kms"
            and (reported == key or reported.endswith(f":key/{key}"))
        )

    def _key(self, path: str) -> str | None:
        return next((key for prefix, key in self._keys if path.startswith(prefix)), None)
