"""Which rule decides how long an object stays locked. Pure: numbers in, a number and its reasons out.

    records      the longest of the contract's minimums and of what the settings ask, never above the
                 contract's privacy maximum; a trial's override replaces all of them
    proofs       ledger, gate, contract and quarantine end with the records that they prove
    log          ends later than the last record of any source: a log covers a year, and whoever proves the
                 last record needs tiles from the log's first day
    catalog      derived, so it is kept for convenience only

A legal hold has no date. It adds nothing to a lock; it keeps the object when the lock has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

from tasks.errors import ContractError, UsageError

Kind = Literal["data", "quarantine", "ledger", "gate", "contract", "log", "catalog"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
LOG_MARGIN_DAYS: Final = 366  # the longest year


@dataclass(frozen=True, slots=True)
class Terms:
    """What bears on the retention of one source.

    Attributes:
        source: the source.
        retention_class: name of its class.
        minimums: (driver, days) that its contract asks.
        maximum: days that its contract allows; None: any number.
        raised: days that the settings ask; 0: none.
        override: days of a trial, which replace all others; None outside trials.
        log_margin: days by which log objects outlive records.
        catalog: days of a catalog.
    """

    source: str
    retention_class: str
    minimums: tuple[tuple[str, int], ...]
    maximum: int | None = None
    raised: int = 0
    override: int | None = None
    log_margin: int = LOG_MARGIN_DAYS
    catalog: int = 30


@dataclass(frozen=True, slots=True)
class Decision:
    """How long, and why.

    Attributes:
        kind: kind of object.
        days: length of the lock.
        rule: what decided: `contract` or `contract:<driver>`, `settings`, `trial`, `log`, `catalog`.
        reasons: sentences, in the order in which the rules were applied.
    """

    kind: Kind
    days: int
    rule: str
    reasons: tuple[str, ...]

    def until(self, now: datetime) -> datetime:
        """End of the lock of what is stored `now`."""
        return now + timedelta(days=self.days)


def solve(terms: Terms, kind: Kind, others: Sequence[Terms] = (), holds: Sequence[str] = ()) -> Decision:
    """Decide the lock of one kind of object.

    Args:
        terms: of the source that the object belongs to.
        kind: kind of object.
        others: terms of all sources whose entries stand in the same log.
        holds: ids of active legal holds that the object falls under.

    Raises:
        ContractError: a minimum of the contract is above its maximum, or it has no minimum.
        UsageError: the settings ask for more than the maximum.
    """
    if kind == "log":
        return _log(terms, others, holds)
    if kind == "catalog":
        reason = f"a catalog can be rebuilt: {terms.catalog} days"
        return Decision(kind, terms.catalog, "catalog", (reason,))
    rule, days, reasons = _records(terms)
    if kind != "data":
        reasons.append("proves records, so it ends with them")
    return Decision(kind, days, rule, (*reasons, *_held(terms, holds)))


def _records(terms: Terms) -> tuple[str, int, list[str]]:
    demands = [(days, f"contract:{driver}" if driver else "contract") for driver, days in terms.minimums]
    if not demands:
        raise ContractError(f"the contract of {terms.source} gives no retention", next_step="Give it one.")
    days, rule = max(demands)
    if terms.maximum is not None and days > terms.maximum:
        raise ContractError(
            f"{rule} of {terms.source} asks for {days} days, its privacy maximum allows {terms.maximum}",
            next_step="Correct slaProperties in the contract.",
        )
    reasons = [f"{name} asks for at least {asked} days" for asked, name in demands]
    if terms.override is not None:
        reasons.append(f"a trial's override replaces that: {terms.override} days")
        return "trial", terms.override, reasons
    if terms.raised:
        if terms.maximum is not None and terms.raised > terms.maximum:
            raise UsageError(
                f"the settings ask for {terms.raised} days for {terms.source}, "
                f"its privacy maximum allows {terms.maximum}",
                next_step="Lower [retention.minimum_days], or place a legal hold.",
            )
        reasons.append(f"settings ask for at least {terms.raised} days")
        if terms.raised > days:
            days, rule = terms.raised, "settings"
    if terms.maximum is not None:
        reasons.append(f"within the privacy maximum of {terms.maximum} days")
    return rule, days, reasons


def _log(terms: Terms, others: Sequence[Terms], holds: Sequence[str]) -> Decision:
    lengths = {t.source: _records(t)[1] for t in (terms, *others)}
    longest = max(lengths, key=lambda source: (lengths[source], source))
    days = lengths[longest] + terms.log_margin
    reasons = [
        f"records of {longest} are kept longest, {lengths[longest]} days",
        f"the log outlives them by {terms.log_margin} days; it holds no personal data, so no maximum applies",
    ]
    return Decision("log", days, "log", (*reasons, *_held(terms, holds)))


def _held(terms: Terms, holds: Sequence[str]) -> list[str]:
    beyond = "" if terms.maximum is None else f", also beyond the privacy maximum of {terms.maximum} days"
    return [f"legal hold {hold} keeps it until it is released{beyond}" for hold in holds]
