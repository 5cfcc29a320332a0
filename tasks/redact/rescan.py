r"""The re-scan: a second look at what is about to be published, by detectors that share no code with the first.

The first set (`detectors`) rewrites text as it is encoded, with Rust's regex engine. This one tests with RE2,
through Arrow, and then reads: what may match is decoded (percent-encoding and JSON escapes, three levels deep),
and each candidate is parsed as what it would be: an address by `ipaddress`, the head of a JWT as JSON, a card
by its digits and issuer, an IBAN by its country's length. It is strict on purpose. A line in which it finds
something is not published, so a false alarm would cost evidence.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import polars as pl
import pyarrow.compute as pc

from tasks.redact.checkdigits import IBAN_LENGTHS, is_card, is_iban
from tasks.redact.distinct import encode

_DEPTH: Final = 3
_JSON_ESCAPE: Final = re.compile(r"\\+(?:u([0-9A-Fa-f]{4})|([\"'/bfnrt]))")
_WHITESPACE: Final = frozenset("bfnrt")


@dataclass(frozen=True, slots=True)
class Leak:
    """What one detector found in one column.

    Attributes:
        field: column.
        detector: kind of data, for example `email`.
        rows: indexes of the rows, ascending.
    """

    field: str
    detector: str
    rows: pl.Series


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of data.

    Attributes:
        hint: RE2 pattern that every text contains in which it could stand, encoded or not.
        pattern: finds candidates in decoded text.
        confirm: whether a candidate is what it looks like.
        anywhere: looked for also in columns that the contract keeps as they are. Kinds that look like ids
            and versions are not.
    """

    name: str
    hint: str
    pattern: re.Pattern[str]
    confirm: Callable[[str], bool]
    anywhere: bool = True


def _always(_candidate: str) -> bool:
    return True


def _is_jwt(candidate: str) -> bool:
    head = candidate.partition(".")[0]
    try:
        return base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)).startswith(b'{"')
    except (binascii.Error, ValueError):
        return False


def _has_digit(candidate: str) -> bool:
    return any(map(str.isdigit, candidate))


def _is_ipv4(candidate: str) -> bool:
    try:
        address = ipaddress.IPv4Address(candidate)
    except ValueError:
        return False
    return not (address.is_loopback or address.packed[0] == 0)


def _is_ipv6(candidate: str) -> bool:
    try:
        address = ipaddress.IPv6Address(candidate)
    except ValueError:
        return False
    return address.packed[0] >> 5 == 1 or address.is_link_local or address.packed[0] >> 1 == 0x7E


_COUNTRIES: Final = "|".join(sorted(IBAN_LENGTHS))
# A candidate stands alone: what is glued to letters or is part of a longer number is something else.
_ALONE: Final = r"(?<![\w.%/+:@-])"
_END: Final = r"(?![\w%@-]|\.\w)"
_OCTETS: Final = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"

