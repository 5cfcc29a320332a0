"""Redaction holds its promises on any input: valid JSON stays valid, markers stay, equal runs agree."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import pairwise

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.contracts.model import Field
from tasks.redact import redact
from tasks.redact.addresses import truncate
from tasks.redact.prefixes import prefix_pseudonyms
from tasks.redact.scan import JSON, KEPT, TEXT, Mode, Scanner
from tests.support.redaction import FixedKeyring, batch, contract

EMAIL = "alice.smith12@corp.example"
ADDRESS = "203.0.113.77"
PLANTED = (
    EMAIL,
    ADDRESS,
    "2001:db8:1:2::77",
    "+1-202-555-0123",
    "4111 1111 1111 1111",
    "AKIAABCDEFGHIJKLMNOP",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.c2lnbmF0dXJl",
)
AROUND = st.sampled_from(
    ["", " ", "\n", "\t", '"', "\\", "%22", ", ", "(", "<", "é ", "=", "; ", "\u2028", "[", "\x01"]
)
KEYS = st.sampled_from(
    ["password", "userName", "note", "arn", "sessionToken", "user_email", "a b", "ü", "phone"]
)
WORDS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(PLANTED),
    st.builds(lambda before, value, after: before + value + after, AROUND, st.sampled_from(PLANTED), AROUND),
    st.builds(lambda key, value: f"{key}={value}", KEYS, st.text(max_size=8)),
    st.builds(lambda key, value: f"{key}: '{value}'", KEYS, st.text(max_size=8)),
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), WORDS)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS | st.text(max_size=6), inner, max_size=3),
        st.builds(json.dumps, inner),
    ),
    max_leaves=8,
)


def scan(texts: list[str], mode: Mode) -> list[str]:
    (column,) = Scanner(["zoe.quinn7"]).scan([pl.Series(texts, dtype=pl.String)], mode)
    return [str(text) for text in column]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.builds(json.dumps, TREES, ensure_ascii=st.booleans()), min_size=1, max_size=30))
def test_json_stays_valid_json(texts: list[str]) -> None:
    for text in scan(texts, JSON):
        json.loads(text)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(WORDS, st.builds(json.dumps, TREES)), min_size=1, max_size=30))
def test_scanning_twice_changes_nothing_more(texts: list[str]) -> None:
    for mode in (KEPT, TEXT):
        once = scan(texts, mode)
        assert scan(once, mode) == once


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(AROUND, st.sampled_from(PLANTED), AROUND), min_size=1, max_size=40))
def test_planted_values_never_survive(parts: list[tuple[str, str, str]]) -> None:
    texts = [f"text {before}{value}{after} end" for before, value, after in parts]
    nested = [json.dumps({"n": json.dumps({"note": text}), "t": text}) for text in texts]
    found = zip(scan(texts, TEXT), scan(nested, JSON), parts, strict=True)
    for plain, tree, (_, value, _) in found:
        assert value not in plain
        assert value not in tree


@settings(max_examples=25, deadline=None)
@given(st.lists(st.ip_addresses().map(str), min_size=1, max_size=50))
def test_no_full_address_survives_truncation(addresses: list[str]) -> None:
    values = pl.Series(addresses)
    cut = truncate(values, lambda rest: rest)
    assert all(text.endswith(("/24", "/48")) for text in cut)
    joined = truncate(pl.Series([",".join(addresses)]), lambda rest: rest)
    assert joined[0] == ", ".join(cut)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.ip_addresses(), min_size=2, max_size=20, unique=True), st.binary(min_size=32, max_size=32))
def test_pseudonyms_of_addresses_share_exactly_the_prefix_that_the_addresses_share(
    addresses: list[IPv4Address | IPv6Address], key: bytes
) -> None:
    named = prefix_pseudonyms(pl.Series([str(address) for address in addresses]), key)
    pairs = list(zip(addresses, map(ip_address, named), strict=True))
    for (one, one_named), (other, other_named) in pairwise(pairs):
        assert one.version == one_named.version
        if one.version == other.version:
            assert shared_bits(one, other) == shared_bits(one_named, other_named)


def shared_bits(one: IPv4Address | IPv6Address, other: IPv4Address | IPv6Address) -> int:
    return one.max_prefixlen - (int(one) ^ int(other)).bit_length()


@settings(max_examples=10, deadline=None)
@given(st.lists(st.one_of(st.none(), WORDS), min_size=1, max_size=20))
def test_equal_input_gives_equal_output(values: list[str | None]) -> None:
    fields = tuple(
        Field(name, "string", ((name,),), treatment=name)
        for name in (
            "keep",
            "drop",
            "mask",
            "truncate_ip",
            "prefix_pseudonym",
            "pseudonym",
            "encrypt",
            "scan",
        )
    )
    columns = {field.name: pl.Series(values, dtype=pl.String) for field in fields}
    first = redact(batch(columns), contract(*fields), FixedKeyring())
    second = redact(batch(columns), contract(*fields), FixedKeyring())
    assert first.frame.equals(second.frame)
    assert first.report == second.report
    assert first.identities is not None
    assert second.identities is not None
    assert first.identities.equals(second.identities)
    assert first.frame["mask"].null_count() == sum(value is None for value in values)
