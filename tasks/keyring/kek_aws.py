"""A key-encryption key in AWS KMS: a symmetric key, by alias or ARN; the context is the encryption context.

AWS keeps all versions that its own rotation makes and decrypts with each, so rotation there destroys nothing. To end
old copies of the key table, name a new key, rewrap, and schedule the deletion of the old one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from tasks.keyring.aws_kms import failure, kms_client

_NEEDED: Final = "Encrypt, Decrypt"


class AwsKek:
    """One KMS key.

    Args:
        region: AWS region.
        key: alias (`alias/...`), id or ARN.
        endpoint: instead of AWS's own.
    """

    def __init__(self, region: str, key: str, endpoint: str | None = None) -> None:
        self._key, self._client = key, kms_client(region, endpoint)

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """See `tasks.subjects.KeyEncryptionKey`."""
        try:
            answer = self._client.encrypt(KeyId=self._key, Plaintext=key, EncryptionContext=_context(context))
        except (BotoCoreError, ClientError) as error:
            raise failure(self._key, error, _NEEDED) from None
        return str(answer["KeyId"]), bytes(answer["CiphertextBlob"])

    def unwrap(self, kek: str, wrapped: bytes, context: bytes) -> bytes:
        """See `tasks.subjects.KeyEncryptionKey`."""
        try:
            answer = self._client.decrypt(
                KeyId=kek, CiphertextBlob=wrapped, EncryptionContext=_context(context)
            )
        except (BotoCoreError, ClientError) as error:
            raise failure(kek, error, _NEEDED) from None
        return bytes(answer["Plaintext"])

    def rotate(self) -> None:
        """See `tasks.subjects.KeyEncryptionKey`."""

    def retire(self, used: Collection[str]) -> None:
        """See `tasks.subjects.KeyEncryptionKey`."""


def _context(context: bytes) -> dict[str, str]:
    return {"indelible": context.decode()}
