"""Client addresses cut to their network: /24 for IPv4, /48 for IPv6, in canonical text (RFC 5952).

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
_PLAIN_IPV4: Final = rf"^\s*({OCTET}\.{OCTET}\.{OCTET})\.{OCTET}(?:/[0-9]{{1,2}})?{_PORT}\s*$"
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


def truncate(values: pl.Series, otherwise: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Cuts each address in `values`; lists with commas are cut part by part.

    Args:
        values: strings, maybe null.
        otherwise: treatment of parts that are neither an address nor the name of a service.
    """
    listed = values.str.contains(",", literal=True).fill_null(value=False)
    if not listed.any():
        return _truncate_parts(values, otherwise)
    rows = listed.arg_true()
    parts = pl.DataFrame({"row": rows, "part": values.gather(rows).str.split(",")}).explode("part")
    parts = parts.with_columns(_truncate_parts(parts["part"].str.strip_chars(), otherwise))
    joined = parts.group_by("row", maintain_order=True).agg(pl.col("part").str.join(", "))
    return _truncate_parts(values.set(listed, None), otherwise).scatter(joined["row"], joined["part"])


def _truncate_parts(values: pl.Series, otherwise: Callable[[pl.Series], pl.Series]) -> pl.Series:
    result = values.str.replace(_PLAIN_IPV4, f"${{1}}.0/{_PREFIX_V4}")
    rest = ~values.str.contains(_PLAIN_IPV4)
    rest &= ~values.str.contains(_SERVICE_NAME) | values.str.contains(_SPELLED_ADDRESS)
    rows = rest.fill_null(value=False).arg_true()
    if rows.is_empty():
        return result
    odd = values.gather(rows)
    like = odd.str.contains(_ADDRESS_LIKE)
    networks = pl.Series([_network(text) for text in odd.set(~like, None).to_list()], dtype=pl.String)
    networks = networks.set(odd.str.contains(_HOST) & odd.str.contains(_SPELLED_ADDRESS), "[ip]")
    left = networks.is_null().arg_true()
    if not left.is_empty():
        networks = networks.scatter(left, otherwise(odd.gather(left)))
    return result.scatter(rows, networks)


def _network(text: str | None) -> str | None:
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
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    length = _PREFIX_V4 if address.version == 4 else _PREFIX_V6
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))
