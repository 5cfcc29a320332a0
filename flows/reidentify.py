"""Turning pseudonyms back under dual control.

    request    somebody asks, for a purpose and a case, and until when
    sign       two officers sign the request, each with a key of their own
    release    the service checks all of it, seals the access, and wraps the values for both officers
    open       the first officer takes off one layer, the second sees the values

Three are needed: the service, which alone holds the keys of persons and seals before it releases, and two officers.
Neither the operator who releases nor one officer sees a value. Put here: that order, and what is refused. Do not put
here: the officers' keys (`tasks.keyring.officers`), what an entry must hold (`tasks.evidence.access_entry`).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypedDict, cast

from flows.access import seal_access
from flows.approvals import roll
from flows.wiring import Runtime
from flows.wording import check_wording
from tasks.errors import KeyUnavailableError, NotFoundError, UsageError, VerificationError
from tasks.evidence.access_entry import (
    OFFICERS,
    REQUEST_FORMAT,
    OfficerSignature,
    ReidentificationRequest,
    check_signature,
    parse_request,
    signed_bytes,
)
from tasks.evidence.canonical import canonical_json
from tasks.evidence.officers import Roll
from tasks.evidence.schema import Digest, check
from tasks.evidence.terms import instant, person
from tasks.keyring.derived import subject_key_id
from tasks.keyring.officers import OfficerKey, wrap
from tasks.redact import decrypt_identity

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog
    from tasks.catalog.identities import Identity

RELEASE_FORMAT: Final = "indelible-release/1"
MAX_DAYS: Final = 30
MAX_FILE_BYTES: Final = 1 << 20


class _ReleaseFile(TypedDict):
    entry: str
    format: Literal["indelible-release/1"]
    request: Digest
    waiting: list[str]
    wrapped: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A request, and who has signed it so far."""

    request: ReidentificationRequest
    signatures: tuple[OfficerSignature, ...] = ()

    def encode(self) -> bytes:
        """As a file."""
        document = {"request": self.request, "signatures": list(self.signatures)}
        return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"

    @property
    def digest(self) -> str:
        """SHA-256 of what was signed, in hex."""
        return hashlib.sha256(signed_bytes(self.request)).hexdigest()


@dataclass(frozen=True, slots=True)
class Release:
    """Values, wrapped for the officers named in `waiting`, who open it in this order."""

    request: str
    entry: str
    waiting: tuple[str, ...]
    wrapped: bytes

    def encode(self) -> bytes:
        """As a file."""
        document = {
            "entry": self.entry,
            "format": RELEASE_FORMAT,
            "request": self.request,
            "waiting": list(self.waiting),
            "wrapped": base64.b64encode(self.wrapped).decode(),
        }
        return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def make_request(
    origin: str,
    source: str,
    pseudonyms: Sequence[str],
    *,
    purpose: str,
    case: str,
    requested_by: str,
    expires: datetime,
    now: datetime,
) -> Signed:
    """A request that nobody has signed yet.

    Raises:
        UsageError: something in it is empty, wrong or too long, or it expires in the past or in over 30 days.
    """
    if not now < expires <= now + timedelta(days=MAX_DAYS):
        raise UsageError(
            f"a request expires in the future, and within {MAX_DAYS} days",
            next_step="Correct --expires (UTC).",
        )
    check_wording(purpose=purpose, case=case)
    request = {
        "case": case,
        "expires_at": instant(expires),
        "format": REQUEST_FORMAT,
        "origin": origin,
        "pseudonyms": sorted(set(pseudonyms)),
        "purpose": purpose,
        "requested_at": instant(now),
        "requested_by": requested_by,
        "source": source,
    }
    try:
        return Signed(parse_request(canonical_json(request)))
    except (ValueError, VerificationError) as error:
        raise UsageError(f"the request is not one ({error})", next_step="Correct the options.") from error


def parse_signed(data: bytes) -> Signed:
    """A request file.

    Raises:
        UsageError: it is none; the message holds no value.
    """
    try:
        document = json.loads(data)
        check(document["signatures"], list[OfficerSignature], "signatures")
        request = parse_request(canonical_json(document["request"]))
        return Signed(request, tuple(cast("list[OfficerSignature]", document["signatures"])))
    except (ValueError, TypeError, KeyError, VerificationError) as error:
        raise UsageError(
            f"the file is no request for re-identification ({error})",
            next_step="Make one with `indelible subject reidentify request`.",
        ) from None


def sign(signed: Signed, key: OfficerKey, now: datetime) -> Signed:
    """The request with one officer's signature more.

    Raises:
        UsageError: the officer has signed or has asked, two have signed, or the request has expired.
    """
    _check_time(signed.request, now)
    if any(officer["name"] == key.name for officer in signed.signatures):
        raise UsageError(f"{key.name} has signed already", next_step="Let another officer sign.")
    if len(signed.signatures) >= OFFICERS:
        raise UsageError("two officers have signed already", next_step="Release it.")
    signature = key.signing.sign(signed_bytes(signed.request)).hex()
    mine: OfficerSignature = {"key": key.sign_key, "name": key.name, "signature": signature}
    _check_requester(signed.request, [mine])
    return Signed(signed.request, (*signed.signatures, mine))


