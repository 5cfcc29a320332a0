"""Client addresses: found in their fields, and cut to their network (/24, /48) in canonical text (RFC 5952).

A field that holds addresses holds other things too: in CloudTrail a third of `sourceIPAddress` are names
of AWS services, gateways write `host:port`, and `X-Forwarded-For` is a list. Service names stay; whatever
is neither an address nor such a name is left to the caller's scan.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Final

import polars as pl

OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_PORT: Final = r"(?::[0-9]{1,5})?"
_PLAIN_IPV4: Final = rf"^\s*({OCTET}\.{OCTET}\.{OCTET}\.{OCTET})(?:/[0-9]{{1,2}})?{_PORT}\s*$"
# One address with what may stand around it: brackets, a port, a zone, a prefix length.
_ADDRESS_LIKE: Final = (
    r"^\s*\[?[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:%[0-9A-Za-z._-]{1,32})?(?:/[0-9]{1,3})?\]?(?::[0-9]{1,5})?\s*$"
)
# A host name that ends in letters, or the name that AWS uses for itself. No part may spell an address
# (`ec2-203-0-113-7...`): those name a customer's connection.
_SERVICE_NAME: Final = r"^(?:AWS Internal|-|unknown|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.[A-Za-z]{2,24})$"
_HOST: Final = r"^[A-Za-z0-9._-]+$"
_SPELLED_ADDRESS: Final = r"[0-9]{1,3}[-.][0-9]{1,3}[-.][0-9]{1,3}"
_PREFIX_V4: Final = 24
_PREFIX_V6: Final = 48


Convert = Callable[[pl.Series], pl.Series]


def truncate(values: pl.Series, otherwise: Convert) -> pl.Series:
    """Cuts each address in `values` to its network; see `replace_addresses`."""
    return replace_addresses(values, _networks, otherwise)


def replace_addresses(values: pl.Series, convert: Convert, otherwise: Convert) -> pl.Series:
    """Replaces each address in `values`; lists with commas part by part. Ports and prefix lengths go.

    Args:
        values: strings, maybe null.
        convert: gives the replacement of each of some addresses in canonical text.
        otherwise: treatment of parts that are neither an address nor the name of a service.
    """
    listed = values.str.contains(",", literal=True).fill_null(value=False)
    if not listed.any():
        return _replace_parts(values, convert, otherwise)
    rows = listed.arg_true()
    parts = pl.DataFrame({"row": rows, "part": values.gather(rows).str.split(",")}).explode("part")
    parts = parts.with_columns(_replace_parts(parts["part"].str.strip_chars(), convert, otherwise))
    joined = parts.group_by("row", maintain_order=True).agg(pl.col("part").str.join(", "))
    return _replace_parts(values.set(listed, None), convert, otherwise).scatter(joined["row"], joined["part"])


def _replace_parts(values: pl.Series, convert: Convert, otherwise: Convert) -> pl.Series:
    found = values.str.extract(_PLAIN_IPV4)
    rest = found.is_null() & (~values.str.contains(_SERVICE_NAME) | values.str.contains(_SPELLED_ADDRESS))
    odd = rest.fill_null(value=False).arg_true()
    if not odd.is_empty():
        found = found.scatter(odd, _addresses(values.gather(odd)))
    rows = found.is_not_null().arg_true()
    result = values.clone()
    if not rows.is_empty():
        result = result.scatter(rows, convert(found.gather(rows)))
    left = odd.filter(found.gather(odd).is_null())
    return result if left.is_empty() else result.scatter(left, _hide(values.gather(left), otherwise))


def _addresses(values: pl.Series) -> pl.Series:
    """The address that each value is, in canonical text, or null."""
    like = values.str.contains(_ADDRESS_LIKE)
    return pl.Series([_address(text) for text in values.set(~like, None).to_list()], dtype=pl.String)


def _address(text: str | None) -> str | None:
    if text is None:
        return None
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    text = text.partition("/")[0].partition("%")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _hide(values: pl.Series, otherwise: Convert) -> pl.Series:
    spelled = values.str.contains(_HOST) & values.str.contains(_SPELLED_ADDRESS)
    return otherwise(values).set(spelled, "[ip]")


def _networks(addresses: pl.Series) -> pl.Series:
    networks = addresses.str.replace(r"\.[0-9]+$", f".0/{_PREFIX_V4}")
    rows = addresses.str.contains(":", literal=True).arg_true()
    if rows.is_empty():
        return networks
    long = [f"{text}/{_PREFIX_V6}" for text in addresses.gather(rows).to_list()]
    cut = [str(ipaddress.ip_network(text, strict=False)) for text in long]
    return networks.scatter(rows, pl.Series(cut, dtype=pl.String))
