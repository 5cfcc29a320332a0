"""Which rows of a batch break the contract, and what the batch holds that the contract does not name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import polars as pl

from tasks.batch import EXTRA, TYPE_FAULTS
from tasks.contracts.compile import broken_masks, rule_counts, rule_names
from tasks.contracts.model import Rule

TYPE_RULE: Final = "type"
MAX_UNKNOWN_NAMES: Final = 1_000
OTHER_NAMES: Final = "(other)"
# A key that senders chose can itself be personal, so only what looks like a field name is reported.
_FIELD_NAME: Final = re.compile(r"[@$_]{0,2}[A-Za-z][A-Za-z0-9_.:-]{0,63}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on each row.

    Attributes:
        failed: one boolean a row: it breaks a rule of severity `error`, or holds a value of the wrong type.
        rules: List[String], one a failed row, in order of rows: what it breaks.
        violations: rule name -> rows that broke it, advisory rules and type faults by field included.
        measured: rule id -> rows that broke it, for every rule and for `type`, zeros included: what the
            independent gate must find too.
    """

    failed: pl.Series
    rules: pl.Series
    violations: Mapping[str, int]
    measured: Mapping[str, int]


def judge(frame: pl.DataFrame, rules: tuple[Rule, ...]) -> Verdict:
    """Run the contract's rules over every parsed row.

    Args:
        frame: a `ReadBatch`'s frame.
        rules: the contract's rules.
    """
    errors = [rule for rule in rules if rule.severity == "error"]
    advisory = [rule for rule in rules if rule.severity != "error"]
    masks = broken_masks(frame, errors)
    faults = frame[TYPE_FAULTS].fill_null(pl.Series([[]], dtype=pl.List(pl.String)))
    faulty = faults.list.len() > 0
    failed = masks.select(pl.any_horizontal(pl.all() != 0)).to_series() | faulty
    by_name = rule_counts(masks, errors) | rule_counts(broken_masks(frame, advisory), advisory)
    names = pl.DataFrame(
        {"faults": faults.filter(failed), "broken": rule_names(masks.filter(failed), errors)}
    )
    return Verdict(
        failed=failed.alias("failed"),
        rules=names.select(pl.concat_list("faults", "broken")).to_series().alias("rules"),
        violations=by_name | name_counts(faults),
        measured={rule.id: by_name.get(rule.id, 0) for rule in rules} | {TYPE_RULE: int(faulty.sum())},
    )


def name_counts(lists: pl.Series) -> dict[str, int]:
    """How many rows of a List[String] hold each name."""
    counted = lists.list.unique().explode(empty_as_null=False).drop_nulls().value_counts()
    return dict(sorted(counted.iter_rows()))


def unknown_fields(frame: pl.DataFrame) -> dict[str, int]:
    """How many rows have each top-level key that the contract does not name.

    At most 1,000 names are reported; the rest, and keys that do not look like a field name, count as
    `(other)` once a row and key.
    """
    keys_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    counts: Counter[str] = Counter()
    for text in frame[EXTRA].drop_nulls():
        for key in keys_of(text):
            known = key in counts or (len(counts) < MAX_UNKNOWN_NAMES and _FIELD_NAME.fullmatch(key))
            counts[key if known else OTHER_NAMES] += 1
    return dict(sorted(counts.items()))
