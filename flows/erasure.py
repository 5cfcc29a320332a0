"""A person's request to be forgotten, from the letter to the certificate, or to the signed refusal.

    request     subject ids and a reason are written down beside the keys; nothing holds the identifiers
    approve     another person, who has them from the letter again: look, decide, act, seal, tell

What is decided is written down before anything is destroyed, and every later step can be repeated; so whoever
approves once more after a crash ends where an undisturbed run ends. Put here: the order of steps, and what makes a
request valid. Do not put here: where a person is looked for (`flows.erasure_survey`), what the papers say
(`flows.erasure_papers`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import approvals, pipeline
from flows.commitments import claimable_keys, erased_lines, seal_destructions
from flows.entries import append_made
from flows.erasure_papers import statement, write_papers
from flows.erasure_survey import Plan, holds_on, is_begun, survey
from flows.holding import Order
from flows.receipts import CheckpointReceipt
from flows.subject_access import check_words, read_identifiers
from flows.subject_keys import shred_subject
from flows.wiring import Runtime
from flows.wording import check_wording
from tasks.errors import UsageError
from tasks.evidence.canonical import canonical_json
from tasks.evidence.key_table_entry import SUBJECT, commitment
from tasks.evidence.officer_entry import Approval
from tasks.evidence.privacy_entry import Basis
from tasks.evidence.terms import instant
from tasks.subjects import destroy_lines
from tasks.subjects.backup import living_backups
from tasks.subjects.requests import Request, add_request, forget_request, keep_plan, open_requests

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

_LINES_AN_ENTRY = 400
Progress = Callable[[str], None]
_Line = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended.

    Attributes:
        plan: what was found and decided.
        entries: years and indexes of what was sealed.
        directory: the certificate or refusal, and what proves it.
        checkpoint: covers the entries.
    """

    plan: Plan
    entries: tuple[tuple[int, int], ...]
    directory: Path
    checkpoint: CheckpointReceipt


def request(runtime: Runtime, identifiers: Sequence[str], requested_by: str, reason: str) -> Request:
    """Write a request down.

    Args:
        runtime: the deployment.
        identifiers: all that is known of one person; none of them is stored.
        requested_by: who hands it in; this is sealed, so it must not be the person.
        reason: why; sealed as well.

    Raises:
        UsageError: there is no identifier, or too many, or what is to be sealed names the person.
    """
    words = read_identifiers(identifiers)
    check_words(runtime, words, requested_by, reason)
    check_wording(reason=reason)
    made = Request(
        secrets.token_hex(16),
        _subject_ids(runtime, words),
        requested_by,
        reason,
        instant(runtime.store.now()),
    )
    add_request(runtime.key_table.database, made)
    return made


def approve(
    runtime: Runtime,
    request_id: str,
    identifiers: Sequence[str],
    approver: str,
    *,
    approval: Approval | None = None,
    basis: Basis = "GDPR 17(3)(e)",
    directory: Path | None = None,
    progress: Progress = lambda _: None,
) -> Outcome:
    """Carry a request out, or refuse it where a legal hold covers records or lines of the person.

    Args:
        runtime: the deployment.
        request_id: of an open request.
        identifiers: those of the request.
        approver: somebody other than who handed it in.
        approval: the approver's signature, where officers are enrolled.
        basis: what a refusal rests on.
        directory: where papers are written; default: in the state directory.
        progress: is told what is being done.

    Raises:
        UsageError: there is no such request, the identifiers are others, one person alone decides, or officers are
            enrolled and none of them signed.
        KeyUnavailableError: the key table cannot be had.
    """
    found = _open_request(runtime, request_id)
    order = Order(approver, found.requested_by, found.reason)
    order.check()
    words = read_identifiers(identifiers)
    if _subject_ids(runtime, words) != found.subjects:
        raise UsageError(
            f"these identifiers are not those of request {request_id}",
            next_step="Take them from the person's letter again, all of them and no others.",
        )
    check_words(runtime, words, approver)
    with runtime.catalog() as catalog:
        catalog.sync()
        decided = order.approver if found.plan is None else Plan.decode(found.plan).approver
        approvals.demand(runtime, catalog, _said(found, decided, approval))
        plan = _plan(runtime, catalog, found, order, words, basis, progress)
        progress("destroying keys" if not plan.holds else "sealing the refusal")
        _destroy(runtime, catalog, found, plan)
        plan = _name_backups(runtime, found, plan)
        papers = statement(found, plan)
        _seal(runtime, catalog, found, plan, papers, approval)
        checkpoint = pipeline.publish(runtime, catalog)
        catalog.sync()
        entries = _sealed(catalog, request_id)
    target = directory or runtime.settings.state / "erasures" / request_id
    write_papers(runtime, target, papers, entries)
    forget_request(runtime.key_table.database, request_id)
    return Outcome(plan, entries, target, checkpoint)


def ask(runtime: Runtime, made: Request) -> approvals.Ask:
    """What an officer signs of a request: neither identifiers nor what was found stand in it."""
    return approvals.ask(
        runtime, type="erasure", request=made.id, requested_by=made.requested_by, reason=made.reason
    )


def _subject_ids(runtime: Runtime, words: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(runtime.key_table.subject_ids(words)))


