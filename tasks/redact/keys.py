r"""Values that their key gives away: `"password": "..."`, `token=...`, `"userName": "..."`.

A key is looked for in JSON, in JSON that stands escaped inside a JSON string, deeper or percent-encoded,
and as `key=value` of query strings and log lines. Replacements keep JSON text valid.
"""

from __future__ import annotations

import re
from typing import Final

from tasks.redact.detectors import SCHEME, Detector

HIDDEN: Final = "[secret]"
USER: Final = "[user]"
PHONE: Final = "[phone]"

_CREDENTIAL_KEYS: Final = (
    r"(?:[A-Za-z0-9_.$-]*?(?:pass(?:word|wd|phrase|code)|pwd|secret[_-]?(?:access[_-]?)?key|client[_-]?secret"
    r"|secret[_-]?(?:string|binary|value|token)|shared[_-]?secret|authorization|private[_-]?key"
    r"|key[_-]?material|api[_-]?key|(?:session|security|access|id|refresh|auth|bearer|csrf|xsrf|api|oauth"
    r"|jwt|reset|verification|user|login)[_-]?tokens?|amz[_-]signature|set[_-]cookie|session[_-]?id"
    r"|credit[_-]?card|card[_-]?number)"
    r"|token|secret|cookie|jsessionid|phpsessid|signature|sig|ssn|cvv|cvc|otp|mfa[_-]?code|plaintext|jwt"
    r"|credentials?)"
)
_CREDENTIAL_HINT: Final = (
    r"(?i)pass|pwd|secret|authoriz|private|material|api.?key|token|cookie|sess|card|sig|ssn|cvv|cvc|otp"
    r"|mfa|plaintext|jwt|credential"
)
# Not every `...login`: `ConsoleLogin` says whether it succeeded.
_PERSON_KEYS: Final = (
    r"(?:[A-Za-z0-9_.$-]*?(?:user(?:[._-]?name|[._-]?id|[._-]?login)?|login[._-]?name|e-?mail(?:[._-]?address)?"
    r"|role[._-]?session[._-]?name|principal[._-]?id"
    r"|(?:account|first|last|full|given|family|display|real|nick|sur|session)[._-]?name"
    r"|(?:requested|created|updated|approved)[._-]?by|birth[._-]?date|date[._-]?of[._-]?birth)"
    r"|sub|actor|owner|customer|mail|dob|(?:[A-Za-z0-9_.$-]*[._-])?login)"
)
_PERSON_HINT: Final = r"(?i)user|login|mail|name|principal|[a-z]ed.?by|birth|sub|actor|owner|customer|dob"
_PHONE_KEYS: Final = r"[A-Za-z0-9_.$-]*?(?:phone(?:[._-]?number)?|mobile(?:[._-]?number)?|msisdn)"
_PHONE_HINT: Final = r"(?i)phone|mobile|msisdn"

# A character of a JSON string, and the same character where that string stands inside another one.
_PLAIN_CHAR: Final = r'(?:[^"\\]|\\.)'
_ESCAPED_CHAR: Final = r'(?:[^"\\]|\\u[0-9A-Fa-f]{4}|\\\\(?:\\["\\]|[^"\\]))'
_EMBEDDED_QUOTE: Final = r"(?:\\{2,}[\"']|%22|%5C%22|&quot;|\\+u0022|')"
_BEFORE_KEY: Final = r"""(?:^|[?&=;,\s"'{(\[|]|%26|%(?:25)?3[DdFf]|%22|%20|\\[nrt])"""
_EQUALS: Final = r"(?:\s?=\s?|%(?:25)?3[Dd])"
_ASSIGN: Final = rf"(?:{_EQUALS}|:\s{{0,2}})"
_BARE_VALUE: Final = r"""(?:[^\s"'\\&;,<>(){}\[\]%]|%(?:[013-9A-Fa-f][0-9A-Fa-f]|2[013-57-9A-Fa-f]))+"""


def is_secret_key(name: str) -> bool:
    """Whether a field called `name` holds a credential."""
    return re.fullmatch(_CREDENTIAL_KEYS, name, re.IGNORECASE) is not None


def _members(kind: str, keys: str, marker: str) -> tuple[Detector, ...]:
    found = []
    for quote, char in (('"', _PLAIN_CHAR), (r"\"", _ESCAPED_CHAR)):
        mark = quote.replace("\\", r"\\")
        text = f"{mark}{char}+{mark}"
        value = rf"(?:{text}|-?[0-9][0-9.eE+-]*|\[\s*{text}(?:\s*,\s*{text})*\s*\])"
        found.append(
            Detector(
                kind,
                mark + r"\s*:",
                rf"(?i)({mark}{keys}{mark}\s*:\s*){value}",
                f"${{1}}{quote}{marker}{quote}",
            )
        )
    embedded = rf"({_EMBEDDED_QUOTE}{keys}{_EMBEDDED_QUOTE}\s*(?::|%3A)\s*{_EMBEDDED_QUOTE})"
    value = r"""(?:[^"\\%'&]|%(?:[013-9A-F][0-9A-F]|2[013-9A-F]))+"""
    found.append(Detector(kind, _EMBEDDED_QUOTE, f"(?i){embedded}{value}", f"${{1}}{marker}"))
    return tuple(found)


def _assignment(kind: str, keys: str, marker: str, quote: str) -> Detector:
    # `User: arn:aws:...` is how AWS words its messages; the ARN's own detector keeps the account.
    assign = _EQUALS if kind == "user" else _ASSIGN
    pattern = rf"(?i)({_BEFORE_KEY}{keys}{assign})(?:({quote})[^\"'\\]+|{SCHEME}{_BARE_VALUE})"
    return Detector(kind, r"[A-Za-z0-9](?:\s?=|%(?:25)?3[Dd]|:)", pattern, f"${{1}}${{2}}{marker}")


def key_detectors(kind: str, *, json: bool) -> tuple[Detector, ...]:
    """Detectors of values by their keys.

    Args:
        kind: `secret` or `person`.
        json: the texts are JSON, so that a quote inside a value is always escaped.
    """
    quote = r"\\+[\"']|'" if json else r"\\*[\"']"
    groups = {
        "secret": (("secret", _CREDENTIAL_KEYS, HIDDEN, _CREDENTIAL_HINT),),
        "person": (
            ("user", _PERSON_KEYS, USER, _PERSON_HINT),
            ("phone", _PHONE_KEYS, PHONE, _PHONE_HINT),
        ),
    }
    found: list[Detector] = []
    for name, keys, marker, hint in groups[kind]:
        for detector in (*_members(name, keys, marker), _assignment(name, keys, marker, quote)):
            found.append(Detector(name, detector.trigger, detector.pattern, detector.replacement, hint))
    return tuple(found)
