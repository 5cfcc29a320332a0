"""Check digits: what tells a card or an account from any other long number.

Luhn (ISO/IEC 7812-1) for payment cards, MOD 97-10 (ISO 13616, ISO 7064) for IBANs.
"""

from __future__ import annotations

import re
from typing import Final

# What a pattern may have taken along because ids stand glued to it.
_GLUED: Final = re.compile(r"^(?:%[0-9A-Fa-f]{2}|\\+u[0-9A-Fa-f]{4}|\\+[a-z])")
_SEPARATOR: Final = re.compile(r"%20|[ +-]")
_CARD_DIGITS: Final = range(13, 20)
_IBAN_CHARACTERS: Final = range(15, 35)


def luhn(candidate: str) -> str:
    """The card number in `candidate` as it is written there, or an empty string."""
    for text in (candidate, _GLUED.sub("", candidate)):
        digits = _SEPARATOR.sub("", text)
        if digits.isdecimal() and len(digits) in _CARD_DIGITS and _luhn_sum(digits) % 10 == 0:
            return text
    return ""


def _luhn_sum(digits: str) -> int:
    doubled = (2 * int(digit) for digit in digits[-2::-2])
    return sum(map(int, digits[-1::-2])) + sum(value - 9 if value > 9 else value for value in doubled)


def iban(candidate: str) -> str:
    """The IBAN at the start of `candidate`, without words that follow it, or an empty string."""
    text = _GLUED.sub("", candidate)
    while text:
        if _is_iban(text.replace(" ", "")):
            return text
        text = text.rpartition(" ")[0]
    return ""


def _is_iban(text: str) -> bool:
    if len(text) not in _IBAN_CHARACTERS:
        return False
    number = "".join(str(int(character, 36)) for character in text[4:] + text[:4])
    return int(number) % 97 == 1
