"""Rules as Polars expressions, and the set of rules that each row breaks as bits.

Charter: the fast half of two independent evaluations of a contract; `Rule.sql` run by DuckDB is the
other. A row's broken rules are bits of a few UInt64 masks, so that names are made for failing rows only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

import polars as pl

from tasks.contracts.model import Rule

_WIDTH: Final = 64

_Good = Callable[[pl.Expr, Mapping[str, Any]], pl.Expr]
_KINDS: Final[Mapping[str, _Good]] = {
    "required": lambda column, _: column.is_not_null(),
    "pattern": lambda column, args: column.str.contains(args["pattern"]),
    "maxLength": lambda column, args: column.str.len_chars() <= args["max"],
    "enum": lambda column, args: column.is_in(list(args["values"])),
    "range": lambda column, args: pl.all_horizontal(
        *([column >= args["min"]] if "min" in args else []),
        *([column <= args["max"]] if "max" in args else []),
    ),
}


def good(rule: Rule) -> pl.Expr:
    """True where a row satisfies `rule`, false where it breaks it; never null."""
    if rule.field is None:
        return pl.sql_expr(rule.sql).fill_null(value=True)
    return _KINDS[rule.kind](pl.col(rule.field), rule.args).fill_null(value=True)


def broken_masks(frame: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """Which rules each row breaks.

    Returns:
        One UInt64 column for each 64 rules; bit i of column k stands for rule 64 * k + i.
    """
    masks = [
        pl.sum_horizontal(
            (~good(rule)).cast(pl.UInt64) * pl.lit(1 << bit, dtype=pl.UInt64)
            for bit, rule in enumerate(rules[start : start + _WIDTH])
        ).alias(f"mask{start // _WIDTH}")
        for start in range(0, len(rules), _WIDTH)
    ]
    return (
        frame.select(masks)
        if masks
        else pl.DataFrame({"mask0": pl.zeros(frame.height, pl.UInt64, eager=True)})
    )


def rule_counts(masks: pl.DataFrame, rules: Sequence[Rule]) -> dict[str, int]:
    """Number of rows that break each rule, for the rules that any row breaks."""
    patterns = masks.group_by(masks.columns).len(name="rows")
    counts: dict[str, int] = {}
    for *values, rows in patterns.iter_rows():
        for name in _names(values, rules):
            counts[name] = counts.get(name, 0) + rows
    return counts


def rule_names(masks: pl.DataFrame, rules: Sequence[Rule]) -> pl.Series:
    """List[String] of the names of the broken rules of each row, decoded once for each distinct mask."""
    distinct = masks.unique()
    names = [_names(values, rules) for values in distinct.iter_rows()]
    decoded = distinct.with_columns(pl.Series("rules", names, dtype=pl.List(pl.String)))
    joined = masks.join(decoded, on=masks.columns, how="left", maintain_order="left")
    return joined["rules"]


def _names(values: Iterable[object], rules: Sequence[Rule]) -> list[str]:
    found: list[str] = []
    for index, value in enumerate(values):
        bits = cast(int, value)
        while bits:
            lowest = bits & -bits
            found.append(rules[index * _WIDTH + lowest.bit_length() - 1].id)
            bits ^= lowest
    return found
