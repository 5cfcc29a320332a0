"""The record of processing activities (GDPR, Article 30(1)), made from contracts: what of whom, why, how long.

A contract says most of it; what holds for every source is what Indelible does, and stands here. What a contract
does not state is said to be not stated, and nothing is made up for it. Equal contracts give equal bytes: no clock.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from typing import Final

import jinja2

from tasks.contracts.model import Contract, Field, Treatment
from tasks.contracts.privacy import KEYED

NOT_STATED: Final = "not stated in the contract"
TEMPLATE: Final = "register.html.j2"
# What is left of a value, and who could get it back.
STORED: Final[Mapping[str, str]] = {
    "keep": "as it came, without credentials",
    "scan": "as it came, without the e-mail and IP addresses, card and phone numbers and credentials found in it",
    "drop": "nothing",
    "mask": "only the shape: x for letters, 9 for digits",
    "truncate_ip": "only the network: /24 or /48",
    "prefix_pseudonym": "another address in its place; the key of the month leads back",
    "pseudonym": "a pseudonym; without its key nobody gets back",
    "encrypt": "a pseudonym, and the value encrypted beside it; the key leads back",
}
SAFEGUARDS: Final = (
    "Redaction before anything is stored, and a second search by other means for what it left",
    "Lines that break the contract, or in which something was left, are set aside encrypted",
    "Keys of months and persons lie outside the evidence store, wrapped by a key-encryption key",
    "WORM storage: in an S3 store, Object Lock in COMPLIANCE mode until the end of retention",
    "A signed log of everything that was stored; proofs that can be checked without Indelible",
)
_UNITS: Final = ((365.25, "year"), (1, "day"))


@dataclass(frozen=True, slots=True)
class Datum:
    """Personal fields of one category that are treated alike.

    Attributes:
        category: of personal data, in the contract's words; empty: in none.
        fields: columns.
        treatment: what is done to them.
        stored: what is left of a value, for people.
        key: whose key pseudonyms take: `month`, `person`, or empty.
    """

    category: str
    fields: tuple[str, ...]
    treatment: str
    stored: str
    key: str


@dataclass(frozen=True, slots=True)
class Activity:
    """One source as a processing activity. Texts that the contract does not state are empty."""

    source: str
    title: str
    version: str
    contract_sha256: str
    policy_sha256: str
    records: str
    controller: str
    officer: str
    legal_basis: str
    contacts: tuple[str, ...]
    purposes: tuple[str, ...]
    persons: tuple[str, ...]
    data: tuple[Datum, ...]
    recipients: tuple[tuple[str, str], ...]
    transfers: str
    retention_class: str
    kept_at_least: tuple[tuple[str, int], ...]
    kept_at_most: int | None
    erasure: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that Article 30(1) asks for, or that people would ask, and that a contract does not state."""

    source: str
    what: str
    where: str


def activity(contract: Contract, treatments: Mapping[str, str] | None = None) -> Activity:
    """A source as its contract, and the policy if there is one, describe it.

    Args:
        contract: of the source.
        treatments: field -> how it was treated according to a redaction report, where that is known.
    """
    told = contract.processing
    if treatments is not None:
        contract = replace(contract, fields=tuple(_as_treated(f, treatments) for f in contract.fields))
    return Activity(
        source=contract.source,
        title=told.title or contract.source,
        version=contract.version,
        contract_sha256=contract.sha256,
        policy_sha256=contract.policy.sha256 if contract.policy else "",
        records=told.records,
        controller=told.controller,
        officer=told.officer,
        legal_basis=told.legal_basis,
        contacts=told.contacts,
        purposes=told.purposes,
        persons=told.persons,
        data=tuple(_data(contract)),
        recipients=told.recipients,
        transfers=told.transfers,
        retention_class=contract.retention_class,
        kept_at_least=contract.retention_minimums,
        kept_at_most=contract.retention_max_days,
        erasure=_erasure(contract),
    )


def gaps(activities: Iterable[Activity]) -> list[Gap]:
    """What the contracts should state and do not."""
    found = []
    for one in activities:
        asked = (
            (one.controller, "the controller, with contact details", "processing.controller"),
            (one.contacts, "whom to ask: a team or a channel", "team, support"),
            (
                one.officer,
                "the data protection officer, or that there is none",
                "processing.dataProtectionOfficer",
            ),
            (one.legal_basis, "the legal basis", "processing.legalBasis"),
            (one.records, "what one record is", "description.purpose"),
            (one.purposes, "the purposes", "processing.purposes"),
            (one.persons, "the categories of persons", "processing.persons"),
            (one.recipients, "the recipients", "roles"),
            (one.kept_at_most, "the longest time that records are kept", "slaProperties, retentionMaximum"),
            (one.transfers, "transfers to third countries, or that there are none", "processing.transfers"),
        )
        found += [Gap(one.source, what, where) for value, what, where in asked if not value]
        for datum in one.data:
            if not datum.category:
                names = ", ".join(datum.fields)
                found.append(Gap(one.source, f"the category of data of {names}", "processing.data"))
    return found


