"""Canaries: made-up personal data and credentials that must not survive, as a mine bird must.

Values come from a seed, so whoever has it can look for them anywhere. All are nobody's: addresses of RFC 5737
and RFC 3849, a domain of RFC 2606, a number of Ofcom's for drama, cards and IBANs with check digits of their own.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final
from urllib.parse import quote_plus

import polars as pl

from tasks.errors import IndelibleError
from tasks.evidence.redaction import CanaryReport
from tasks.redact.checkdigits import is_card, is_iban
from tasks.redact.rescan import decoded, find_leaks
from tasks.redact.scan import JSON, TEXT, Scanner

_UNRESERVED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True)
class Canary:
    """One made-up value.

    Attributes:
        kind: kind of data, as the re-scan calls it.
        value: what must not be found anywhere afterwards.
        text: how it is written, for example with `Bearer` before it.
    """

    kind: str
    value: str
    text: str


# Where values stand in real logs. Each must be valid in a JSON string.
PLACES: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "plain": lambda text: text,
        "prose": lambda text: f"export failed for ({text}), see the ticket",
        "nested JSON": lambda text: json.dumps({"detail": json.dumps({"note": [f"seen {text}"]})}),
        "JSON in JSON in JSON": lambda text: json.dumps({"a": json.dumps({"b": json.dumps({"c": text})})}),
        "query string": lambda text: f"/search?page=2&q={quote_plus(text)}&lang=en",
        "encoded twice": lambda text: f"/go?to={quote_plus('https://shop.example/?q=' + quote_plus(text))}",
        "user agent": lambda text: f"Mozilla/5.0 (X11; Linux x86_64; {text}) Chrome/120.0.0.0 Safari/537.36",
        "request line": lambda text: f"GET /v1/items?ref={quote_plus(text)} HTTP/1.1",
    }
)
_ARN: Final = "arn:aws:sts::123456789012:assumed-role/Reader/{}"


def hatch(seed: bytes) -> tuple[Canary, ...]:
    """One value of each kind, the same for the same seed."""
    stream = _Stream(seed)
    token = stream.text(32)
    body = base64.b64encode(stream.bytes(96)).decode()
    jwt = ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode()
        for part in (
            b'{"alg":"HS256","typ":"JWT"}',
            b'{"iss":"%s"}' % stream.text(8).encode(),
            stream.bytes(32),
        )
    )
    secret = stream.text(40)
    plain = {
        "email": f"{stream.text(10).lower()}.{stream.text(6).lower()}@canary.example",
        "phone": f"+447700900{stream.number(1000):03d}",
        "card": stream.checked(lambda: f"4{stream.number(10**15):015d}", is_card),
        "iban": stream.checked(lambda: f"DE{stream.number(100):02d}{stream.number(10**18):018d}", is_iban),
        "jwt": jwt,
        "aws_key": f"AKIA{stream.text(16)}",
    }
    return (
        *(Canary(kind, value, value) for kind, value in plain.items()),
        *(Canary("ip", value, value) for value in _addresses(stream)),
        Canary("bearer", token, f"Authorization: Bearer {token}"),
        Canary("aws_secret", secret, f"aws_secret_access_key={secret}"),
        Canary("private_key", body, f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"),
    )


def placed(canaries: tuple[Canary, ...]) -> Iterator[tuple[Canary, str, str]]:
    """Each canary in each place: the canary, the name of the place, the text."""
    for canary in canaries:
        for name, write in PLACES.items():
            yield canary, name, write(canary.text)
        if canary.kind == "email":
            yield canary, "ARN", _ARN.format(canary.value)


@cache
def rehearse(seed: str) -> CanaryReport:
    """Put canaries through both sets of detectors, once a process, before a batch is trusted to them.

    Returns:
        How many were planted, redacted by the first set and found by the second.

    Raises:
        IndelibleError: one of the sets is blind in this installation.
    """
    planted = list(placed(hatch(seed.encode())))
    texts = pl.Series("canary", [text for _, _, text in planted], dtype=pl.String)
    is_json = texts.str.starts_with("{")
    modes = ((texts.filter(is_json), JSON), (texts.filter(~is_json), TEXT))
    survivors = pl.concat([Scanner().scan([part], mode)[0] for part, mode in modes])
    order = [*is_json.arg_true(), *(~is_json).arg_true()]
    redacted = sum(
        not any(planted[i][0].value in form for form in decoded(text))
        for i, text in zip(order, survivors, strict=True)
    )
    found = {(int(row), leak.detector) for leak in find_leaks([texts]) for row in leak.rows}
    rescanned = sum((row, canary.kind) in found for row, (canary, _, _) in enumerate(planted))
    if not redacted == rescanned == len(planted):
        raise IndelibleError(
            f"of {len(planted)} made-up values, redaction found {redacted} and the re-scan {rescanned};"
            " nothing is sealed",
            next_step="Install the pinned versions of Indelible's libraries, and report this as a defect.",
        )
    return {"planted": len(planted), "redacted": redacted, "rescanned": rescanned}


def _addresses(stream: _Stream) -> tuple[str, str]:
    return (
        f"203.0.113.{1 + stream.number(254)}",
        str(ipaddress.IPv6Address((0x20010DB8 << 96) + stream.number(1 << 96))),
    )


class _Stream:
    """SHA-256 in counter mode."""

    def __init__(self, seed: bytes) -> None:
        self._seed, self._count = seed, 0

    def bytes(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += hashlib.sha256(self._seed + self._count.to_bytes(4, "big")).digest()
            self._count += 1
        return data[:size]

    def text(self, size: int) -> str:
        return "".join(_UNRESERVED[byte % 32] for byte in self.bytes(size))

    def number(self, below: int) -> int:
        return int.from_bytes(self.bytes(16), "big") % below

    def checked(self, draw: Callable[[], str], check: Callable[[str], bool]) -> str:
        """The first draw that its check digits confirm: one of ten for a card, one of 97 for an IBAN."""
        while not check(value := draw()):
            pass
        return value
