"""Entries about officers, and what they sign, for trees that tests seal; keys are made from names."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.evidence.access_entry import signed_bytes
from tasks.evidence.officer_entry import approval_bytes
from tests.support import sealed_tree
from tests.support.sealed_tree import SEALED_AT

ORIGIN = sealed_tree.ORIGIN.rpartition("/")[0]
_COMMON = {"format": "indelible/1", "reason": "board 3", "requested_by": "ida", "sealed_at": SEALED_AT}


def enrolment(name: str, keys: str = "", **changes: Any) -> dict[str, Any]:
    """`name` becomes an officer, with the keys called `keys`."""
    public = {
        "open_key": hashlib.sha256((keys or name).encode()).hexdigest(),
        "sign_key": _public(keys or name),
    }
    said = {"action": "enrol", "approval": None, "approver": "carla", "name": name, "type": "key"}
    return {**_COMMON, **public, **said, **changes}


def withdrawal(name: str, **changes: Any) -> dict[str, Any]:
    """`name` is no officer any more."""
    return {**_COMMON, "action": "withdraw", "approver": "carla", "name": name, "type": "key", **changes}


def approved(entry: dict[str, Any], officer: str, origin: str = ORIGIN) -> dict[str, Any]:
    """The entry with an officer's approval."""
    entry = entry | {"approver": officer}
    signature = _private(officer).sign(approval_bytes(origin, entry)).hex()
    return entry | {"approval": {"key": _public(officer), "signature": signature}}


def reidentification(*officers: str) -> dict[str, Any]:
    """Officers had a pseudonym turned back."""
    request = {
        "case": "2026-17",
        "expires_at": "2026-11-25T10:00:00Z",
        "format": "indelible-reidentification/1",
        "origin": ORIGIN,
        "pseudonyms": ["s_" + "a" * 32],
        "purpose": "fraud",
        "requested_at": "2026-11-24T09:00:00Z",
        "requested_by": "uma",
        "source": "gateway",
    }
    signatures = [
        {"key": _public(name), "name": name, "signature": _private(name).sign(signed_bytes(request)).hex()}
        for name in officers
    ]
    common = {"action": "reidentify", "format": "indelible/1", "sealed_at": SEALED_AT, "type": "access"}
    return {**common, "officers": signatures, "request": request}


def _private(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"officer {name}".encode()).digest())


def _public(name: str) -> str:
    return _private(name).public_key().public_bytes_raw().hex()