def _open_request(runtime: Runtime, request_id: str) -> Request:
    for found in open_requests(runtime.key_table.database):
        if found.id == request_id:
            return found
    raise UsageError(
        "there is no such open request",
        next_step="Run `indelible subject erase list`; the view `erasures` of the catalog has those that ended.",
    )


def _plan(
    runtime: Runtime,
    catalog: Catalog,
    found: Request,
    order: Order,
    words: Sequence[str],
    basis: Basis,
    progress: Progress,
) -> Plan:
    """What was decided before a crash, or else what is decided now.

    Until the first key is gone, a hold that was placed since has it decided again.
    """

    def decide(stale: Plan | None) -> Plan:
        plan = survey(runtime, catalog, found.subjects, words, order.approver, basis, progress)
        return _keep(runtime, found, plan, stale)

    plan = Plan.decode(found.plan) if found.plan is not None else decide(None)
    catalog.sync()
    if plan.holds or not holds_on(catalog, plan) or is_begun(runtime, found.subjects, plan):
        return plan
    return decide(plan)


def _keep(runtime: Runtime, found: Request, plan: Plan, stale: Plan | None) -> Plan:
    """Write a plan down in the place of another one; of two who do so, both follow the first one's."""
    before = None if stale is None else stale.encode()
    kept = keep_plan(runtime.key_table.database, found.id, plan.encode(), before)
    if kept is None:
        raise UsageError(
            f"request {found.id} was carried out or refused by another approval meanwhile",
            next_step="See the view `erasures` of the catalog for how it ended; that approval has the papers.",
        )
    return Plan.decode(kept)


def _destroy(runtime: Runtime, catalog: Catalog, found: Request, plan: Plan) -> None:
    if plan.holds:
        return
    order = Order(plan.approver, found.requested_by, found.reason)
    for subject in found.subjects:
        key = runtime.key_table.known_key(subject)
        # After a crash there may be a new one, of records that came since: nothing was decided of these.
        if key is not None and commitment(SUBJECT, key).hex() in plan.keys:
            shred_subject(runtime, catalog, order, subject)
    seal_destructions(runtime, catalog)
    destroy_lines(runtime.key_table, plan.numbers)


def _said(found: Request, approver: str, approval: Approval | None) -> dict[str, Any]:
    """What all entries of a request say, and an officer signs."""
    return {
        "approval": approval,
        "approver": approver,
        "reason": found.reason,
        "request": found.id,
        "requested_by": found.requested_by,
        "type": "erasure",
    }


def _name_backups(runtime: Runtime, found: Request, plan: Plan) -> Plan:
    """Which backups can still hold what is gone: also one that was made since somebody looked for the person."""
    if plan.holds or plan.destroyed:
        return plan
    living = [list(times) for times in living_backups(runtime.key_table, runtime.store.now())]
    return _keep(runtime, found, replace(plan, backups=living, destroyed=True), plan)


def _seal(
    runtime: Runtime,
    catalog: Catalog,
    found: Request,
    plan: Plan,
    papers: dict[str, Any],
    approval: Approval | None,
) -> None:
    digest = hashlib.sha256(canonical_json(papers)).hexdigest()
    common = _said(found, plan.approver, approval) | {"certificate": digest}
    parts = [[]] if plan.holds else _parts(plan)
    for number, lines in enumerate(parts, 1):

        def body(_: int, number: int = number, lines: Sequence[_Line] = lines) -> dict[str, Any] | None:
            if len(_sealed(catalog, found.id)) >= number:
                return None
            approvals.demand(runtime, catalog, common)
            if plan.holds:
                return common | {"action": "refuse", "basis": plan.basis, "holds": sorted(plan.holds)}
            keys = _claimable(catalog, found, plan) if number == 1 else []
            numbered = {"part": number, "parts": len(parts)}
            return common | numbered | {"action": "erase", "keys": keys, "lines": _unclaimed(catalog, lines)}

        append_made(runtime, catalog, "erasure", body)


def _parts(plan: Plan) -> list[Sequence[_Line]]:
    """The lines, so that an entry stays within its bounds; equal for equal plans."""
    flat = [(drop, line) for drop, lines in sorted(plan.numbers.items()) for line in sorted(lines)]
    return [flat[at : at + _LINES_AN_ENTRY] for at in range(0, max(len(flat), 1), _LINES_AN_ENTRY)]


def _claimable(catalog: Catalog, found: Request, plan: Plan) -> list[str]:
    """Keys of the plan that were destroyed for this request. Another one of the same person may have been faster."""
    return sorted(
        claimable_keys(catalog, found.requested_by, plan.approver, found.reason).intersection(plan.keys)
    )


def _unclaimed(catalog: Catalog, lines: Sequence[_Line]) -> list[dict[str, Any]]:
    """Lines that no erasure has claimed, by drop: one that mentions two persons is destroyed once."""
    claimed, grouped = erased_lines(catalog), dict[str, list[int]]()
    for drop, line in lines:
        if line not in claimed.get(drop, ()):
            grouped.setdefault(drop, []).append(line)
    return [{"drop": drop, "lines": numbers} for drop, numbers in grouped.items()]


def _sealed(catalog: Catalog, request_id: str) -> tuple[tuple[int, int], ...]:
    rows = catalog.connection.execute(
        "SELECT shard, entry FROM entries WHERE type = 'erasure' AND (document->>'request') = ?"
        " ORDER BY shard, entry",
        [request_id],
    ).fetchall()
    return tuple((int(shard), int(entry)) for shard, entry in rows)
