"""Keyed pseudonyms: equal values of one domain and month get equal names, and no key means no way back.

`p_<epoch>_<32 hex>` with the first 128 bits of `HMAC-SHA256(K_epoch, domain || 0x00 || value)` (RFC 2104).
The value is normalised first: e-mail addresses to NFC and full case folding, IP addresses to their
canonical text (RFC 5952), everything else to NFC.
"""

from __future__ import annotations

import hashlib
import ipaddress
import unicodedata
from collections.abc import Callable
from typing import Final

import polars as pl

from tasks.redact.distinct import through_distinct

_BLOCK: Final = 64
_HEX_DIGITS: Final = 32
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))
# What only an address can look like; the parser decides.
_ADDRESS_LIKE: Final = r"^(?:[0-9.]{7,15}|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]{1,45})$"


def pseudonymise(values: pl.Series, key: bytes, domain: str, epoch: str) -> pl.Series:
    """Replaces each value by its pseudonym; null stays null.

    Args:
        values: strings.
        key: secret of the epoch, at most 64 bytes.
        domain: pseudonym domain; equal values of different domains get different pseudonyms.
        epoch: `YYYY-MM`, stands in the pseudonym so that its key can be found, or known to be destroyed.
    """
    name = _namer(key, domain, epoch)

    def convert(distinct: pl.Series) -> pl.Series:
        texts = normalise(distinct).to_list()
        return pl.Series([None if text is None else name(text) for text in texts], dtype=pl.String)

    return through_distinct(values, convert)


def normalise(values: pl.Series) -> pl.Series:
    """The form of each value that is hashed; see the module's charter."""
    special = values.str.contains(r"[@:]|[^\x00-\x7f]") | values.str.contains(_ADDRESS_LIKE)
    rows = special.fill_null(value=False).arg_true()
    if rows.is_empty():
        return values
    texts = [_normal_text(text) for text in values.gather(rows).to_list()]
    return values.clone().scatter(rows, pl.Series(texts, dtype=pl.String))


def _normal_text(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    if "@" in text:
        return unicodedata.normalize("NFC", text.casefold())
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _namer(key: bytes, domain: str, epoch: str) -> Callable[[str], str]:
    """HMAC-SHA256 with both keyed blocks and the domain hashed once, not once a value."""
    padded = key.ljust(_BLOCK, b"\0")
    inner = hashlib.sha256(padded.translate(_INNER) + domain.encode() + b"\0")
    outer = hashlib.sha256(padded.translate(_OUTER))
    prefix = f"p_{epoch}_"

    def name(text: str) -> str:
        first = inner.copy()
        first.update(text.encode())
        second = outer.copy()
        second.update(first.digest())
        return prefix + second.hexdigest()[:_HEX_DIGITS]

    return name
