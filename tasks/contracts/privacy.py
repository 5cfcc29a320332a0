"""What a contract says of personal data: treatments, whose keys they take, and what it may not store.

Charter: a mistake here must never weaken a treatment in silence, so everything that is not understood, and every
way to store a plain hash of a personal value, is a defect. Whoever has a list of names, addresses or numbers can
hash it and compare (EDPB Guidelines 01/2025): a plain hash hides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast, get_args

from tasks.contracts.document import Defects, Path
from tasks.contracts.model import Field, FieldType, KeyScope, SubjectField, Treatment
from tasks.contracts.properties import Properties

CLASSIFICATIONS: Final = frozenset({"public", "internal", "confidential", "personal", "pii", "secret"})
PERSONAL: Final = frozenset({"personal", "pii"})
REVERSIBLE: Final = "a plain hash of personal data is reversible; use pseudonym or encrypt"
DOMAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
KEYED: Final = ("pseudonym", "encrypt", "prefix_pseudonym")
OF_PERSONS: Final = ("pseudonym", "encrypt")
_TREATABLE: Final[Mapping[str, frozenset[FieldType]]] = {
    "truncate_ip": frozenset({"string"}),
    "prefix_pseudonym": frozenset({"string"}),
    "pseudonym": frozenset({"string", "strings"}),
    "encrypt": frozenset({"string", "strings"}),
    "mask": frozenset({"string", "strings", "json", "number"}),
    "scan": frozenset({"string", "strings", "json"}),
}
_HASH: Final = (
    r"(?:hash(?:ed)?|sha-?_?[0-9]*|md[2-6]|blake[23][bs]?|crc(?:32)?|xxh(?:ash)?[0-9]*|murmur[0-9]*)"
)
_HASH_NAME: Final = re.compile(rf"(?:.*[_-])?{_HASH}(?:[_-].*)?", re.IGNORECASE)
_HASH_CALL: Final = re.compile(rf"\b(?:[a-z0-9]+_)*{_HASH}(?:_[a-z0-9]+)*\s*\(", re.IGNORECASE)
# `email_sha256`, `userHash`, `md5-of-ip`: a hash that somebody else has made.
_PERSON: Final = (
    r"(?:e?-?mail|user|login|account|person|customer|client|name|phone|msisdn|mobile|address|ip|ssn|iban)"
)
_HASH_OF_PERSON: Final = re.compile(
    rf"(?:^|[._-]){_PERSON}(?:[._-]?(?:name|id|address|number))?[._-]?{_HASH}(?:[._-]|$)"
    rf"|(?:^|[._-]){_HASH}(?:ed)?[._-]?(?:of[._-]?)?{_PERSON}(?:[._-]|$)",
    re.IGNORECASE,
)


def treatment(custom: Properties) -> Treatment:
    """How a field is redacted. A hash that needs no key is no treatment."""
    value = custom.text("treatment") or "keep"
    if _HASH_NAME.fullmatch(value):
        custom.fault("treatment", f"`{value}`: {REVERSIBLE}")
        return "pseudonym"
    return cast(Treatment, custom.choice("treatment", get_args(Treatment), "keep"))


def fits(treatment: Treatment, kind: FieldType) -> bool:
    """Whether a treatment can be applied to values of a type."""
    allowed = _TREATABLE.get(treatment)
    return allowed is None or kind in allowed


def key_scope(custom: Properties) -> KeyScope:
    """Whose key a field's pseudonyms take."""
    return cast(KeyScope, custom.choice("keyScope", get_args(KeyScope), "epoch"))


def makes_hash(expression: str) -> bool:
    """Whether an expression calls a hash function."""
    return _HASH_CALL.search(expression) is not None


def check_field(
    field: Field, prop: Mapping[str, Any], custom: Properties, path: Path, defects: Defects
) -> None:
    """Note every defect in what one field says of personal data.

    Args:
        field: as it was read.
        prop: the ODCS property that it was read from.
        custom: its extensions.
        path: where it stands.
        defects: takes the defects.
    """
    place = (*path, "classification")
    if field.classification and field.classification not in CLASSIFICATIONS:
        defects.add(
            place, f"`{field.classification}` is unknown; allowed: {', '.join(sorted(CLASSIFICATIONS))}"
        )
    if field.classification in PERSONAL and field.treatment == "keep":
        defects.add(place, "personal data needs a treatment other than keep")
    if field.classification == "secret" and field.treatment not in {"drop", "mask"}:
        defects.add(place, "a secret must be dropped or masked")
    _check_treatment(field, custom)
    _check_hashes(field, prop, path, defects)


def _check_treatment(field: Field, custom: Properties) -> None:
    if not fits(field.treatment, field.type):
        custom.fault("treatment", f"`{field.treatment}` cannot be applied to {field.type}")
    if (field.treatment in KEYED) != bool(field.domain):
        custom.fault("domain", f"is needed by {', '.join(KEYED)}, and by nothing else")
    if field.domain and not DOMAIN.fullmatch(field.domain):
        custom.fault("domain", f"must match {DOMAIN.pattern}")
    if field.key_scope == "subject" and field.treatment not in OF_PERSONS:
        custom.fault("keyScope", f"subject belongs to {' and '.join(OF_PERSONS)}")


def _check_hashes(field: Field, prop: Mapping[str, Any], path: Path, defects: Defects) -> None:
    derived = prop.get("transformLogic")
    if isinstance(derived, str) and makes_hash(derived):
        defects.add((*path, "transformLogic"), f"makes a hash of values: {REVERSIBLE}")
    names = (field.name, *(steps[-1] for steps in field.paths))
    if field.treatment in {"keep", "scan"} and any(map(_HASH_OF_PERSON.search, map(_snake, names))):
        defects.add(
            path, f"`{field.name}` by its name holds a hash of a personal value: {REVERSIBLE}, or drop"
        )


def _snake(name: str) -> str:
    """`userNameHash` as `user_Name_Hash`, so that its words can be told apart."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


def subject(custom: Properties, fields: Sequence[Field]) -> tuple[SubjectField, ...]:
    """`subject`: the fields that tell of which person a row is, each a name or `{field, part}`."""
    by_name = {field.name: field for field in fields}
    found = tuple(_subject_field(item, custom, by_name) for item in custom.items("subject"))
    if len({item.name for item in found}) != len(found):
        custom.fault("subject", "names one field twice")
    scoped = [field.name for field in fields if field.key_scope == "subject"]
    if scoped and not found:
        custom.fault("subject", f"must name the fields that identify the person; `{scoped[0]}` needs it")
    if found and not scoped:
        custom.fault("subject", "is of no use: no field has the keyScope subject")
    return found


def _subject_field(item: Any, custom: Properties, fields: Mapping[str, Field]) -> SubjectField:
    entry = {"field": item} if isinstance(item, str) else item
    if not isinstance(entry, dict) or not entry.keys() <= {"field", "part"}:
        custom.fault("subject", "must be a list of names of fields, or of {field, part}")
        return SubjectField("")
    name, part = entry.get("field"), entry.get("part", "whole")
    field = fields.get(name) if isinstance(name, str) else None
    if field is None or field.type != "string" or field.treatment in {"keep", "scan", "truncate_ip"}:
        custom.fault(
            "subject", f"names `{name}`, which is no string field that is made a pseudonym or dropped"
        )
    if part not in {"whole", "last"}:
        custom.fault("subject", f"part of `{name}` is `{part}`; allowed: whole, last")
    return SubjectField(str(name), part)
