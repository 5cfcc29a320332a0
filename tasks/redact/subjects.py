"""The person whom a row is about, so that one key can be destroyed for one person.

A contract names the fields that identify the person; the first that is not null does. An identifier is
normalised as pseudonyms are, so that one person is the same in every source: `Alice@Example.org` in a
gateway's log and in the session name of an AWS role.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from tasks.contracts.model import Contract
from tasks.redact.distinct import encode, through_distinct
from tasks.redact.normal import normalise

# Names that machines make up for one session each: instances, and libraries that count or tell the time.
_MACHINE: Final = r"^(?:i-[0-9a-f]{8}(?:[0-9a-f]{9})?|(?:botocore|aws-sdk|aws-cli)[a-z-]*[0-9]{6,})$"
_LAST: Final = r"([^/:]+)$"


@dataclass(frozen=True, slots=True)
class Subjects:
    """Persons of a batch.

    Attributes:
        identifiers: normalised, each once.
        rows: index into them for each row, null for a row that is about nobody.
    """

    identifiers: list[str]
    rows: pl.Series


def find_subjects(frame: pl.DataFrame, contract: Contract) -> Subjects | None:
    """The person of each row of `frame`, or None when the contract names no field that tells."""
    if not contract.subject:
        return None
    told = [_identifiers(frame[field.name], field.part) for field in contract.subject]
    found = pl.select(pl.coalesce(told)).to_series()
    distinct, codes = encode(found)
    normal = normalise(distinct).to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
    rows = pl.Series(normal.indices, dtype=pl.UInt32)
    return Subjects(normal.dictionary.to_pylist(), rows if codes is None else rows.gather(codes))


def _identifiers(values: pl.Series, part: str) -> pl.Series:
    def identify(texts: pl.Series) -> pl.Series:
        named = texts.str.extract(_LAST) if part == "last" else texts
        return named.set((named == "") | named.str.contains(_MACHINE), None)

    return through_distinct(values, identify)
