"""One form for all spellings of a value, before it is named or looked up under a key.

E-mail addresses to NFC and full case folding, IP addresses to their canonical text (RFC 5952), everything
else to NFC.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from typing import Final

import polars as pl

# What only an address can look like; the parser decides.
_ADDRESS_LIKE: Final = r"^(?:[0-9.]{7,15}|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]{1,45})$"


def normalise(values: pl.Series) -> pl.Series:
    """The form of each value that is hashed; see the module's charter."""
    special = values.str.contains(r"[@:]|[^\x00-\x7f]") | values.str.contains(_ADDRESS_LIKE)
    rows = special.fill_null(value=False).arg_true()
    if rows.is_empty():
        return values
    texts = [normal_text(text) for text in values.gather(rows).to_list()]
    return values.clone().scatter(rows, pl.Series(texts, dtype=pl.String))


def normal_text(text: str) -> str:
    """`normalise` of one value."""
    text = unicodedata.normalize("NFC", text)
    if "@" in text:
        return unicodedata.normalize("NFC", text.casefold())
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    return str(getattr(address, "ipv4_mapped", None) or address)