def release(runtime: Runtime, signed: Signed) -> Release:
    """Seal the access, and then wrap the values for the two officers who signed.

    Raises:
        UsageError: the request is another deployment's, has expired, or two different officers, enrolled now, have not
            signed it.
        NotFoundError: the value behind a pseudonym is not kept.
        KeyUnavailableError: a key was destroyed: the person was erased, or the month ended.
        StoreRefusedError: the access could not be sealed under a checkpoint. Nothing is released then.
    """
    request = signed.request
    if request["origin"] != runtime.settings.log.origin:
        raise UsageError(
            "the request was made for another deployment", next_step="Make it with this one's settings."
        )
    _check_time(request, runtime.store.now())
    check_wording(purpose=request["purpose"], case=request["case"])
    with runtime.catalog() as catalog:
        catalog.sync()
        officers = roll(runtime, catalog)
        _check_signatures(signed, officers)
        found = [(identity, _key(runtime, catalog, identity)) for identity in _identities(catalog, request)]
        body = {"action": "reidentify", "officers": list(signed.signatures), "request": request}
        entry = seal_access(runtime, catalog, body, lambda: _check_signatures(signed, roll(runtime, catalog)))
    values = [
        {
            "column": identity.field,
            "pseudonym": identity.pseudonym,
            "value": decrypt_identity(
                request["source"], identity.field, identity.pseudonym, identity.ciphertext, key
            ),
        }
        for identity, key in found
    ]
    names = sorted(officer["name"] for officer in signed.signatures)
    wrapped = json.dumps(values, ensure_ascii=False).encode()
    for name in reversed(names):
        wrapped = wrap(wrapped, officers.enrolled[name].open_key, bytes.fromhex(signed.digest))
    return Release(signed.digest, entry, tuple(names), wrapped)


def parse_release(data: bytes) -> Release:
    """A release file.

    Raises:
        UsageError: it is none.
    """
    try:
        document = json.loads(data)
        check(document, _ReleaseFile, "release")
        wrapped = base64.b64decode(document["wrapped"], validate=True)
        return Release(document["request"], document["entry"], tuple(document["waiting"]), wrapped)
    except ValueError:
        raise UsageError(
            "the file is no release", next_step="Give the file that `reidentify release` or `open` wrote."
        ) from None


def open_release(release: Release, key: OfficerKey) -> Release | list[dict[str, str]]:
    """Take off one layer: a release for the officer who is left, or the values.

    Raises:
        KeyUnavailableError: it is not this officer's turn.
    """
    inner = key.unwrap(release.wrapped, bytes.fromhex(release.request))
    if len(release.waiting) > 1:
        return Release(release.request, release.entry, release.waiting[1:], inner)
    return cast("list[dict[str, str]]", json.loads(inner))


def read_file(path: Path) -> bytes:
    """A request or release file.

    Raises:
        UsageError: it cannot be read, or is too large to be one.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", next_step="Check its name.") from error
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{path} is too large to be a request or a release", next_step="Check its name.")
    return data


def _check_time(request: ReidentificationRequest, now: datetime) -> None:
    if not request["requested_at"] <= instant(now) < request["expires_at"]:
        raise UsageError(
            f"the request was in force from {request['requested_at']} until {request['expires_at']}",
            next_step="Make a new request, and have it signed again.",
        )


def _check_requester(request: ReidentificationRequest, officers: Sequence[OfficerSignature]) -> None:
    if any(person(o["name"]) == person(request["requested_by"]) for o in officers):
        raise UsageError(
            f"{request['requested_by']} asked, and cannot be one of the two who agree",
            next_step="Let two other officers sign.",
        )


def _check_signatures(signed: Signed, officers: Roll) -> None:
    """Two different officers who are enrolled have signed exactly this request."""
    for one in signed.signatures:
        if not officers.knows(one["name"], one["key"]):
            raise UsageError(
                "a signature is not that of an officer who is enrolled",
                next_step="See `indelible officer list`.",
            )
        try:
            check_signature(signed.request, one)
        except ValueError:
            raise UsageError(
                f"the signature of {one['name']} is not over this request: it was changed after it was signed",
                next_step="Make a new request, and have it signed again.",
            ) from None
    names, keys = ({one[key] for one in signed.signatures} for key in ("name", "key"))
    if not len(names) == len(keys) == len(signed.signatures) == OFFICERS:
        raise UsageError(
            f"{len(keys)} of {OFFICERS} officers have signed", next_step="Let two different officers sign it."
        )
    _check_requester(signed.request, signed.signatures)


def _identities(catalog: Catalog, request: ReidentificationRequest) -> list[Identity]:
    from tasks.catalog.identities import find_identities

    found = find_identities(catalog, request["source"], request["pseudonyms"])
    missing = len(set(request["pseudonyms"]) - {identity.pseudonym for identity in found})
    if missing:
        raise NotFoundError(
            f"the values of {missing} of {len(request['pseudonyms'])} pseudonyms are not kept in {request['source']}; "
            "nothing was released",
            next_step="Only fields with the treatment encrypt have values; ask for those alone.",
        )
    return found


def _key(runtime: Runtime, catalog: Catalog, identity: Identity) -> bytes:
    """The key that a row names: a month's by its name, a person's among those of the batch."""
    purpose, _, name = identity.kid.partition("/")
    if purpose == "pseudonym":
        return runtime.keyring.secret("pseudonym", name)
    paths = catalog.connection.execute(
        "SELECT path FROM files WHERE role = 'data' AND shard = ? AND entry = ?",
        [identity.shard, identity.entry],
    ).fetchall()
    for key in runtime.key_table.keys_in([path for (path,) in paths]):
        if subject_key_id(key) == identity.kid:
            return key
    raise KeyUnavailableError(
        "the key behind a pseudonym was destroyed: the person was erased, and nobody can tell who it was",
        next_step="Ask for the other pseudonyms alone. `indelible query 'SELECT * FROM keys'` has the destruction.",
    )
