"""The redact stage: a validated batch in, a batch that may be locked for years out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import polars as pl

from tasks.batch import (
    COORDINATES,
    DROP,
    EXTRA,
    LENGTH,
    LINE,
    OFFSET,
    LedgerDrop,
    ReadDrop,
    RedactedBatch,
    RowSubjects,
    ValidatedBatch,
)
from tasks.contracts.model import Contract, Field
from tasks.errors import IndelibleError, KeyDestroyedError
from tasks.evidence.redaction import LeakReport
from tasks.keyring import Keyring
from tasks.redact.canaries import rehearse
from tasks.redact.holders import SUBJECT_KEYS, find_holders
from tasks.redact.identities import encrypt_identities
from tasks.redact.persons import known_persons
from tasks.redact.quarantine import encrypt_raw
from tasks.redact.report import leak_reports, redaction_report
from tasks.redact.rescan import Leak, find_leaks
from tasks.redact.scan import TEXT, Scanner
from tasks.redact.subjects import Subjects
from tasks.redact.treatments import Treatments, effective_treatment

# What the contract does not name is treated as an opaque subtree that nobody has classified.
_EXTRA_FIELD: Final = Field(EXTRA, "json", ((EXTRA,),), treatment="scan")
REDACTION_LEAK: Final = "redaction.leak"
KEY_DESTROYED: Final = "key.destroyed"


def redact(batch: ValidatedBatch, contract: Contract, keyring: Keyring) -> RedactedBatch:
    """Treats every column as its contract says, and every text for secrets whatever the contract says.

    What was treated is searched again by other detectors (`rescan`). A line in which they find something goes
    to quarantine as `redaction.leak`, and the rest is treated without it: one bad line neither is published nor
    stops what came with it. Rows of a month whose key was destroyed come too late: they go to quarantine as
    `key.destroyed`.

    Equal input and keys give equal output: pseudonyms take the key of the event's month or of the person,
    quarantined lines that of the month in which their drop landed.

    Args:
        batch: accepted rows and the lines set aside.
        contract: names the treatment of each field.
        keyring: gives the pseudonym and quarantine keys, and those of persons.

    Raises:
        ContractError: an accepted row has no event time, so no month to take a key from.
        KeyUnavailableError: a key is missing or destroyed.
        IndelibleError: lines of a drop are not each in exactly one place, or detectors are blind.
    """
    canaries = rehearse(contract.sha256)
    fields = _fields(contract)
    found: list[LeakReport] = []
    while True:
        persons = known_persons(batch.frame, contract)
        scanner = Scanner(persons)
        holders = find_holders(batch.frame, contract, keyring)
        treatments = Treatments(holders, scanner)
        try:
            treated = treatments.apply(batch.frame, fields)
            if contract.key:
                holders.use(_complete(batch.frame, contract.key))
        except KeyDestroyedError as error:
            batch = _set_aside(batch, holders.in_month(error.name.rpartition("/")[2]), KEY_DESTROYED)
            continue
        frame = batch.frame.drop(LENGTH).with_columns(treated)
        leaks = search_again(frame, contract)
        if not leaks:
            break
        found += leak_reports(batch.frame, leaks)
        batch = _set_aside(batch, _leaking(batch.frame, leaks), REDACTION_LEAK)
    raw, quarantine_keys = encrypt_raw(batch.set_aside, batch.drops, keyring)
    return RedactedBatch(
        source=batch.source,
        drops=_ledger(batch),
        frame=frame,
        set_aside=batch.set_aside.select(DROP, LINE, OFFSET, "disposition", "rules").with_columns(raw),
        gate=batch.gate,
        violations=batch.violations,
        unknown_fields=_names(batch.unknown_fields, Scanner(persons)),
        keys=tuple(sorted(holders.used | quarantine_keys)),
        identities=encrypt_identities(batch.source, treatments.encrypted, holders),
        subjects=_row_subjects(holders.subjects, keyring) if SUBJECT_KEYS in holders.used else None,
        report=redaction_report(batch.frame, contract, fields, scanner.hits, found, canaries),
    )


def search_again(frame: pl.DataFrame, contract: Contract) -> list[Leak]:
    """What redaction left in treated columns, of a batch or of a sealed file. Masks keep the form of what they hide.

    Args:
        frame: has the contract's columns.
        contract: by which it was treated.
    """
    looked_at = [field for field in _fields(contract) if effective_treatment(field) not in {"drop", "mask"}]
    wide = {
        f.name for f in looked_at if f.type == "json" or effective_treatment(f) in {"scan", "truncate_ip"}
    }
    names = [field.name for field in looked_at]
    return find_leaks([frame[name] for name in names], kept=set(names) - wide)


def _fields(contract: Contract) -> tuple[Field, ...]:
    return (*contract.fields, _EXTRA_FIELD)


def _leaking(frame: pl.DataFrame, leaks: Sequence[Leak]) -> pl.Series:
    """Whether each row has one of the leaks."""
    rows = pl.concat([leak.rows for leak in leaks]).unique()
    return pl.int_range(frame.height, dtype=pl.UInt32, eager=True).is_in(rows.implode())


def _complete(frame: pl.DataFrame, key: Sequence[str]) -> pl.Series:
    """Whether each row has a whole record key, and so needs a fingerprint under its holder's key."""
    return frame.select(pl.all_horizontal(pl.col(key).is_not_null())).to_series()


