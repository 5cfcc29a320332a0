"""What an officer approves: a file that says it, which the officer signs elsewhere, and which comes back signed.

Put here: that file, its signature, and what is refused. Do not put here: when an approval is due
(`tasks.evidence.officers`), what is done once there is one (`flows.officers`, `flows.erasure`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, cast

from flows.wiring import Runtime
from tasks.errors import UsageError
from tasks.evidence import officers
from tasks.evidence.officer_entry import APPROVAL_FORMAT, Approval, OfficerName, approval_bytes
from tasks.evidence.officers import Roll
from tasks.evidence.privacy_entry import RequestId
from tasks.evidence.schema import Digest, check
from tasks.evidence.terms import Text, person
from tasks.keyring.officers import OfficerKey

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog


class _ErasureStatement(TypedDict):
    format: Literal["indelible-approval/1"]
    origin: Text
    reason: Text
    request: RequestId
    requested_by: Text
    type: Literal["erasure"]


class _EnrolmentStatement(TypedDict):
    format: Literal["indelible-approval/1"]
    name: OfficerName
    open_key: Digest
    origin: Text
    reason: Text
    requested_by: Text
    sign_key: Digest
    type: Literal["key"]


class _File(TypedDict):
    approval: Approval | None
    approver: Text | None
    statement: _ErasureStatement | _EnrolmentStatement


_ASK_AGAIN: Final = "Make the file anew, and have an enrolled officer sign it: `indelible officer sign`."
_FAULTS: Final = MappingProxyType(
    {
        officers.ENROLMENT: (
            "an officer of that name is enrolled, or one of the keys was enrolled before",
            "See `indelible officer list`; withdraw the officer first, and make new keys: `indelible officer keys`.",
        ),
        officers.APPROVAL_MISSING: (
            "officers are enrolled, and one of them must sign this",
            "Have one sign the file of the request, `indelible officer sign FILE --key OFFICER.pem`, and give it here.",
        ),
        officers.APPROVAL_SIGNATURE: ("the signature is over something else than this request", _ASK_AGAIN),
        officers.NOT_ENROLLED: (
            "a signature is not that of an officer who is enrolled",
            "See `indelible officer list`.",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be approved, and who has, with their signature.

    Attributes:
        statement: what the entry will say, without the approver.
        approver: the officer who signed; None so far.
        approval: the signature; None so far.
    """

    statement: Mapping[str, Any]
    approver: str | None = None
    approval: Approval | None = None

    def encode(self) -> bytes:
        """As a file."""
        document = {"approval": self.approval, "approver": self.approver, "statement": self.statement}
        return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"

    def sign(self, key: OfficerKey) -> Ask:
        """The same with an officer's signature.

        Raises:
            UsageError: it is signed, or the officer asked for it or is whom it enrols.
        """
        if self.approval is not None:
            raise UsageError(f"{self.approver} has signed already", next_step="Give it back to who asked.")
        if person(key.name) in {
            person(str(self.statement.get(part, ""))) for part in ("requested_by", "name")
        }:
            raise UsageError(
                f"{key.name} cannot approve what they ask for, or of themselves",
                next_step="Let another officer sign.",
            )
        said = approval_bytes(self.statement["origin"], {**self.statement, "approver": key.name})
        approval: Approval = {"key": key.sign_key, "signature": key.signing.sign(said).hex()}
        return Ask(self.statement, key.name, approval)

    def approved_by(self, name: str | None) -> tuple[str, Approval | None]:
        """Who approves: the officer who signed, or else the one who is named.

        Raises:
            UsageError: nobody, or two.
        """
        if self.approver is not None and name not in (None, self.approver):
            raise UsageError(f"{self.approver} has signed, not {name}", next_step="Leave out --approver.")
        if (approver := self.approver or name) is None:
            raise UsageError(
                "nobody has signed it",
                next_step="Let an officer: `indelible officer sign`. While nobody is enrolled, give --approver NAME.",
            )
        return approver, self.approval


def ask(runtime: Runtime, **fields: Any) -> Ask:
    """Something to be approved for this deployment; `fields` as the statement of its type has them.

    Raises:
        UsageError: a field is empty or malformed.
    """
    statement = {**fields, "format": APPROVAL_FORMAT, "origin": runtime.settings.log.origin}
    return parse_ask(Ask(statement).encode())


def parse_ask(data: bytes) -> Ask:
    """What a file asks for.

    Raises:
        UsageError: it asks for nothing; the message holds no value.
    """
    try:
        document = json.loads(data)
        kind = document["statement"]["type"]
        check(document, _File, "file")
        check(
            document["statement"],
            _EnrolmentStatement if kind == "key" else _ErasureStatement,
            "file.statement",
        )
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"there is nothing in it that an officer can approve ({error})",
            next_step="Correct the options, or give the file of `officer request` or `subject erase request`.",
        ) from None
    approval = cast("Approval | None", document["approval"])
    return Ask(document["statement"], document["approver"], approval)


def roll(runtime: Runtime, catalog: Catalog) -> Roll:
    """The officers as the log tells them up to where the catalog has read it."""
    found = Roll()
    rows = catalog.connection.execute(
        "SELECT document FROM entries WHERE type = 'key' AND (document->>'action') IN ('enrol', 'withdraw')"
        " ORDER BY shard, entry"
    ).fetchall()
    for (document,) in rows:
        found.take(runtime.settings.log.origin, json.loads(document))
    return found


def demand(runtime: Runtime, catalog: Catalog, entry: Mapping[str, Any]) -> None:
    """Refuse what a verifier would find fault with, if it were sealed now.

    Args:
        runtime: the deployment.
        catalog: read up to the end of the log.
        entry: an entry, or what it is to be, with its `type`.

    Raises:
        UsageError: an approval is due, or is not one; or an officer is not enrolled.
    """
    fault = roll(runtime, catalog).fault(runtime.settings.log.origin, entry)
    if fault is not None:
        sentence, step = _FAULTS[fault]
        raise UsageError(sentence, next_step=step)
