"""Reason codes of the chain of custody, each with the one verdict that it always has.

Verdicts are those of `tasks.verify`: changed and missing mean that custody is broken; not-sealed-yet and
not-measured say how far the answer reaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tasks.errors import VerificationError

CHANGED: Final = "changed"
MISSING: Final = "missing"
PENDING: Final = "not-sealed-yet"
UNMEASURED: Final = "not-measured"
FAILURES: Final = (CHANGED, MISSING)

DIGEST_BAD: Final = "custody-digest-bad"
DIGEST_MOVED: Final = "custody-digest-moved"
DIGEST_MISSING: Final = "custody-digest-missing"
SIGNATURE_BAD: Final = "custody-signature-bad"
SIGNATURE_MISSING: Final = "custody-signature-missing"
KEY_BAD: Final = "custody-key-bad"
KEY_UNKNOWN: Final = "custody-key-unknown"
CHAIN: Final = "custody-chain-broken"
GAP: Final = "custody-gap"
OVERLAP: Final = "custody-overlap"
LOG_CHANGED: Final = "custody-log-changed"
LOG_MISSING: Final = "custody-log-missing"
LOG_PENDING: Final = "custody-log-pending"
LOG_UNLISTED: Final = "custody-log-unlisted"
LOG_UNCOVERED: Final = "custody-log-uncovered"

_AGAIN = "Copy the digest again from AWS's bucket; if it stays so, treat it as altered and keep both."
_SOURCE = "Look for it in AWS's bucket and its versions; if it is not there either, it was removed."

CODES: Final = MappingProxyType(
    {
        DIGEST_BAD: (CHANGED, "a digest file is not gzip of a digest's JSON", _AGAIN),
        DIGEST_MOVED: (CHANGED, "a digest file lies under another name than it says itself", _AGAIN),
        DIGEST_MISSING: (MISSING, "a digest names a previous digest that is not there", _SOURCE),
        SIGNATURE_BAD: (CHANGED, "AWS's signature does not fit the digest file", _AGAIN),
        SIGNATURE_MISSING: (
            MISSING,
            "a digest file has no signature in its metadata or beside it",
            "Copy digests with their object metadata (x-amz-meta-signature), or with a .meta.json beside each.",
        ),
        KEY_BAD: (
            CHANGED,
            "a public key is no RSA key in PKCS#1 DER",
            "Fetch the keys again: aws cloudtrail list-public-keys --start-time ... > keys.json",
        ),
        KEY_UNKNOWN: (
            MISSING,
            "no key is given for the fingerprint that a digest names",
            "Fetch the keys of that time: aws cloudtrail list-public-keys --start-time ... > keys.json",
        ),
        CHAIN: (CHANGED, "a digest's previous digest is not the one that AWS signed there", _AGAIN),
        GAP: (
            UNMEASURED,
            "AWS delivered no digest for a time between two digests",
            "Ask when logging or validation was switched off: nothing vouches for drops of that time.",
        ),
        OVERLAP: (UNMEASURED, "two digests of one chain are about the same time", "Ask AWS."),
        LOG_CHANGED: (
            CHANGED,
            "a drop was sealed with other content than AWS delivered under its name",
            "Compare the drop's versions in AWS's bucket: somebody replaced it before it was sealed.",
        ),
        LOG_MISSING: (
            MISSING,
            "AWS lists a log file that is neither sealed nor in the landing place",
            _SOURCE,
        ),
        LOG_PENDING: (PENDING, "AWS lists a log file that has landed and is not sealed yet", "Deliver it."),
        LOG_UNLISTED: (
            CHANGED,
            "a drop lies where AWS's digests list every log file, and they do not list it",
            "Find out who put it there. A second trail without validation may also write to this place.",
        ),
        LOG_UNCOVERED: (
            UNMEASURED,
            "drops are of a time for which there is no digest that holds",
            "Check again when the digests of that time are there; AWS writes one an hour.",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an auditor has to know.

    Attributes:
        code: a code of this module.
        key: the digest, drop or log file that it is about, as the landing place or AWS names it.
        sentence: what is wrong, for people.
    """

    code: str
    key: str
    sentence: str

    @property
    def verdict(self) -> str:
        """`changed`, `missing`, `not-sealed-yet` or `not-measured`."""
        return CODES[self.code][0]

    @property
    def next_step(self) -> str:
        """What to do about it."""
        return CODES[self.code][2]


def refusal(code: str, sentence: str) -> VerificationError:
    """The error of a digest or key that cannot be used."""
    return VerificationError(code, sentence, next_step=CODES[code][2])
