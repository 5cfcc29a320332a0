"""Which keys sign a log: its first one, and what the `key` entries made of that since.

A checkpoint of size n is signed by the keys that the first n entries leave in force. So the log says itself
who may sign it next, and a writer needs no state of its own beside the newest checkpoint and what follows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from tasks.evidence.entry import KeyEntry, RecoveryEntry, parse_entry

_KEY_TYPE: Final = b'"type":"key"'
_RECOVER: Final = b'"action":"recover"'


def in_force(keys: Iterable[str], entries: Iterable[bytes]) -> tuple[str, ...]:
    """The keys that sign after `entries`, oldest first.

    Args:
        keys: vkeys that sign before them.
        entries: canonical bytes, in the log's order. Others than `key` entries are passed over unparsed.

    Raises:
        VerificationError: `malformed-entry`.
    """
    current = dict.fromkeys(keys)
    for data in entries:
        entry = key_entry(data)
        if entry is not None and entry["action"] == "announce":
            current[entry["key"]] = None
        elif entry is not None:
            current.pop(entry["key"], None)
    return tuple(current)


def key_entry(data: bytes) -> KeyEntry | None:
    """The `key` entry about a signing key that `data` is, or None.

    Raises:
        VerificationError: `malformed-entry`, only for what looks like one.
    """
    entry = parse_entry(data) if _KEY_TYPE in data else None
    return entry if entry is not None and entry["type"] == "key" and "key" in entry else None


def recovery_entry(genesis: bytes) -> RecoveryEntry | None:
    """The genesis entry of a log that replaces a compromised one; None for an ordinary one.

    Raises:
        VerificationError: `malformed-entry`, only for what looks like one.
    """
    entry = parse_entry(genesis) if _RECOVER in genesis else None
    return cast(RecoveryEntry, entry) if entry is not None and "revoked" in entry else None
