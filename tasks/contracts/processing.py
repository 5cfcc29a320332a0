"""What a contract says for the record of processing activities (GDPR, Article 30(1)).

What the Open Data Contract Standard has words for is read from there: purpose, team, support, roles. The rest
stands in the custom property `processing`, documented in `data_contracts/README.md`. Nothing is required to
deliver; `tasks.export.register` says what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tasks.contracts.properties import Properties

_TEXTS: Final = ("controller", "dataProtectionOfficer", "legalBasis", "transfers")
_LISTS: Final = ("purposes", "persons")
_KEYS: Final = (*_TEXTS, *_LISTS, "data")


@dataclass(frozen=True, slots=True)
class Category:
    """A category of personal data, and the fields that hold it."""

    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Processing:
    """A source as a processing activity. What the contract does not state is empty.

    Attributes:
        title: name of the contract.
        records: what one record is.
        controller: who answers for the processing, with an address.
        officer: the data protection officer.
        legal_basis: why the processing is lawful.
        purposes: what the records are for.
        persons: categories of persons.
        categories: categories of personal data.
        recipients: (who, what they may do) of each role that has access.
        transfers: to which third countries, with which safeguards; or that there are none.
        contacts: the team and its channels.
    """

    title: str = ""
    records: str = ""
    controller: str = ""
    officer: str = ""
    legal_basis: str = ""
    purposes: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()
    recipients: tuple[tuple[str, str], ...] = ()
    transfers: str = ""
    contacts: tuple[str, ...] = ()


def processing(document: Mapping[str, Any], custom: Properties, fields: Mapping[str, object]) -> Processing:
    """What a contract states.

    Args:
        document: the whole contract.
        custom: its extensions; takes the defects.
        fields: the contract's fields by name.
    """
    given = custom.mapping("processing")
    if unknown := sorted(set(given) - set(_KEYS)):
        custom.fault("processing", f"has unknown keys: {', '.join(unknown)}; known: {', '.join(_KEYS)}")
    controller, officer, legal_basis, transfers = (_text(given, key, custom) for key in _TEXTS)
    purposes, persons = (_list(given, key, custom) for key in _LISTS)
    return Processing(
        title=document.get("name") or document["id"],
        records=(document.get("description") or {}).get("purpose", ""),
        controller=controller,
        officer=officer,
        legal_basis=legal_basis,
        purposes=purposes,
        persons=persons,
        categories=_categories(given.get("data", []), custom, fields),
        recipients=tuple(
            (role["role"], role.get("description") or role.get("access") or "")
            for role in document.get("roles") or []
        ),
        transfers=transfers,
        contacts=_contacts(document),
    )


def _text(given: Mapping[str, Any], key: str, custom: Properties) -> str:
    value = given.get(key, "")
    if not isinstance(value, str):
        custom.fault("processing", f"{key} must be a string")
        return ""
    return value.strip()


def _list(given: Mapping[str, Any], key: str, custom: Properties) -> tuple[str, ...]:
    value = given.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        custom.fault("processing", f"{key} must be a list of strings")
        return ()
    return tuple(item.strip() for item in value)


def _categories(value: Any, custom: Properties, fields: Mapping[str, object]) -> tuple[Category, ...]:
    found: list[Category] = []
    placed: set[str] = set()
    for item in value if isinstance(value, list) else [None]:
        if not isinstance(item, dict) or item.keys() != {"category", "fields"}:
            custom.fault("processing", "data must be a list of {category, fields}")
            return ()
        names = _list(item, "fields", custom)
        for name in names:
            if name not in fields or name in placed:
                custom.fault("processing", f"data names `{name}`, which is no field or stands there already")
            placed.add(name)
        found.append(Category(_text(item, "category", custom), names))
    return tuple(found)


def _contacts(document: Mapping[str, Any]) -> tuple[str, ...]:
    team = document.get("team") or {}
    name = team.get("name", "") if isinstance(team, dict) else ""
    channels = (
        " ".join(filter(None, (s.get("channel"), s.get("url")))) for s in document.get("support") or []
    )
    return tuple(text for text in (name, *channels) if text)
