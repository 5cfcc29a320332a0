"""The `key` entries about keys that pseudonymise and encrypt: what they are bound to, and that they are gone.

A ciphertext does not say which key made it. So that nobody can show another key for it later, or destroy another
one than was used, each key's commitment is published before the first record that it protects:

    commitment = HMAC-SHA256(key, "indelible/1/key-commitment/" || name)

`name` is `<purpose>/<YYYY-MM>` for a month's key and `subject` for a person's. Commitments of keys that are new at
the same time are published as one RFC 6962 root over them, sorted by their bytes. Keys of persons are made ahead and
drawn at random, so an entry tells neither who nor in which order. A commitment tells nothing about its key,
and of a destroyed key nothing else is left.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Final, Literal, TypedDict, final

from tasks.errors import VerificationError
from tasks.evidence import merkle
from tasks.evidence.schema import AtLeast, Digest, Form, Instant
from tasks.evidence.terms import Format, Text

SUBJECT: Final = "subject"
_DOMAIN: Final = b"indelible/1/key-commitment/"

KeyName = Annotated[
    str, Form("<purpose>/<YYYY-MM> or subject", r"[a-z]{1,20}/[0-9]{4}-(0[1-9]|1[0-2])|subject")
]
Index = Annotated[int, AtLeast(0)]
Positive = Annotated[int, AtLeast(1)]


@final
class KeyCommitEntry(TypedDict):
    """`count` new keys called `name`; `root` is over their commitments."""

    action: Literal["commit"]
    count: Positive
    format: Format
    name: KeyName
    root: Digest
    sealed_at: Instant
    type: Literal["key"]


@final
class KeyShredEntry(TypedDict):
    """The key of `commitment` was destroyed. `proof` leads to the `root` that was published before."""

    action: Literal["shred"]
    approver: Text
    commitment: Digest
    count: Positive
    format: Format
    index: Index
    name: KeyName
    proof: list[Digest]
    reason: Text
    requested_by: Text
    root: Digest
    sealed_at: Instant
    type: Literal["key"]


def commitment(name: str, key: bytes) -> bytes:
    """The 32-byte commitment of a 32-byte key; see the module's charter."""
    return hmac.digest(key, _DOMAIN + name.encode(), "sha256")


def check_shred(entry: KeyShredEntry) -> None:
    """Check that the proof leads from the commitment to the root.

    Raises:
        ValueError: it does not.
    """
    leaf = merkle.leaf_hash(bytes.fromhex(entry["commitment"]))
    proof, root = [bytes.fromhex(digest) for digest in entry["proof"]], bytes.fromhex(entry["root"])
    try:
        merkle.verify_inclusion(leaf, entry["index"], entry["count"], proof, root)
    except VerificationError as error:
        raise ValueError("entry.proof does not lead to entry.root") from error
