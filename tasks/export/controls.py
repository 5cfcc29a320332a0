"""Which control asks for what, in our own short words, and where in a bundle the evidence for it lies.

A bundle is evidence for a control; whether a control is met is for the auditor to say. What Indelible does
not measure is listed too, as not measured. Put here: references. Do not put here: quotations from standards.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from tasks.errors import UsageError


class Place(NamedTuple):
    """Where evidence lies: a name for people, and a link inside the bundle."""

    label: str
    link: str


class Control(NamedTuple):
    """One control: its number, what it asks in short, and the keys of `PLACES`; none means not measured."""

    number: str
    asks: str
    places: tuple[str, ...] = ()


class Framework(NamedTuple):
    """A set of rules, with the controls that concern logs."""

    name: str
    controls: tuple[Control, ...]


RETENTION: Final = "retention"
PLACES: Final[Mapping[str, Place]] = MappingProxyType(
    {
        "sums": Place("completeness sums", "#completeness"),
        "ledger": Place("drop ledgers, ledger/", "ledger/"),
        "gates": Place("contract results, gate/", "#batches"),
        "reasons": Place("lines set aside", "#set-aside"),
        "contracts": Place("contracts as applied, contracts/", "#contracts"),
        "treatments": Place("redaction by contract", "#contracts"),
        "redaction": Place("what redaction did, redaction/", "#redaction"),
        "register": Place("record of processing activities, registers/", "registers/processing.html"),
        "log": Place("signed log, log/", "#integrity"),
        "proofs": Place("inclusion proofs, proofs/", "proofs/"),
        "verifier": Place("independent check", "#verify"),
        "data": Place("sealed records, data/", "data/"),
        RETENTION: Place("lock mode and dates", "#retention"),
        "exports": Place("this report, summary.csv, Parquet", "summary.csv"),
    }
)

FRAMEWORKS: Final[Mapping[str, Framework]] = MappingProxyType(
    {
        "soc2": Framework(
            "SOC 2 (Trust Services Criteria)",
            (
                Control("CC6.1", "logical access to the evidence is limited"),
                Control("CC7.1", "changes to what is kept are detected", ("log", "proofs", "verifier")),
                Control("CC7.2", "activity is monitored for anomalies, and the monitoring works"),
                Control("CC7.3", "security events are evaluated and decided on"),
                Control("CC8.1", "changes to processing rules are controlled", ("contracts", "log")),
                Control("PI1.2", "inputs are complete and accurate", ("sums", "ledger", "gates")),
                Control("PI1.3", "processing is complete and accurate", ("sums", "gates", "reasons")),
                Control("PI1.4", "outputs are complete and accurate", ("exports", "proofs", "verifier")),
                Control(
                    "PI1.5", "what is stored stays complete and unaltered", ("log", RETENTION, "verifier")
                ),
            ),
        ),
        "hipaa": Framework(
            "HIPAA Security Rule",
            (
                Control("164.308(a)(1)(ii)(D)", "records of activity are reviewed regularly"),
                Control(
                    "164.312(b)",
                    "activity is recorded so that it can be examined",
                    ("data", "sums", "ledger"),
                ),
                Control("164.312(c)(1)", "records are protected from alteration", (RETENTION, "log")),
                Control(
                    "164.312(c)(2)", "that nothing was altered can be corroborated", ("proofs", "verifier")
                ),
                Control("164.316(b)(2)(i)", "documentation is kept for six years", (RETENTION,)),
            ),
        ),
        "pci": Framework(
            "PCI DSS 4.0.1",
            (
                Control("10.2", "the required events and fields are recorded", ("contracts", "data")),
                Control("10.2.1.3", "access to the audit logs themselves is recorded"),
                Control("10.3.1", "read access to audit logs is limited"),
                Control("10.3.2", "audit logs cannot be modified", (RETENTION, "log")),
                Control("10.3.3", "audit logs are backed up promptly to a place that is hard to alter"),
                Control("10.3.4", "a change to an audit log is detected", ("log", "proofs", "verifier")),
                Control("10.4.1.1", "audit logs are reviewed by automatic means"),
                Control("10.5.1", "logs are kept twelve months, three of them at hand", (RETENTION,)),
                Control("10.6", "clocks are synchronised"),
                Control("10.7.2", "failures of logging are detected and answered"),
            ),
        ),
        "gdpr": Framework(
            "GDPR",
            (
                Control("Art. 5(1)(c)", "personal data are minimised", ("treatments", "redaction")),
                Control("Art. 5(1)(e)", "storage is limited in time", (RETENTION, "contracts")),
                Control(
                    "Art. 5(1)(f)",
                    "integrity and confidentiality are kept",
                    ("log", "treatments", "verifier"),
                ),
                Control("Art. 17", "personal data are erased on request"),
                Control("Art. 25", "protection is built in by design", ("treatments", "contracts")),
                Control("Art. 30", "processing is registered", ("register",)),
                Control("Art. 32(1)(a)", "personal data are pseudonymised", ("treatments",)),
                Control("Art. 32(1)(d)", "safeguards are tested regularly", ("redaction",)),
            ),
        ),
        "iso27001": Framework(
            "ISO/IEC 27001:2022, Annex A",
            (
                Control("A.5.28", "evidence is collected and preserved", ("log", "proofs", RETENTION)),
                Control(
                    "A.5.33", "records are protected from loss and falsification", (RETENTION, "verifier")
                ),
                Control("A.5.34", "personal information is protected", ("treatments",)),
                Control("A.8.10", "information is deleted when it is not needed any more"),
                Control("A.8.11", "data are masked", ("treatments", "redaction")),
                Control(
                    "A.8.15", "logs are produced, stored and protected", ("sums", "data", RETENTION, "log")
                ),
                Control("A.8.16", "activity is monitored"),
                Control("A.8.17", "clocks are synchronised"),
            ),
        ),
        "sec17a4": Framework(
            "SEC Rule 17a-4(f)",
            (
                Control(
                    "(f)(2), first part",
                    "records cannot be rewritten or erased before their time",
                    (RETENTION,),
                ),
                Control(
                    "(f)(2), verification",
                    "completeness and accuracy are verified",
                    ("sums", "ledger", "verifier"),
                ),
                Control(
                    "(f)(2), download",
                    "records can be handed out, for people and machines",
                    ("exports", "data"),
                ),
                Control("(f)(2), redundancy", "a second copy takes over when the first is lost"),
            ),
        ),
        "nist-au": Framework(
            "NIST SP 800-53, family AU",
            (
                Control(
                    "AU-3",
                    "records say what, when, where, from where, with what outcome, who",
                    ("contracts", "data"),
                ),
                Control("AU-6", "records are reviewed and analysed"),
                Control(
                    "AU-7", "records can be reduced and reported without altering them", ("exports", "data")
                ),
                Control("AU-8", "time stamps are reliable"),
                Control("AU-9(2)", "records are kept on a separate system"),
                Control("AU-9(3)", "records are protected by cryptography", ("log", "proofs", "verifier")),
                Control("AU-10", "what was recorded cannot be denied later", ("log", "proofs")),
                Control("AU-11", "records are kept as long as policy asks", (RETENTION, "contracts")),
                Control("AU-12", "the system generates the records", ("sums", "ledger")),
                Control("AU-12(4)", "query parameters on personal data are recorded"),
            ),
        ),
    }
)


def framework(name: str) -> Framework:
    """The framework called `name`.

    Raises:
        UsageError: there is none.
    """
    try:
        return FRAMEWORKS[name]
    except KeyError:
        raise UsageError(
            f"there is no framework {name[:40]!r}", next_step=f"Give one of: {', '.join(FRAMEWORKS)}."
        ) from None
