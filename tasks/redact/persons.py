"""Persons whom a batch itself names: their names are also looked for in its free text.

A message such as `export by alice.smith12 done` has no form that a pattern could find; but the same
name stands in the actor column of some row. Only names that cannot be an ordinary word are used.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from tasks.contracts.model import Contract

_LIMIT: Final = 100_000
_SHORTEST: Final = 6
_LONGEST: Final = 128
# With a letter, and with a digit or punctuation inside, so that it is not a word of some language.
_DISTINCTIVE: Final = r"^[\p{L}0-9][\p{L}0-9 ._@+=,-]*$"
_NAME_MARK: Final = r"[0-9._@+-]"
_LETTER: Final = r"\p{L}"
# Services, instances and hex ids act too, and their names are evidence.
_MACHINE: Final = r"(?i)\.amazonaws\.com$|^i-[0-9a-f]{8,17}$|^[0-9a-f-]{16,}$|^(?:AWS|aws|botocore)[-_A-Z]"


def known_persons(frame: pl.DataFrame, contract: Contract) -> list[str]:
    """Distinct names in the fields that become pseudonyms, longest first.

    The name inside an ARN, a principal id (`AROA...:session`) and an e-mail address is a name too. At
    most 100,000 names are used.
    """
    columns = [
        _texts(frame[field.name])
        for field in contract.fields
        if field.treatment in {"pseudonym", "encrypt"}
        and frame[field.name].dtype in (pl.String, pl.List(pl.String))
    ]
    if not columns:
        return []
    values = pl.concat(columns).unique()
    tails = values.str.extract(r"([^/:]+)$")
    names = pl.concat([values, tails, tails.str.extract(r"^([^@]+)@")]).drop_nulls().unique()
    size = names.str.len_chars()
    usable = (
        (size >= _SHORTEST)
        & (size <= _LONGEST)
        & names.str.contains(_DISTINCTIVE)
        & names.str.contains(_NAME_MARK)
        & names.str.contains(_LETTER)
        & ~names.str.contains(_MACHINE)
    )
    found = pl.DataFrame({"name": names.filter(usable)}).sort(
        pl.col("name").str.len_bytes(), "name", descending=[True, False]
    )
    return found["name"].head(_LIMIT).to_list()


def _texts(values: pl.Series) -> pl.Series:
    if values.dtype == pl.String:
        return values.unique().drop_nulls().alias("")
    return values.explode(empty_as_null=False, keep_nulls=False).unique().drop_nulls().alias("")
