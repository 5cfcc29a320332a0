"""The stage: a read batch becomes accepted rows and rows set aside, with the evidence of why.

Charter: order of decisions. A row that breaks a rule is quarantined; of the others, a repeated record is a
duplicate; if too many rows failed, or a frozen contract met an unknown field, the whole batch is held, which
puts every row into quarantine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import polars as pl

from tasks.batch import (
    COORDINATES,
    DROP,
    FINGERPRINT,
    LINE,
    TIME,
    TYPE_FAULTS,
    Gate,
    ReadBatch,
    ValidatedBatch,
)
from tasks.contracts.model import Contract
from tasks.validate.duplicates import record_digests, repeated
from tasks.validate.gate import check_agreement, evidence, run_gate
from tasks.validate.rows import Verdict, judge, name_counts, unknown_fields

HELD: Final = "batch.held"
_ASIDE: Final = (*COORDINATES, "disposition", "rules")

# Which of some fingerprints are sealed already, given the event dates (`YYYY-MM-DD`) that they belong to.
KnownFingerprints = Callable[[Collection[str], pl.Series], Collection[str]]
# The sealed fingerprint of each of some rows, given the digests of their records; null where that is, or a key is gone.
Fingerprints = Callable[[pl.DataFrame, pl.Series], pl.Series]


def validate(
    batch: ReadBatch,
    contract: Contract,
    *,
    known_fingerprints: KnownFingerprints,
    fingerprints: Fingerprints,
    hold: str | None = None,
) -> ValidatedBatch:
    """Judge a batch by its contract.

    Args:
        batch: what the reader made of the drops.
        contract: the source's contract.
        known_fingerprints: tells which records are sealed already.
        fingerprints: makes of digests what may be sealed.
        hold: a reason, as a rule name, to hold the batch whatever its rows are like.

    Returns:
        The accepted rows, every other line with its disposition, and the gate's evidence.

    Raises:
        ContractError: DuckDB cannot run a rule of the contract, or reads it differently from Polars.
    """
    verdict = judge(batch.frame, contract.rules)
    unknown = unknown_fields(batch.frame)
    succeeded, result = run_gate(batch.frame, contract)
    check_agreement(result, verdict.measured, contract.source)
    unread = batch.set_aside.filter(pl.col("disposition") == "quarantined")
    failed = int(verdict.failed.sum()) + unread.height
    judged = batch.frame.height + unread.height
    held = failed * 100 > contract.threshold_pct * judged or (contract.drift == "freeze" and bool(unknown))
    violations = dict(verdict.violations)
    for name, rows in name_counts(unread["rules"]).items():
        violations[name] = violations.get(name, 0) + rows
    if held or hold:
        held, rule = True, hold or HELD
        violations[rule] = judged
        accepted, aside = _hold(batch, contract, verdict, rule)
    else:
        accepted, aside = _split(batch, contract, verdict, known_fingerprints, fingerprints)
    summary = {
        "failed_rows": failed,
        "held": held,
        "rows": judged,
        "threshold_pct": contract.threshold_pct,
        "unparsed_rows": unread.height,
    }
    return ValidatedBatch(
        source=batch.source,
        drops=batch.drops,
        frame=accepted,
        set_aside=aside.sort(DROP, LINE, maintain_order=True),
        gate=Gate(success=succeeded and not held, result=evidence(contract, result, summary), held=held),
        violations=dict(sorted(violations.items())),
        unknown_fields=unknown,
    )


def _split(
    batch: ReadBatch,
    contract: Contract,
    verdict: Verdict,
    known: KnownFingerprints,
    fingerprints: Fingerprints,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = _timed(batch.frame.filter(~verdict.failed), contract)
    failing = _aside(batch.frame.filter(verdict.failed), "quarantined", verdict.rules)
    if not contract.key:
        return rows, pl.concat([batch.set_aside.select(_ASIDE), failing])
    digests = record_digests(rows, batch.drops, contract.key)
    rows = rows.with_columns(fingerprints(rows, digests).alias(FINGERPRINT))
    dates = rows[TIME].dt.date().unique().cast(pl.String).to_list()
    again = repeated(digests, rows[FINGERPRINT], known(dates, rows[FINGERPRINT].drop_nulls()))
    copies = rows.filter(again)
    no_rules = pl.repeat(pl.lit([], dtype=pl.List(pl.String)), copies.height, eager=True)
    aside = pl.concat([batch.set_aside.select(_ASIDE), failing, _aside(copies, "duplicate", no_rules)])
    return rows.filter(~again), aside


def _hold(
    batch: ReadBatch, contract: Contract, verdict: Verdict, rule: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Every line that is not blank goes to quarantine, with the reason after what it broke itself."""
    nothing: list[str] = []
    good = batch.frame.filter(~verdict.failed)
    passed = _aside(good, "quarantined", pl.Series([nothing] * good.height, dtype=pl.List(pl.String)))
    failing = _aside(batch.frame.filter(verdict.failed), "quarantined", verdict.rules)
    every = pl.concat([batch.set_aside.select(_ASIDE), passed, failing]).with_columns(
        pl.when(pl.col("disposition") == "quarantined")
        .then(pl.col("rules").list.concat(pl.lit([rule], dtype=pl.List(pl.String))))
        .otherwise(pl.col("rules"))
    )
    empty = _timed(batch.frame.clear(), contract)
    if contract.key:
        empty = empty.with_columns(pl.lit(None, dtype=pl.String).alias(FINGERPRINT))
    return empty, every


def _timed(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    return rows.with_columns(pl.col(contract.time_field).alias(TIME)).drop(TYPE_FAULTS)


def _aside(rows: pl.DataFrame, disposition: str, rules: pl.Series) -> pl.DataFrame:
    return rows.select(COORDINATES).with_columns(
        pl.lit(disposition, dtype=pl.String).alias("disposition"), rules.alias("rules")
    )
