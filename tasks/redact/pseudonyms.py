"""Keyed pseudonyms: equal values of one domain and key get equal names, and no key means no way back.

`<prefix><32 hex>` with the first 128 bits of `HMAC-SHA256(K, domain || 0x00 || value)` (RFC 2104). The prefix
tells whose key it was: `p_<epoch>_` that of a month, `s_` that of one person. The value is normalised first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from tasks.redact.distinct import encode
from tasks.redact.holders import Holders
from tasks.redact.keyed import keyed_hash
from tasks.redact.normal import normalise


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Pseudonyms of a column, made once for each pair of a value and a holder of its key.

    Attributes:
        names: pseudonym of each pair; two spellings of one value have equal ones.
        texts: the normalised value of each pair.
        holders: code of the holder of each pair.
        rows: index of each row's pair, null for null.
    """

    names: list[str]
    texts: list[str]
    holders: list[int]
    rows: pl.Series

    def column(self) -> pl.Series:
        """The pseudonym of each row."""
        return pl.Series(self.names, dtype=pl.String).gather(self.rows).alias(self.rows.name)


def pseudonymise(values: pl.Series, codes: pl.Series, holders: Holders, domain: str) -> Pseudonyms:
    """Makes the pseudonym of each value; null stays null.

    Args:
        values: strings.
        codes: holder of the key of each row.
        holders: gives the keys.
        domain: pseudonym domain; equal values of different domains get different pseudonyms.
    """
    distinct, places = encode(values)
    if places is None:
        places = pl.int_range(len(values), dtype=pl.UInt32, eager=True).set(values.is_null(), None)
    size = max(len(distinct), 1)
    pairs = (codes.cast(pl.UInt64) * size + places).to_arrow().dictionary_encode()
    found = pl.Series(pairs.dictionary, dtype=pl.UInt64)
    texts = normalise(distinct).gather(found % size).to_list()
    whose = (found // size).to_list()
    namers = {code: _namer(holders.key(code), domain, holders.prefix(code)) for code in set(whose)}
    names = [namers[code](text) for code, text in zip(whose, texts, strict=True)]
    return Pseudonyms(names, texts, whose, pl.Series(values.name, pairs.indices, dtype=pl.UInt32))


def _namer(key: bytes, domain: str, prefix: str) -> Callable[[str], str]:
    keyed = keyed_hash(key, domain.encode())
    return lambda text: prefix + keyed(text.encode())