def render_html(activities: Sequence[Activity]) -> bytes:
    """Both pages in one self-contained file: for the persons concerned, and the record for an authority."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["days"] = duration
    template = environment.from_string(files("tasks.export").joinpath(TEMPLATE).read_text("utf-8"))
    page = template.render(
        activities=activities, gaps=gaps(activities), safeguards=SAFEGUARDS, not_stated=NOT_STATED
    )
    return page.encode("utf-8")


def render_json(activities: Sequence[Activity]) -> bytes:
    """For machines. What is not stated is null."""
    document = {
        "activities": [
            {key: None if value in ("", ()) else value for key, value in asdict(one).items()}
            for one in activities
        ],
        "not_stated": [asdict(gap) for gap in gaps(activities)],
        "safeguards": SAFEGUARDS,
    }
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode("utf-8") + b"\n"


def render_csv(activities: Sequence[Activity]) -> bytes:
    """For spreadsheets: one line for each source, category and treatment."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(
        ("source", "controller", "purposes", "persons", "category", "fields", "treatment", "stored", "key",
         "recipients", "transfers", "kept_at_least", "kept_at_most", "erasure")
    )  # fmt: skip
    for one in activities:
        for datum in one.data:
            row = (
                one.source,
                one.controller,
                "; ".join(one.purposes),
                "; ".join(one.persons),
                datum.category,
                " ".join(datum.fields),
                datum.treatment,
                datum.stored,
                datum.key or "none",
                "; ".join(f"{who}: {may}" for who, may in one.recipients),
                one.transfers,
                "; ".join(
                    f"{duration(days)} ({driver or 'no driver'})" for driver, days in one.kept_at_least
                ),
                duration(one.kept_at_most) if one.kept_at_most else "",
                one.erasure,
            )
            writer.writerow(cell or NOT_STATED for cell in row)
    return text.getvalue().encode("utf-8")


def duration(days: int) -> str:
    """`7 years`, `400 days`. Years of contracts are 365.25 days, rounded up."""
    for length, unit in _UNITS:
        count = int(days / length)
        if count and -int(-count * length // 1) == days:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{days} days"


def _as_treated(field: Field, treatments: Mapping[str, str]) -> Field:
    treatment: Treatment = treatments.get(field.name, field.treatment)  # type: ignore[assignment]
    return replace(field, treatment=treatment)


def _data(contract: Contract) -> Iterable[Datum]:
    """Personal fields by category and treatment, in the contract's order of categories."""
    places = {name: c.name for c in contract.processing.categories for name in c.fields}
    order = [*(c.name for c in contract.processing.categories), ""]
    grouped: dict[tuple[int, str, str], list[str]] = {}
    for field in contract.fields:
        if field.is_personal:
            key = (
                "" if field.treatment not in KEYED else "person" if field.key_scope == "subject" else "month"
            )
            place = order.index(places.get(field.name, ""))
            grouped.setdefault((place, field.treatment, key), []).append(field.name)
    for (place, treatment, key), names in sorted(grouped.items()):
        yield Datum(order[place], tuple(names), treatment, STORED[treatment], key)


def _erasure(contract: Contract) -> str:
    """How a person's data can be taken away although nothing that is locked is changed."""
    personal = [field for field in contract.fields if field.is_personal]
    scopes = {field.key_scope for field in personal if field.treatment in KEYED}
    ways = []
    if "subject" in scopes:
        ways.append(
            "`indelible subject erase` destroys the key of one person: the pseudonyms stay and lead to nobody"
        )
    if "epoch" in scopes or "subject" in scopes:
        ways.append(
            "`indelible key destroy-epoch` destroys the key of a month, for what is pseudonymised by it"
        )
    if any(field.treatment in {"keep", "scan", "truncate_ip"} for field in personal):
        ways.append(
            "what is stored as text or as a network stays until the retention ends, and a signed refusal says so"
        )
    return "; ".join(ways) or "nothing is stored that leads to a person"
