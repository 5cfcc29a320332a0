r"""What is sensitive in text, as patterns: the detectors of the `scan` treatment and of secrets.

Every pattern runs in Rust's regex engine, which is linear in the text and has no look-around. So a
pattern captures what must stand before a match and puts it back. Three places shape the patterns:

- JSON text, maybe inside a JSON string: quotes carry any number of backslashes, and `\n` before an
  e-mail address must not lose its `n`.
- URLs: `%40`, `%2B`, and ids glued to `%22`.
- User agents: `Chrome/120.0.0.0` has the form of an IPv4 address.

Detectors run in order, keys of JSON and of query strings first, because a key tells more than a form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tasks.redact.addresses import OCTET
from tasks.redact.checkdigits import iban, luhn


@dataclass(frozen=True, slots=True)
class Detector:
    """One kind of sensitive text.

    Attributes:
        kind: name in reports.
        trigger: cheap pattern that every text with a match contains.
        pattern: what is replaced.
        replacement: with `${1}`... for captured context.
        hint: a second cheap pattern of the same sort, or empty.
        check: finds the part of a match that its check digits confirm, or an empty string. Then
            the pattern captures no context.
    """

    kind: str
    trigger: str
    pattern: str
    replacement: str
    hint: str = ""
    check: Callable[[str], str] | None = None


# A JSON escape sequence at any depth of nesting.
_ESCAPE: Final = r"(?:\\+(?:u[0-9A-Fa-f]{4}|[^u\\0-9])|(?:\\\\)+u?)"
# A percent-encoded byte, maybe encoded twice.
_ENCODED: Final = r"%(?:25)?[0-9A-Fa-f]{2}"


def _after(not_in: str, *, escapable: bool = True) -> str:
    """Where a token may begin: not after its own characters; after an escape or an encoded byte.

    A token whose first character cannot be escaped in JSON (`n` can) may also follow a bare backslash.
    """
    backslash = r"\\" if escapable else ""
    return rf"((?:^|{_ESCAPE}|[^{backslash}{not_in}]|{_ENCODED})(?:{_ESCAPE})*)"


_BEARER_VALUE: Final = r"[A-Za-z0-9._~+/=-]"
_SPACE: Final = r"(?:\s|\+|%(?:25)?(?:20|2[Bb]))"
SCHEME: Final = rf"(?:(?:bearer|basic|digest|negotiate|token|apikey|aws4-hmac-sha256){_SPACE}+)?"
_PEM_BODY: Final = r"(?:[A-Za-z0-9+/=\s:,.-]|\\+[nr]|%[0-9A-Fa-f]{2})"
_PEM_KEY: Final = rf"PRIVATE{_SPACE}KEY"
_PEM_LABEL: Final = rf"(?:[A-Z0-9]|{_SPACE}){{0,40}}{_PEM_KEY}(?:{_SPACE}BLOCK)?-----"
# Where a word begins: also after an encoded byte.
_WORD: Final = rf"(?:(?-u:\b)|{_ENCODED})"

# Credentials by their form: removed from every column, whatever its contract says.
CREDENTIALS: Final = (
    Detector(
        "private_key",
        _PEM_KEY,
        rf"-----BEGIN{_SPACE}{_PEM_LABEL}(?:{_PEM_BODY}*?-----END{_SPACE}{_PEM_LABEL}|{_PEM_BODY}*)",
        "[private_key]",
    ),
    Detector("jwt", "eyJ", r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){0,3}", "[jwt]"),
    Detector(
        "authorization",
        r"(?i)authorization",
        rf"(?i)(authorization(?:\\*[\"'])?\s*(?::|=|%(?:25)?3[AD]){_SPACE}*(?:\\*[\"'])?){SCHEME}"
        r"[^\s\"'\\;,&<>\[\]{}]+",
        "${1}[secret]",
    ),
    Detector(
        "bearer",
        r"(?i)bearer",
        rf"(?i)({_WORD}bearer{_SPACE}+){_BEARER_VALUE}{{16,}}",
        "${1}[secret]",
    ),
    Detector(
        "basic",
        r"(?i)basic",
        rf"(?i)({_WORD}basic{_SPACE}+)(?:[A-Za-z0-9+/]{{6,}}={{1,2}}|[A-Za-z0-9+/]{{24,}})",
        "${1}[secret]",
    ),
    Detector(
        "url_password",
        r"://[^/@]*:[^/@]*@|%3[Aa]%2[Ff]%2[Ff].*%40",
        r"((?:://|%3[Aa]%2[Ff]%2[Ff])[^\s/:@\"'\\%]{0,128}(?::|%3[Aa]))"
        r"(?:[^\s/@\"'\\\[\]%]|%(?:[0135-9][0-9A-Fa-f]|2[0-9A-Ea-e]|4[1-9A-Fa-f])){1,256}(@|%40)",
        "${1}[secret]${2}",
    ),
)

_COLON: Final = r"(?::|%(?:25)?3[Aa])"
_HEX: Final = r"[0-9A-Fa-f]{1,4}"
_IPV6: Final = (
    rf"(?:(?:{_HEX}{_COLON}){{7}}{_HEX}(?-u:\b)|(?:{_HEX}{_COLON}){{1,6}}(?:{_COLON}{_HEX}){{1,6}}(?-u:\b)"
    rf"|(?:{_HEX}{_COLON}){{2,7}}{_COLON}|::[Ff]{{4}}:{_HEX}:{_HEX}(?-u:\b))"
)
# `0.0.0.0/0` opens a network to the world and 127.0.0.0/8 stays on the host: nobody's, and evidence.
_FIRST_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1(?:[013-9][0-9]|2[0-689])|[1-9][0-9]?)"
_THREE_OCTETS: Final = rf"{_FIRST_OCTET}\.{OCTET}\.{OCTET}\."
_LAST_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9][0-9]?)"
_IPV4: Final = rf"{_THREE_OCTETS}{OCTET}"
# Not after a letter and `/` (`Chrome/120.0.0.0`), not after `rv:`; after a path segment it is an address.
_BEFORE_IPV4: Final = (
    rf"((?:^|[^A-Za-z0-9./:%-]|(?:^|[^v\\]):|[^r]v:|(?:^|[^A-Za-z0-9)\\])/|/[A-Za-z0-9_-]{{1,32}}/"
    rf"|%(?:[013-9A-Fa-f][0-9A-Fa-f]|2[0-9A-Ea-e])|%2[Ff]%2[Ff]|{_ESCAPE})(?:{_ESCAPE})*)"
)
_LETTER: Final = r"(?:[A-Za-z0-9._+-]|%(?:25)?2[Bb]|[^\x00-\x{a0}\x{2000}-\x{2fff}\x{3000}-\x{3020}])"
_LABEL: Final = r"[A-Za-z0-9\x{c0}-\x{1fff}\x{3040}-\x{d7ff}-]{1,63}"
_AWS_ID: Final = r"(?:AKIA|ASIA|AROA|AIDA|AGPA|AIPA|ANPA|ANVA|APKA|ABIA|ACCA|ASCA)[A-Z0-9]{12,17}"
_NAME: Final = r"(?:[A-Za-z0-9_+=,.@-]|%(?:25)?(?:40|2[Bb]))"
_SLASH: Final = r"(?:\\?/|%(?:25)?2[Ff])"
_GAP: Final = r"(?:[ +-]|%20)?"
_GLUED: Final = rf"(?:{_ENCODED}|\\+u[0-9A-Fa-f]{{4}}|\\+[a-z]|(?-u:\b))"
_LIKELY_LOGIN: Final = r"[A-Za-z]{2,32}[._][A-Za-z]{1,32}[0-9]{0,8}|[A-Za-z]{2,32}[0-9]{2,8}"

# `10.0.0.0/16` names a network no closer than a cut address does, and says to whom something was opened.
_NO_NETWORK: Final = r"($|[^0-9A-Za-z./]|\.(?:$|[^0-9])|/(?:$|[^0-9]|2[5-9]|[3-9][0-9]|[0-9]{3}))"
_ENDING_IN_ZERO: Final = Detector(
    "ip",
    r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.0",
    rf"{_BEFORE_IPV4}{_THREE_OCTETS}0(?:-{_IPV4})?{_NO_NETWORK}",
    "${1}[ip]${2}",
)

# Personal data by its form.
PERSONAL: Final = (
    Detector(
        "user",
        r"(?i)arn(?::|%(?:25)?3a)aws",
        rf"(arn{_COLON}aws[a-z-]*{_COLON}(?:iam|sts){_COLON}{{2}}[0-9]*{_COLON}"
        rf"(?:(?:user|federated-user|mfa|u2f){_SLASH}|assumed-role{_SLASH}{_NAME}+{_SLASH}))"
        rf"(?:{_NAME}|{_SLASH})+",
        "${1}[user]",
    ),
    Detector(
        "aws_id",
        r"A(?:KIA|SIA|ROA|IDA|GPA|IPA|NPA|NVA|PKA|BIA|CCA|SCA)[A-Z0-9]{12}",
        _after("A-Za-z0-9", escapable=False) + rf"{_AWS_ID}(?:{_COLON}{_NAME}{{1,128}})?",
        "${1}[aws_id]",
    ),
    Detector(
        "email",
        "@|%(?:25)?40",
        _after("A-Za-z0-9._+%-")
        + rf"{_LETTER}{{1,64}}(?:@|%(?:25)?40)(?:{_LABEL}\.){{1,8}}(?:[A-Za-z]{{2,24}}|xn--{_LABEL})",
        "${1}[email]",
    ),
    Detector(
        "mac",
        r"(?:[0-9A-Fa-f]{2}(?:[:-]|%3[Aa])){5}",
        _after("0-9A-Za-z:-")
        + rf"(?:(?:[0-9A-Fa-f]{{2}}{_COLON}){{5}}|(?:[0-9A-Fa-f]{{2}}-){{5}})[0-9A-Fa-f]{{2}}(?-u:\b)",
        "${1}[mac]",
    ),
    Detector(
        "ip",
        r"[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:|::[Ff]{4}:|%(?:25)?3[Aa][0-9A-Fa-f]{0,4}%(?:25)?3[Aa]",
        rf"((?:^|{_ESCAPE}|[^0-9A-Za-z:._-]|[^0-9A-Fa-f:\\]:|{_ENCODED})(?:{_ESCAPE})*){_IPV6}",
        "${1}[ip]",
    ),
    Detector(
        "ip",
        r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        rf"{_BEFORE_IPV4}{_THREE_OCTETS}{_LAST_OCTET}(?:-{_IPV4})?(?-u:\b)",
        "${1}[ip]",
    ),
    # Twice, since a match takes along the separator before the next address.
    *(_ENDING_IN_ZERO,) * 2,
    Detector(
        "ip",
        "ip-|ec2-",
        rf"(?-u:\b)((?:ip|ec2)-){OCTET}-{OCTET}-{OCTET}-{OCTET}(?-u:\b)",
        "${1}[ip]",
    ),
    Detector(
        "phone",
        r"(?:\+|%(?:25)?2[Bb])[1-9]",
        _after("0-9A-Za-z+", escapable=False)
        + r"(?:\+|%(?:25)?2[Bb])[1-9](?:(?:[ .()-]{0,2}|%20)[0-9]){6,14}(?-u:\b)",
        "${1}[phone]",
    ),
    Detector(
        "phone",
        r"[0-9](?:-|\.|\) ?|%29\+?|%20)[0-9]{3,4}[ .+-][0-9]{3,4}",
        _after("0-9A-Za-z._/+-", escapable=False)
        + r"(?:(?:\(|%28)[0-9]{2,4}(?:\)|%29)[ +]?[0-9]{3,4}[ +-][0-9]{3,4}"
        + r"|(?:(?:00)?1-)?[2-9][0-9]{2}-[0-9]{3}-[0-9]{4}|[2-9][0-9]{2}\.[0-9]{3}\.[0-9]{4})"
        + r"(?:x[0-9]{1,5})?(?-u:\b)",
        "${1}[phone]",
    ),
    Detector(
        "ssn",
        r"[0-9]{3}-[0-9]{2}-[0-9]{4}",
        _after("0-9A-Za-z.-", escapable=False) + r"[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}(?-u:\b)",
        "${1}[ssn]",
    ),
    Detector(
        "card",
        rf"[0-9]{{4}}{_GAP}[0-9]{{4,6}}{_GAP}[0-9]{{4,5}}{_GAP}[0-9]",
        rf"{_GLUED}(?:3[47][0-9]{{2}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{5}}"
        rf"|[2-6][0-9]{{3}}{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}{_GAP}[0-9]{{1,7}})(?-u:\b)",
        "[card]",
        check=luhn,
    ),
    Detector(
        "iban",
        rf"(?:^|[^A-Z]|{_ENCODED})[A-Z]{{2}}[0-9]{{2}}(?: ?[0-9A-Z]{{4}}){{2}}",
        rf"{_GLUED}[A-Z]{{2}}[0-9]{{2}}(?: ?[A-Z0-9]{{4}}){{2,7}}(?: ?[A-Z0-9]{{1,3}})?(?-u:\b)",
        "[iban]",
        check=iban,
    ),
    Detector(
        "user",
        r"(?i)(?-u:\b)(?:user|for|by|login|account):? ",
        rf"(?i)(?-u:\b)((?:user|for|by|login|account):? (?:\\*[\"'])?)(?:{_LIKELY_LOGIN})(?-u:\b)",
        "${1}[user]",
    ),
    Detector(
        "user",
        r"(?i) from ",
        r"(?i)(?-u:\b)((?:password|publickey|log[io]n|session|authentication|failed|failure|accepted|rejected)"
        r" for (?:invalid )?(?:user )?|user )[A-Za-z0-9._+-]{1,64}( from )",
        "${1}[user]${2}",
    ),
    Detector(
        "user",
        r"(?i)/(?:users?|home|accounts|profiles?|people|members)/",
        rf"(?i)(/(?:users?|accounts|profiles?|people|members)/)(?:{_LIKELY_LOGIN})(?-u:\b)",
        "${1}[user]",
    ),
    Detector("user", "/home/|/Users/", r"(/(?:home|Users)/)[A-Za-z0-9._-]{1,64}", "${1}[user]"),
)
