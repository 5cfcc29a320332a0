"""Prefix-preserving pseudonyms are those of Crypto-PAn, and what is no address is treated as free text."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime

import polars as pl
import pytest

from tasks.contracts.model import Field
from tasks.redact import redact
from tasks.redact.prefixes import prefix_key, prefix_pseudonyms
from tests.support.redaction import DECEMBER, NOVEMBER, FixedKeyring, batch, contract

# Key and trace of the sample that is distributed with Crypto-PAn 1.0; IPv6 as other implementations agree on it.
KEY = bytes.fromhex("1522178d33a4cf80130a5b1649907d10d8988f837979652762574c2d2a842202")
TRACE = {
    "128.11.68.132": "135.242.180.132",
    "129.118.74.4": "134.136.186.123",
    "130.132.252.244": "133.68.164.234",
    "141.223.7.43": "141.167.8.160",
    "141.233.145.108": "141.129.237.235",
    "152.163.225.39": "151.140.114.167",
    "156.29.3.236": "147.225.12.42",
    "165.247.96.84": "162.9.99.234",
    "166.107.77.190": "160.132.178.185",
    "192.102.249.13": "252.138.62.131",
    "192.215.32.125": "252.43.47.189",
    "192.233.80.103": "252.25.108.8",
    "192.41.57.43": "252.222.221.184",
    "193.150.244.223": "253.169.52.216",
    "195.205.63.100": "255.186.223.5",
    "198.200.171.101": "249.199.68.213",
    "198.26.132.101": "249.36.123.202",
    "198.36.213.5": "249.7.21.132",
    "198.51.77.238": "249.18.186.254",
    "199.217.79.101": "248.38.184.213",
    "202.49.198.20": "245.206.7.234",
    "203.12.160.252": "244.248.163.4",
    "204.184.162.189": "243.192.77.90",
    "204.202.136.230": "243.178.4.198",
    "204.29.20.4": "243.33.20.123",
    "::1": "78ff:f001:9fc0:20df:8380:b1f1:704:ed",
    "::2": "78ff:f001:9fc0:20df:8380:b1f1:704:ef",
    "::ffff": "78ff:f001:9fc0:20df:8380:b1f1:704:f838",
    "2001:db8::1": "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e",
    "2001:db8::2": "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c",
}
FIELD = Field("f", "string", (("f",),), treatment="prefix_pseudonym", domain="client")


def sealed(
    values: list[str | None], field: Field = FIELD, times: Sequence[datetime] | None = None
) -> list[str | None]:
    source = batch({field.name: pl.Series(values, dtype=pl.String)}, times)
    return redact(source, contract(field), FixedKeyring()).frame[field.name].to_list()


def named(address: str, domain: str = "client") -> str:
    key = prefix_key(FixedKeyring().secret("pseudonym", "2026-11"), domain)
    return str(prefix_pseudonyms(pl.Series([address]), key)[0])


def test_the_published_trace_is_reproduced() -> None:
    assert dict(zip(TRACE, prefix_pseudonyms(pl.Series(list(TRACE)), KEY), strict=True)) == TRACE


@pytest.mark.parametrize(
    "spelling",
    ["203.0.113.9", "203.0.113.9:8443", " 203.0.113.9", "203.0.113.9/32", "::ffff:203.0.113.9"],
)
def test_spellings_of_one_address_have_one_pseudonym(spelling: str) -> None:
    assert sealed([spelling]) == [named("203.0.113.9")]


def test_lists_services_and_free_text_are_treated_part_by_part() -> None:
    values = ["203.0.113.9, 2001:DB8:1::3", "cloudtrail.amazonaws.com", "alice@example.org", "", None]
    assert sealed(values) == [
        f"{named('203.0.113.9')}, {named('2001:db8:1::3')}",
        "cloudtrail.amazonaws.com",
        "[email]",
        "",
        None,
    ]


def test_keys_differ_by_month_and_domain_and_the_entry_names_them() -> None:
    address = "203.0.113.9"
    other = Field("f", "string", (("f",),), treatment="prefix_pseudonym", domain="server")
    now, later = sealed([address, address], times=[NOVEMBER, DECEMBER])
    assert len({now, later, *sealed([address], other)}) == 3
    assert all(ipaddress.ip_address(str(text)) for text in (now, later))
    result = redact(batch({"f": pl.Series([address])}), contract(FIELD), FixedKeyring())
    assert result.keys == ("pseudonym/2026-11",)


def test_repeated_and_distinct_addresses_take_different_ways_to_one_result() -> None:
    few = sealed(["203.0.113.9"] * 50)
    many = sealed(["203.0.113.9", *(f"198.51.100.{number}" for number in range(49))])
    assert set(few) == {many[0]}
