"""The `access` entry: personal values were shown to somebody, and it was sealed before they were.

`subject-export`: a person was given what is stored of them. Their number of records is told by its magnitude only: an
exact one would lead to the pseudonyms that have as many. `reidentify`: two officers had pseudonyms turned back. Their
signatures stand in the entry, over the request that stands there too: nobody else could have sealed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypedDict, cast, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tasks.evidence.canonical import canonical_json, parse_canonical
from tasks.evidence.officer_entry import Signature
from tasks.evidence.schema import Count, Digest, Form, Instant, check
from tasks.evidence.terms import Format, Source, Text, person

REQUEST_FORMAT: Final = "indelible-reidentification/1"
MAX_PSEUDONYMS: Final = 100
OFFICERS: Final = 2
_DOMAIN: Final = b"indelible/1/reidentification\n"

Pseudonym = Annotated[str, Form("a pseudonym", r"(s_|p_[0-9]{4}-(0[1-9]|1[0-2])_)[0-9a-f]{32}")]


@final
class SubjectExportEntry(TypedDict):
    """A person was given at most `records` records, see `coarse`. Nothing here tells who that is."""

    action: Literal["subject-export"]
    format: Format
    purpose: Text
    records: Count
    requested_by: Text
    sealed_at: Instant
    type: Literal["access"]


@final
class ReidentificationRequest(TypedDict):
    """What officers sign. `origin` is the log's without the year: the request is good for no other deployment."""

    case: Text
    expires_at: Instant
    format: Literal["indelible-reidentification/1"]
    origin: Text
    pseudonyms: list[Pseudonym]
    purpose: Text
    requested_at: Instant
    requested_by: Text
    source: Source


@final
class OfficerSignature(TypedDict):
    """`signature` of the Ed25519 key `key` over the request."""

    key: Digest
    name: Text
    signature: Signature


@final
class ReidentificationEntry(TypedDict):
    """The values behind the request's pseudonyms were released to the two officers, and to nobody else."""

    action: Literal["reidentify"]
    format: Format
    officers: list[OfficerSignature]
    request: ReidentificationRequest
    sealed_at: Instant
    type: Literal["access"]


def coarse(records: int) -> int:
    """`records` as an entry tells it: 0, or rounded up to a power of two."""
    return 1 << (records - 1).bit_length() if records else 0


def check_export(entry: SubjectExportEntry) -> None:
    """Check that the number of records is not told exactly.

    Raises:
        ValueError: it is neither 0 nor a power of two.
    """
    if entry["records"] != coarse(entry["records"]):
        raise ValueError("entry.records is neither 0 nor a power of two")


def signed_bytes(request: Mapping[str, Any]) -> bytes:
    """What an officer signs: the domain, and the request as canonical JSON."""
    return _DOMAIN + canonical_json(request)


def parse_request(data: bytes) -> ReidentificationRequest:
    """The request that `data`, canonical JSON, spells.

    Raises:
        ValueError: it is no request; the message holds no value.
        VerificationError: it is not canonical JSON.
    """
    value = parse_canonical(data)
    check(value, ReidentificationRequest, "request")
    check_request(cast(ReidentificationRequest, value))
    return cast(ReidentificationRequest, value)


def check_request(request: ReidentificationRequest) -> None:
    """Check what types do not say.

    Raises:
        ValueError: no or too many pseudonyms, or not in order; or it expires before it was made.
    """
    names = request["pseudonyms"]
    if not 1 <= len(names) <= MAX_PSEUDONYMS or names != sorted(set(names)):
        raise ValueError(f"request.pseudonyms are not 1 to {MAX_PSEUDONYMS}, sorted and distinct")
    if request["expires_at"] <= request["requested_at"]:
        raise ValueError("request.expires_at is not after request.requested_at")


def check_signature(request: Mapping[str, Any], officer: OfficerSignature) -> None:
    """Check one officer's signature.

    Raises:
        ValueError: it is not one over this request.
    """
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(officer["key"]))
    try:
        key.verify(bytes.fromhex(officer["signature"]), signed_bytes(request))
    except InvalidSignature:
        raise ValueError("an officer's signature is not over this request") from None


def check_reidentification(entry: ReidentificationEntry) -> None:
    """Check that two officers, neither of them who asked, signed this request, and that it was in force.

    Raises:
        ValueError: it is not so.
    """
    request, officers = entry["request"], entry["officers"]
    check_request(request)
    names = {person(officer["name"]) for officer in officers}
    keys = {officer["key"] for officer in officers}
    if not len(officers) == len(names) == len(keys) == OFFICERS:
        raise ValueError(f"entry.officers are not {OFFICERS} different ones")
    if person(request["requested_by"]) in names:
        raise ValueError("entry.officers: one of them is the one who asked")
    if not request["requested_at"] <= entry["sealed_at"] < request["expires_at"]:
        raise ValueError("entry.sealed_at is not within the time of the request")
    for officer in officers:
        check_signature(request, officer)
