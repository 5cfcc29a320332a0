"""Entries about persons who were to be forgotten, for trees that tests seal."""

from __future__ import annotations

from typing import Any

from tasks.evidence import merkle
from tasks.evidence.key_table_entry import SUBJECT, commitment
from tests.support.sealed_tree import SEALED_AT, example_batches

KEYS = sorted(commitment(SUBJECT, bytes([number]) * 32) for number in range(4))
KEY, OTHER_KEY = KEYS[0].hex(), KEYS[1].hex()
# Of lines 3 and 12 that the example tree has in quarantine.
DROP = example_batches()[2].drops[0]["sha256"]
WORDS = {"approver": "carla", "reason": "letter 17", "requested_by": "dennis"}
_HASHES = [merkle.leaf_hash(key) for key in KEYS]
_COMMON = {"format": "indelible/1", "sealed_at": SEALED_AT}


def commit(**changes: Any) -> dict[str, Any]:
    """Four persons got keys."""
    facts = {"action": "commit", "count": len(KEYS), "name": SUBJECT, "root": merkle.root(_HASHES).hex()}
    return {**_COMMON, "type": "key", **facts, **changes}


def shred(key: str = KEY, **changes: Any) -> dict[str, Any]:
    """The key of one of them was destroyed."""
    index = KEYS.index(bytes.fromhex(key))
    proof = [digest.hex() for digest in merkle.inclusion_proof(_HASHES, index)]
    facts = {"action": "shred", "commitment": key, "index": index, "proof": proof}
    return {**commit(), **WORDS, **facts, **changes}


def erase(*keys: str, request: int = 1, lines: tuple[int, ...] = (), **changes: Any) -> dict[str, Any]:
    """One of them was erased, by request number `request`."""
    return {
        **_COMMON,
        **WORDS,
        "action": "erase",
        "approval": None,
        "certificate": "c" * 64,
        "keys": sorted(keys),
        "lines": [{"drop": DROP, "lines": list(lines)}] if lines else [],
        "part": 1,
        "parts": 1,
        "request": f"{request:032x}",
        "type": "erasure",
        **changes,
    }


def refuse(request: int = 1, **changes: Any) -> dict[str, Any]:
    """The request was refused for hold `2026-1`."""
    kept = {key: value for key, value in erase(request=request).items() if key not in _OF_ERASE}
    return {**kept, "action": "refuse", "basis": "GDPR 17(3)(e)", "holds": ["2026-1"], **changes}


_OF_ERASE = ("keys", "lines", "part", "parts")
