"""From a schema-valid ODCS document to a `Contract`: what Indelible asks beyond the standard.

Charter: read the properties that `data_contracts/README.md` documents, refuse every other one, and note
each defect with its place. A typing error in a contract must never weaken a treatment or a rule in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast, get_args

from tasks.contracts import privacy
from tasks.contracts.document import Defects, Path
from tasks.contracts.model import Drift, Field, FieldType, WireFormat
from tasks.contracts.properties import Properties

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
RESERVED: Final = frozenset({"source", "event_date"})  # Hive partition columns of the sealed files
TIME_FORMATS: Final = ("rfc3339", "clf", "epoch_s", "epoch_ms")
ACCESS_COLUMNS: Final = ("actor", "action", "resource", "outcome", "source_address")
MAX_RETENTION_DAYS: Final = 36_500
_CLASS: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_DRIVER: Final = re.compile(r"[a-z]{0,30}")
_DAYS: Final = {"d": 1, "day": 1, "days": 1, "y": 365.25, "yr": 365.25, "year": 365.25, "years": 365.25}
_SCHEMA_PROPERTIES: Final = frozenset(
    {
        "formats", "timeField", "recordKey", "drift", "landingInclude", "landingExclude", "accessEvents",
        "subject",
    }
)  # fmt: skip
_FIELD_PROPERTIES: Final = frozenset(
    {"paths", "treatment", "domain", "keyScope", "lenient", "nulls", "timeFormats"}
)


def schema_properties(schema: Mapping[str, Any], path: Path, defects: Defects) -> Properties:
    """The extensions of the one schema object."""
    return Properties(schema, path, _SCHEMA_PROPERTIES, defects)


def build_fields(schema: Mapping[str, Any], path: Path, defects: Defects) -> tuple[Field, ...]:
    """The columns that the schema object declares, in its order."""
    fields: list[Field] = []
    names: set[str] = set()
    places: dict[tuple[str, ...], str] = {}
    for index, prop in enumerate(schema.get("properties") or []):
        place = (*path, "properties", index)
        field = _build_field(prop, place, defects)
        if field.name.lower() in names:  # DuckDB compares names without case
            defects.add(place, f"field name `{field.name}` stands twice")
        names.add(field.name.lower())
        for steps in field.paths:
            if places.setdefault(steps, field.name) != field.name:
                defects.add(place, f"path {list(steps)} belongs to `{places[steps]}` already")
        fields.append(field)
    if not fields:
        defects.add(path, "the schema has no properties")
    return tuple(fields)


def _build_field(prop: Mapping[str, Any], path: Path, defects: Defects) -> Field:
    name = prop["name"]
    custom = Properties(prop, path, _FIELD_PROPERTIES, defects)
    if not NAME.fullmatch(name) or name.lower() in RESERVED:
        defects.add(
            (*path, "name"), f"`{name}` must match {NAME.pattern} and not be {' or '.join(sorted(RESERVED))}"
        )
    for refused in ("unique", "quality", "properties"):
        if prop.get(refused):
            defects.add((*path, refused), "not supported on a field; see data_contracts/README.md")
    field = Field(
        name=name,
        type=_field_type(prop, path, defects),
        paths=custom.paths(name),
        required=bool(prop.get("required", False)),
        lenient=custom.flag("lenient"),
        nulls=custom.texts("nulls"),
        time_formats=custom.texts("timeFormats"),
        treatment=privacy.treatment(custom),
        domain=custom.text("domain"),
        key_scope=privacy.key_scope(custom),
        classification=prop.get("classification", ""),
        description=prop.get("description", ""),
    )
    _check_reading(field, custom)
    privacy.check_field(field, prop, custom, path, defects)
    return field


def _field_type(prop: Mapping[str, Any], path: Path, defects: Defects) -> FieldType:
    logical = prop.get("logicalType")
    if logical == "array":
        return "strings" if (prop.get("items") or {}).get("logicalType") == "string" else "json"
    if logical == "object":
        return "json"
    if logical in {"string", "integer", "number", "boolean", "timestamp"}:
        return cast(FieldType, logical)
    defects.add((*path, "logicalType"), f"`{logical}` is not a type of a sealed column")
    return "string"


def _check_reading(field: Field, custom: Properties) -> None:
    if field.type == "timestamp":
        if not field.time_formats or not set(field.time_formats) <= set(TIME_FORMATS):
            custom.fault("timeFormats", f"must name one or more of {', '.join(TIME_FORMATS)}")
    elif field.time_formats:
        custom.fault("timeFormats", "belongs to a timestamp only")
    if field.lenient and field.type in {"json", "strings"}:
        custom.fault("lenient", f"has no meaning for {field.type}")
    if field.nulls and field.type in {"json", "strings"}:
        custom.fault("nulls", f"has no meaning for {field.type}")


def formats(custom: Properties) -> tuple[WireFormat, ...]:
    """The wire formats, of which `cloudtrail` stands alone: it is no line format."""
    found = custom.texts("formats")
    if not found or not set(found) <= set(get_args(WireFormat)):
        custom.fault("formats", f"must name one or more of {', '.join(get_args(WireFormat))}")
    elif "cloudtrail" in found and len(found) > 1:
        custom.fault("formats", "cannot mix cloudtrail with line formats")
    return cast(tuple[WireFormat, ...], found)


def drift(custom: Properties) -> Drift:
    """What happens to fields that the contract does not name."""
    return cast(Drift, custom.choice("drift", get_args(Drift), "quarantine"))


def time_field(custom: Properties, fields: Mapping[str, Field]) -> str:
    """The field that decides the event date: a required timestamp, kept as it is."""
    name = custom.text("timeField")
    field = fields.get(name)
    if field is None or field.type != "timestamp" or not field.required or field.treatment != "keep":
        custom.fault("timeField", "must name a required timestamp field with treatment keep")
    return name


def record_key(custom: Properties, fields: Mapping[str, Field]) -> tuple[str, ...]:
    """The fields that identify a record."""
    names = custom.texts("recordKey")
    for name in names:
        if name not in fields:
            custom.fault("recordKey", f"names `{name}`, which is no field")
        elif fields[name].type not in {"string", "integer"}:
            custom.fault("recordKey", f"names `{name}`, which is neither a string nor an integer")
    return names


def access_events(custom: Properties) -> dict[str, str]:
    """SQL of each column that the source gives to the `access_events` view."""
    found = custom.mapping("accessEvents")
    if set(found) != set(ACCESS_COLUMNS):
        custom.fault("accessEvents", f"must give exactly {', '.join(ACCESS_COLUMNS)}")
    for column, sql in found.items():
        if not isinstance(sql, str) or not sql.strip() or ";" in sql:
            custom.fault("accessEvents", f"`{column}` must be one SQL expression")
        elif privacy.makes_hash(sql):
            custom.fault("accessEvents", f"`{column}` makes a hash of values: {privacy.REVERSIBLE}")
    return {column: str(sql).strip() for column, sql in found.items()}


def threshold(custom: Properties) -> float:
    """`quarantineThresholdPct`: share of failed rows, in percent, above which a batch is held."""
    value = custom.number("quarantineThresholdPct")
    if value is None or not 0 <= value <= 100:
        custom.fault("quarantineThresholdPct", "must be a number from 0 to 100")
        return 0.0
    return float(value)


def document_properties(document: Mapping[str, Any], defects: Defects) -> Properties:
    """The extensions of the document as a whole."""
    return Properties(
        document, (), ("quarantineThresholdPct", "retentionClass", "rhythm", "processing"), defects
    )


def retention_class(custom: Properties) -> str:
    """`retentionClass`: the name under which a length of retention goes in the log."""
    name = custom.text("retentionClass") or "standard"
    if not _CLASS.fullmatch(name):
        custom.fault("retentionClass", f"must match {_CLASS.pattern}")
    return name


def retention(
    document: Mapping[str, Any], defects: Defects
) -> tuple[tuple[tuple[str, int], ...], int | None]:
    """Minimums, as (driver, days), and the maximum: SLA properties `retention` and `retentionMaximum`."""
    properties = list(enumerate(document.get("slaProperties") or []))
    minimums: dict[str, int] = {}
    for index, entry in properties:
        driver = str(entry.get("driver", ""))
        if entry["property"] != "retention":
            continue
        if driver in minimums or not _DRIVER.fullmatch(driver):
            defects.add(("slaProperties", index), f"retention needs a driver of its own, {_DRIVER.pattern}")
        minimums[driver] = _days(entry, index, defects)
    if not minimums:
        defects.add(("slaProperties",), "there must be at least one property `retention`")
    maximums = [(i, e) for i, e in properties if e["property"] == "retentionMaximum"]
    if len(maximums) > 1 or any(entry.get("driver") != "privacy" for _, entry in maximums):
        defects.add(("slaProperties",), "there may be one `retentionMaximum`, with driver privacy")
    maximum = _days(maximums[0][1], maximums[0][0], defects) if maximums else None
    longest = max(minimums.values(), default=0)
    if maximum and longest > maximum:
        defects.add(
            ("slaProperties", maximums[0][0]),
            f"retention of at least {longest} days contradicts retentionMaximum of {maximum} days",
        )
    return tuple(sorted(minimums.items())), maximum


def _days(entry: Mapping[str, Any], index: int, defects: Defects) -> int:
    """Days of an SLA property; a fraction is rounded up."""
    name, value, unit = entry["property"], entry["value"], _DAYS.get(str(entry.get("unit")))
    if unit is None or isinstance(value, bool) or not isinstance(value, int):
        defects.add(("slaProperties", index), f"{name} needs a whole number and a unit of d or y")
        return 0
    days = -int(-value * unit // 1)
    if not 1 <= days <= MAX_RETENTION_DAYS:
        defects.add(("slaProperties", index), f"{name} must be 1 to {MAX_RETENTION_DAYS} days")
    return days