def _set_aside(batch: ValidatedBatch, which: pl.Series, rule: str) -> ValidatedBatch:
    """The batch with the rows of a mask in quarantine."""
    moved = batch.frame.filter(which).select(
        *COORDINATES,
        pl.lit("quarantined").alias("disposition"),
        pl.lit([rule], dtype=pl.List(pl.String)).alias("rules"),
    )
    aside = pl.concat([batch.set_aside.select(moved.columns), moved]).sort(DROP, LINE)
    return replace(
        batch,
        frame=batch.frame.filter(~which),
        set_aside=aside,
        violations={**batch.violations, rule: batch.violations.get(rule, 0) + moved.height},
    )


def _row_subjects(subjects: Subjects | None, keyring: Keyring) -> RowSubjects | None:
    if subjects is None:
        return None
    return RowSubjects(tuple(keyring.subject_ids(subjects.identifiers)), subjects.rows)


def _names(found: Mapping[str, int], scanner: Scanner) -> dict[str, int]:
    """Names of fields go into receipts, and a sender may use anything as a name, a key id for example."""
    [names] = scanner.scan([pl.Series(list(found), dtype=pl.String)], TEXT)
    counts: Counter[str] = Counter()
    for name, count in zip(names, found.values(), strict=True):
        counts[name] += count
    return dict(counts)


def _ledger(batch: ValidatedBatch) -> tuple[LedgerDrop, ...]:
    accepted = _count(batch.frame)
    aside = {
        name: _count(batch.set_aside.filter(disposition=name))
        for name in ("quarantined", "duplicate", "blank")
    }
    return tuple(
        _ledger_drop(
            drop, accepted.get(index, 0), {name: counts.get(index, 0) for name, counts in aside.items()}
        )
        for index, drop in enumerate(batch.drops)
    )


def _count(frame: pl.DataFrame) -> dict[int, int]:
    return dict(frame.select(DROP).group_by(DROP).len().iter_rows())


def _ledger_drop(drop: ReadDrop, accepted: int, aside: Mapping[str, int]) -> LedgerDrop:
    placed = accepted + sum(aside.values())
    if placed != drop.lines:
        raise IndelibleError(
            f"drop {drop.drop.key} has {drop.lines} lines but {placed} were accounted for; nothing is sealed",
            next_step="Keep the drop and report this as a defect of Indelible.",
        )
    return LedgerDrop(
        drop=drop.drop,
        sha256=drop.sha256,
        raw_sha256=drop.raw_sha256,
        raw_size=drop.raw_size,
        lines=drop.lines,
        accepted=accepted,
        quarantined=aside["quarantined"],
        duplicate=aside["duplicate"],
        blank=aside["blank"],
        flags=drop.flags,
    )
