"""Signing keys in AWS KMS: key spec ECC_NIST_EDWARDS25519, algorithm ED25519_SHA_512, message type RAW.

RAW is what makes it PureEdDSA, as RFC 8032 verifiers expect (DIGEST would be Ed25519ph). A key is found by its
alias and then addressed by its ARN, so that an alias which is moved changes nothing that was announced.
"""

from __future__ import annotations

from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tasks.errors import KeyServiceUnreachableError, KeyUnavailableError
from tasks.keyring.remote import RemoteKey

_SPEC: Final = "ECC_NIST_EDWARDS25519"
_ALGORITHM: Final = "ED25519_SHA_512"
_NEEDED: Final = "GetPublicKey, Sign, and for new keys CreateKey, CreateAlias"
_TRANSIENT: Final = frozenset(
    {
        "DependencyTimeoutException",
        "InternalFailure",
        "KMSInternalException",
        "KeyUnavailableException",
        "LimitExceededException",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)


class AwsKmsKeys:
    """Keys of one account and region, under aliases `alias/<prefix><label>`. Credentials are the AWS chain's.

    Args:
        region: AWS region.
        prefix: of the aliases, letters, digits, `/`, `_`, `-`.
        endpoint: instead of AWS's own, for example a VPC endpoint.
    """

    def __init__(self, region: str, prefix: str = "indelible/", endpoint: str | None = None) -> None:
        self._prefix = prefix
        self._client = kms_client(region, endpoint)

    def find(self, label: str) -> RemoteKey | None:
        """See `tasks.keyring.SigningKeys`."""
        alias = self._alias(label)
        try:
            answer = self._client.get_public_key(KeyId=alias)
        except (BotoCoreError, ClientError) as error:
            if _code(error) == "NotFoundException":
                return None
            raise failure(alias, error, _NEEDED) from None
        key = load_der_public_key(answer["PublicKey"]) if answer["KeySpec"] == _SPEC else None
        if not isinstance(key, Ed25519PublicKey):
            raise KeyUnavailableError(
                f"the AWS KMS key {alias} is not of the spec {_SPEC}",
                next_step="Use another alias prefix in [keys.aws_kms], or remove the alias.",
            )
        arn = answer["KeyId"]
        return RemoteKey(
            f"the AWS KMS key {alias}", key.public_bytes_raw(), lambda data: self._sign(alias, arn, data)
        )

    def create(self, label: str) -> RemoteKey:
        """See `tasks.keyring.SigningKeys`. Of two processes that race, one's key gets the alias and is used."""
        key = self.find(label)
        if key is not None:
            return key
        alias = self._alias(label)
        try:
            made = self._client.create_key(
                KeySpec=_SPEC, KeyUsage="SIGN_VERIFY", Description=f"Indelible: signs the log {label}"
            )
            self._client.create_alias(AliasName=alias, TargetKeyId=made["KeyMetadata"]["KeyId"])
        except (BotoCoreError, ClientError) as error:
            if _code(error) != "AlreadyExistsException":
                raise failure(alias, error, _NEEDED) from None
        key = self.find(label)
        if key is None:
            raise KeyServiceUnreachableError(
                f"the AWS KMS key {alias} was made and is not visible yet", next_step="Run again in a minute."
            )
        return key

    def _alias(self, label: str) -> str:
        return f"alias/{self._prefix}{label.replace('.', '_')}"

    def _sign(self, alias: str, arn: str, data: bytes) -> bytes:
        try:
            answer = self._client.sign(
                KeyId=arn, Message=data, MessageType="RAW", SigningAlgorithm=_ALGORITHM
            )
        except (BotoCoreError, ClientError) as error:
            raise failure(alias, error, _NEEDED) from None
        return bytes(answer["Signature"])


def _code(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def kms_client(region: str, endpoint: str | None) -> Any:
    """A client of AWS KMS that does not wait for long."""
    return botocore.session.get_session().create_client(
        "kms",
        region_name=region,
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 3, "mode": "standard"}
        ),
    )


def failure(name: str, error: Exception, needed: str) -> KeyUnavailableError:
    """What an error of the client means for a key; `needed` are the actions that its policy must allow."""
    code = _code(error) or type(error).__name__
    if _code(error) in _TRANSIENT or (isinstance(error, BotoCoreError) and "Credential" not in code):
        return KeyServiceUnreachableError(
            f"AWS KMS does not serve {name} now ({code})",
            next_step="Wait and run again; nothing was done.",
        )
    return KeyUnavailableError(
        f"AWS KMS refuses {name} ({code})",
        next_step=f"Check the key and its policy; needed: {needed}.",
    )
