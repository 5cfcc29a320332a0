"""AWS's public keys, as `aws cloudtrail list-public-keys` prints them, selected by fingerprint.

AWS replaces the keys of a region from time to time and forgets old ones, so what it answered is kept beside
the digests. Whether a key is AWS's cannot be told from the key: it comes from AWS's API, as trust from outside.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tasks.custody.findings import KEY_BAD, refusal

MAX_KEY_FILE_BYTES = 4 << 20
MIN_BITS, MAX_BITS = 2048, 8192

Keys = Mapping[str, RSAPublicKey]
"""Fingerprint -> key."""


def read_keys(data: bytes) -> dict[str, RSAPublicKey]:
    """The keys in one ListPublicKeys answer.

    Args:
        data: `{"PublicKeyList": [{"Value": <base64 of PKCS#1 DER>, "Fingerprint": ...}, ...]}`.

    Raises:
        VerificationError: `custody-key-bad`.
    """
    if len(data) > MAX_KEY_FILE_BYTES:
        raise refusal(KEY_BAD, f"a key file has at most {MAX_KEY_FILE_BYTES} bytes")
    try:
        listed = json.loads(data)["PublicKeyList"]
        return {_text(item["Fingerprint"]): _key(item["Value"]) for item in listed}
    except (ValueError, KeyError, TypeError, RecursionError, UnsupportedAlgorithm) as error:
        raise refusal(KEY_BAD, "the file is no answer of ListPublicKeys with RSA keys in it") from error


def _key(value: Any) -> RSAPublicKey:
    key = load_der_public_key(base64.b64decode(_text(value), validate=True))
    if not isinstance(key, RSAPublicKey) or not MIN_BITS <= key.key_size <= MAX_BITS:
        raise ValueError("no RSA key of a size that AWS uses")
    return key


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no string")
    return value
