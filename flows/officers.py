"""Who may have pseudonyms turned back and approve erasures: enrolled and withdrawn in the log, and known nowhere else.

keys       an officer makes keys, alone, on a machine of their own
request    somebody asks that the officer be enrolled
sign       an officer who is enrolled approves of it; the first has only two names to vouch for them
enrol      it is sealed: from here on the officer's signature counts
withdraw   two people take it away again; no signature is needed, since keys get lost
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flows import pipeline
from flows.approvals import Ask, ask, demand, roll
from flows.entries import append_made
from flows.holding import Order
from flows.receipts import CheckpointReceipt
from flows.wiring import Runtime
from flows.wording import check_wording
from tasks.errors import UsageError
from tasks.evidence.officer_entry import is_weak
from tasks.evidence.terms import person
from tasks.keyring.officers import check_open_key


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An officer's time.

    Attributes:
        name: of the officer.
        sign_key: Ed25519 public key, hex.
        open_key: X25519 public key, hex.
        enrolled: place of the entry, `<year>-<index>`.
        enrolled_at: when it was sealed.
        approver: who approved of it.
        signed: whether an officer who was enrolled signed it.
        withdrawn_at: when the officer was withdrawn; None while enrolled.
    """

    name: str
    sign_key: str
    open_key: str
    enrolled: str
    enrolled_at: str
    approver: str
    signed: bool
    withdrawn_at: str | None = None


def request(
    runtime: Runtime, name: str, sign_key: str, open_key: str, *, requested_by: str, reason: str
) -> Ask:
    """Ask that somebody become an officer.

    Raises:
        UsageError: a name, key or reason is malformed.
    """
    check_wording(reason=reason)
    keys = {"name": name, "open_key": open_key, "sign_key": sign_key}
    asked = ask(runtime, type="key", reason=reason, requested_by=requested_by, **keys)
    _check_keys(sign_key, open_key)
    return asked


def enrol(runtime: Runtime, asked: Ask, approver: str | None = None) -> CheckpointReceipt:
    """Seal that somebody is an officer.

    Args:
        runtime: the deployment.
        asked: from `request`, signed by an officer if there is one.
        approver: who approves, while nobody is enrolled who could sign.

    Raises:
        UsageError: an officer's signature is lacking or is none, the name or a key is enrolled, nothing can be
            wrapped for the key, the reason holds an identifier, or one person alone decides.
    """
    said = asked.statement
    if said["type"] != "key" or said["origin"] != runtime.settings.log.origin:
        raise UsageError(
            "the file asks for something else, or of another deployment",
            next_step="Make one with `indelible officer request`.",
        )
    check_wording(reason=said["reason"])  # the file may be anybody's
    _check_keys(said["sign_key"], said["open_key"])
    name, approval = asked.approved_by(approver)
    _order(Order(name, said["requested_by"], said["reason"]), said["name"])
    kept = {key: value for key, value in said.items() if key not in {"format", "origin", "type"}}
    return _seal(runtime, {**kept, "action": "enrol", "approval": approval, "approver": name})


def withdraw(runtime: Runtime, order: Order, name: str) -> CheckpointReceipt:
    """Seal that somebody is no officer any more.

    Raises:
        UsageError: nobody of that name is enrolled, or one person alone decides.
    """
    _order(order, name)
    with runtime.catalog() as catalog:
        catalog.sync()
        if name not in roll(runtime, catalog).enrolled:
            raise UsageError("no officer of that name is enrolled", next_step="See `indelible officer list`.")
    said = {"approver": order.approver, "reason": order.reason, "requested_by": order.requested_by}
    return _seal(runtime, {**said, "action": "withdraw", "name": name})


def enrolments(runtime: Runtime) -> list[Enrolment]:
    """All officers there ever were, the oldest first."""
    found: list[Enrolment] = []
    with runtime.catalog() as catalog:
        catalog.sync()
        rows = catalog.connection.execute(
            "SELECT shard, entry, document FROM entries WHERE type = 'key'"
            " AND (document->>'action') IN ('enrol', 'withdraw') ORDER BY shard, entry"
        ).fetchall()
    for shard, index, text in rows:
        entry = json.loads(text)
        if entry["action"] == "enrol":
            keys = {key: entry[key] for key in ("name", "sign_key", "open_key", "approver")}
            place = f"{shard:04d}-{index}"
            found.append(
                Enrolment(
                    **keys,
                    enrolled=place,
                    enrolled_at=entry["sealed_at"],
                    signed=entry["approval"] is not None,
                )
            )
        else:
            found = [
                replace(one, withdrawn_at=entry["sealed_at"])
                if one.name == entry["name"] and one.withdrawn_at is None
                else one
                for one in found
            ]
    return found


def _check_keys(sign_key: str, open_key: str) -> None:
    check_open_key(open_key)
    if is_weak(sign_key):
        raise UsageError(
            "the sign key is one for which anybody can sign: a point of low order",
            next_step="Give the sign key that `indelible officer keys` showed.",
        )


def _order(order: Order, name: str) -> None:
    order.check()
    if person(order.approver) == person(name):
        raise UsageError(f"{name} cannot approve of themselves", next_step="Let somebody else approve of it.")


def _seal(runtime: Runtime, body: Mapping[str, Any]) -> CheckpointReceipt:
    with runtime.catalog() as catalog:

        def make(_: int) -> Mapping[str, Any]:
            demand(runtime, catalog, {**body, "type": "key"})
            return body

        append_made(runtime, catalog, "key", make)
        return pipeline.publish(runtime, catalog)
