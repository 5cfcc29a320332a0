"""Check digits: what tells a card or an account from any other long number.

Luhn (ISO/IEC 7812-1) for payment cards, MOD 97-10 (ISO 13616, ISO 7064) for IBANs, with the length that the
IBAN registry gives for each country.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

# What a pattern may have taken along because ids stand glued to it.
_GLUED: Final = re.compile(r"^(?:%(?:25)?[0-9A-Fa-f]{2}|\\+u[0-9A-Fa-f]{4}|\\+[a-z])")
_SEPARATOR: Final = re.compile(r"%20|[ +-]")
# Prefixes and lengths that issuers use: American Express, Diners, JCB, Visa, Mastercard and Mir, then Maestro,
# Discover and UnionPay.
_ISSUED: Final = re.compile(
    r"3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}|35[0-9]{14}|4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"
    r"|(?:5[1-5]|2[2-7])[0-9]{14}|(?:50|5[6-9]|6[0-9])[0-9]{11,17}"
)

# Country -> characters of its IBANs (SWIFT IBAN registry).
IBAN_LENGTHS: Final = MappingProxyType(
    {
        country: length
        for length, countries in (
            (15, "NO"),
            (16, "BE"),
            (18, "DK FI FK FO GL NL SD"),
            (19, "MK SI"),
            (20, "AT BA EE KZ LT LU MN XK"),
            (21, "CH HR LI LV"),
            (22, "BG BH CR DE GB GE IE ME RS VA"),
            (23, "AE GI IL IQ OM SO TL"),
            (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
            (25, "LY PT ST"),
            (26, "IS TR"),
            (27, "BI DJ FR GR IT MC MR SM"),
            (28, "AL AZ BY CY DO GT HN HU LB NI PL SV"),
            (29, "BR EG PS QA UA"),
            (30, "JO KW MU YE"),
            (31, "MT SC"),
            (32, "LC"),
            (33, "RU"),
        )
        for country in countries.split()
    }
)


def luhn(candidate: str) -> str:
    """The card number in `candidate` as it is written there, or an empty string."""
    for text in (candidate, _GLUED.sub("", candidate)):
        if is_card(text):
            return text
    return ""


def is_card(text: str) -> bool:
    """Whether `text`, without its separators, is a number that an issuer of cards could have given out."""
    digits = _SEPARATOR.sub("", text)
    return _ISSUED.fullmatch(digits) is not None and _luhn_sum(digits) % 10 == 0


def _luhn_sum(digits: str) -> int:
    doubled = (2 * int(digit) for digit in digits[-2::-2])
    return sum(map(int, digits[-1::-2])) + sum(value - 9 if value > 9 else value for value in doubled)


def iban(candidate: str) -> str:
    """The IBAN at the start of `candidate`, without words that follow it, or an empty string."""
    text = _GLUED.sub("", candidate)
    while text:
        if is_iban(text):
            return text
        text = text.rpartition(" ")[0]
    return ""


def is_iban(text: str) -> bool:
    """Whether `text`, without its spaces, has the length of its country and the right check digits."""
    text = text.replace(" ", "")
    if IBAN_LENGTHS.get(text[:2]) != len(text):
        return False
    number = "".join(str(int(character, 36)) for character in text[4:] + text[:4])
    return int(number) % 97 == 1
