"""The `key` entries about officers, who may have pseudonyms turned back and approve erasures, and their approvals.

An officer is a name and two public keys, one that signs and one for which releases are wrapped. Who takes part in
giving power is an officer already: an approval is a signature over what the entry says, and it is null only as long
as nobody is enrolled who could sign. Taking power away needs none, or a key that is lost could never go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypedDict, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tasks.evidence.canonical import canonical_json
from tasks.evidence.schema import Digest, Form, Instant
from tasks.evidence.terms import Format, Text, person

APPROVAL_FORMAT: Final = "indelible-approval/1"
_DOMAIN: Final = b"indelible/1/approval\n"
_SIGNED: Final[Mapping[str, tuple[str, ...]]] = {
    "erasure": ("approver", "reason", "request", "requested_by"),
    "key": ("approver", "name", "open_key", "reason", "requested_by", "sign_key"),
}

# y of the points of order 1, 2, 4 and 8 on edwards25519 (RFC 8032), of which anybody can make signatures.
_P: Final = 2**255 - 19
_Y8: Final = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_LOW_ORDER: Final = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})

OfficerName = Annotated[str, Form("1 to 40 of a-z, 0-9 and -", r"[a-z0-9-]{1,40}")]
Signature = Annotated[str, Form("128 hex digits", r"[0-9a-f]{128}")]


@final
class Approval(TypedDict):
    """`signature` of the enrolled Ed25519 key `key` of the entry's approver; see `approval_bytes`."""

    key: Digest
    signature: Signature


@final
class EnrolEntry(TypedDict):
    """From here on `name` is an officer, with an Ed25519 and an X25519 public key."""

    action: Literal["enrol"]
    approval: Approval | None
    approver: Text
    format: Format
    name: OfficerName
    open_key: Digest
    reason: Text
    requested_by: Text
    sealed_at: Instant
    sign_key: Digest
    type: Literal["key"]


@final
class WithdrawEntry(TypedDict):
    """From here on `name` is no officer; what was signed before stays signed."""

    action: Literal["withdraw"]
    approver: Text
    format: Format
    name: OfficerName
    reason: Text
    requested_by: Text
    sealed_at: Instant
    type: Literal["key"]


def approval_bytes(origin: str, entry: Mapping[str, Any]) -> bytes:
    """What an officer signs: the domain, and as canonical JSON what is approved.

    Args:
        origin: of the logs, without the year: the approval is good for no other deployment.
        entry: an `erasure` entry or an enrolment, or what is to become one.
    """
    said = {name: entry[name] for name in _SIGNED[entry["type"]]}
    return _DOMAIN + canonical_json(
        said | {"format": APPROVAL_FORMAT, "origin": origin, "type": entry["type"]}
    )


def is_signed(origin: str, entry: Mapping[str, Any], approval: Approval) -> bool:
    """Whether the approval's signature is over what this entry says."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(approval["key"]))
    try:
        key.verify(bytes.fromhex(approval["signature"]), approval_bytes(origin, entry))
    except InvalidSignature:
        return False
    return True


def is_weak(sign_key: str) -> bool:
    """Whether an Ed25519 public key is a point of low order: signatures of it need no private key."""
    y = int.from_bytes(bytes.fromhex(sign_key), "little") & ((1 << 255) - 1)
    return y % _P in _LOW_ORDER


def check_officer(entry: EnrolEntry | WithdrawEntry) -> None:
    """Check what types do not say.

    Raises:
        ValueError: officers approve of themselves, or anybody can sign for them.
    """
    if person(entry["approver"]) == person(entry["name"]):
        raise ValueError("entry.approver is the officer")
    if entry["action"] == "enrol" and is_weak(entry["sign_key"]):
        raise ValueError("entry.sign_key is of low order")