_KINDS: Final = (
    _Kind(
        "email",
        "@|%40",
        re.compile(
            r"(?<![\w.+%-])[\w.+-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}"
            + _END
        ),
        _always,
    ),
    _Kind("jwt", "eyJ", re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), _is_jwt),
    _Kind("aws_key", "AKIA|ASIA", re.compile(r"(?<![A-Za-z0-9])A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])"), _always),
    _Kind(
        "aws_secret",
        "[Ss]ecret_?[Aa]ccess_?[Kk]ey|SECRET_ACCESS_KEY",
        re.compile(r"(?i)secret_?access_?key[\s\"':=]{1,8}[a-z0-9/+]{40}(?![a-z0-9/+])"),
        _always,
    ),
    _Kind(
        "bearer",
        "[Bb]earer|BEARER",
        re.compile(r"(?i)\bbearer[\s+]+[\w.~+/=-]{20,}"),
        _has_digit,
    ),
    _Kind(
        "private_key",
        "PRIVATE.{1,5}KEY",
        re.compile(r"-----BEGIN[ +][A-Z0-9 +]{0,40}PRIVATE[ +]KEY(?:[ +]BLOCK)?-----"),
        _always,
    ),
    _Kind(
        "phone",
        r"(?:\+|%2[Bb])[1-9][0-9]{7}",
        re.compile(_ALONE + r"\+[1-9][0-9]{7,14}" + _END),
        _always,
    ),
    _Kind(
        "ip",
        rf"(?:^|[^0-9A-Za-z./:_-]|//|%[0-9A-Fa-f]{{2}}){_OCTETS}(?:$|[^0-9.])",
        re.compile(rf"(?:(?<![\w.%/+:@-])|(?<=//)){_OCTETS}(?![\w%@-]|\.\w|/[0-9])"),
        _is_ipv4,
        anywhere=False,
    ),
    _Kind(
        "ip",
        r"(?:[23][0-9A-Fa-f]{3}|[Ff][CcDd][0-9A-Fa-f]{2}|[Ff][Ee][89AaBb][0-9A-Fa-f])"
        r"(?::|%3[Aa])(?:[0-9A-Fa-f]{0,4}(?::|%3[Aa]))+",
        re.compile(
            r"(?<![\w.%/+:@-])(?:[0-9A-Fa-f]{1,4}:){1,7}(?::|(?::?[0-9A-Fa-f]{1,4}){1,7})(?![\w:%@-]|\.\w|/[0-9])"
        ),
        _is_ipv6,
        anywhere=False,
    ),
    _Kind(
        "card",
        r"[2-6][0-9]{3}(?:[ +-]|%20)?[0-9]{4}(?:[ +-]|%20)?[0-9]{4}(?:[ +-]|%20)?[0-9]"
        r"|3[47][0-9]{2}(?:[ +-]|%20)?[0-9]{6}(?:[ +-]|%20)?[0-9]{5}",
        re.compile(
            _ALONE
            + r"(?:[2-6][0-9]{12,18}|[2-6][0-9]{3}(?:[ -][0-9]{4}){3}|3[47][0-9]{2}[ -][0-9]{6}[ -][0-9]{5})"
            + _END
        ),
        is_card,
        anywhere=False,
    ),
    _Kind(
        "iban",
        rf"(?:^|[^0-9A-Za-z]|%[0-9A-Fa-f]{{2}})(?:{_COUNTRIES})[0-9]{{2}}(?: ?[0-9A-Z]{{4}}){{2}}",
        re.compile(
            _ALONE + rf"(?:{_COUNTRIES})[0-9]{{2}}(?:[0-9A-Z]{{11,30}}|(?: [0-9A-Z]{{1,4}}){{3,8}})" + _END
        ),
        is_iban,
        anywhere=False,
    ),
)
# Text that was encoded twice shows none of the hints.
_NESTED: Final = r"%25[0-9A-Fa-f]{2}|\\u00[2-7][0-9A-Fa-f]"
KINDS: Final = tuple(sorted({kind.name for kind in _KINDS}))


def find_leaks(columns: Iterable[pl.Series], kept: Iterable[str] = ()) -> list[Leak]:
    """Personal data and credentials that are left in columns that are about to be published.

    Args:
        columns: of strings or lists of strings; others are passed over.
        kept: names of columns in which ids, versions and names of hosts are expected.

    Returns:
        A leak for each column and detector with a hit.
    """
    narrow = frozenset(kept)
    everywhere = tuple(kind for kind in _KINDS if kind.anywhere)
    texts = [column for column in map(_texts, columns) if column is not None]
    found: list[Leak] = []
    for kinds, chosen in (
        (_KINDS, [column for column in texts if column.name not in narrow]),
        (everywhere, [column for column in texts if column.name in narrow]),
    ):
        found += _search(chosen, kinds)
    return found


def _texts(column: pl.Series) -> pl.Series | None:
    if column.dtype == pl.List(pl.String):
        return column.list.join("\n")
    return column if column.dtype == pl.String else None


def _search(columns: Sequence[pl.Series], kinds: Sequence[_Kind]) -> Iterator[Leak]:
    hint = "|".join(dict.fromkeys([*(kind.hint for kind in kinds), _NESTED]))
    for column in columns:
        values, codes = encode(column)
        suspects = (
            pl.Series(pc.match_substring_regex(values.to_arrow(), hint)).fill_null(value=False).arg_true()
        )
        hits: defaultdict[str, list[int]] = defaultdict(list)
        for index, text in zip(suspects.to_list(), values.gather(suspects).to_list(), strict=True):
            for name in _kinds_in(text, kinds):
                hits[name].append(index)
        for name, indexes in hits.items():
            rows = pl.Series(indexes, dtype=pl.UInt32)
            yield Leak(column.name, name, rows if codes is None else codes.is_in(rows.implode()).arg_true())


def _kinds_in(text: str, kinds: Sequence[_Kind]) -> set[str]:
    forms = decoded(text)
    return {
        kind.name
        for kind in kinds
        if any(kind.confirm(match[0]) for form in forms for match in kind.pattern.finditer(form))
    }


def decoded(text: str) -> list[str]:
    """The text, and the text with each level of encoding taken off."""
    forms = [text]
    for _ in range(_DEPTH):
        plain = _JSON_ESCAPE.sub(_unescape, unquote(forms[-1]) if "%" in forms[-1] else forms[-1])
        if plain == forms[-1]:
            break
        forms.append(plain)
    return forms


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return " " if match[2] in _WHITESPACE else match[2]
