"""The row rules that a contract states, as SQL predicates that are true for a good row.

Charter: one `Rule` for each constraint of a field and each row rule of the schema. NULL counts as
satisfied everywhere, so that only `required` speaks about absence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast, get_args

from tasks.contracts.document import Defects, Path
from tasks.contracts.model import Field, Rule, Severity
from tasks.contracts.portable import portable_pattern

UNKNOWN_FIELD: Final = "unknown_field"
ENGINE: Final = "indelible"
MAX_RULES: Final = 1_000
MAX_ENUM: Final = 1_000
_ROW_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"pattern", "maxLength"}),
    "integer": frozenset({"minimum", "maximum"}),
}


def build_rules(
    schema: Mapping[str, Any], path: Path, fields: tuple[Field, ...], drift: str, defects: Defects
) -> tuple[Rule, ...]:
    """All rules of the schema object: field by field, then the row rules.

    Args:
        schema: the ODCS schema object.
        path: its place in the document.
        fields: the fields built from it, in the same order.
        drift: the contract's drift policy.
        defects: takes what is wrong.
    """
    rules: list[Rule] = []
    for index, (prop, field) in enumerate(zip(schema.get("properties") or [], fields, strict=True)):
        rules.extend(_field_rules(prop, field, (*path, "properties", index), defects))
    columns = {field.name for field in fields}
    for index, quality in enumerate(schema.get("quality") or []):
        rule = _row_rule(quality, columns, (*path, "quality", index), defects)
        if rule is not None and any(other.id == rule.id for other in rules):
            defects.add((*path, "quality", index), f"rule name `{rule.id}` stands twice")
        if rule is not None:
            rules.append(rule)
    if drift != "evolve":
        rules.append(Rule(UNKNOWN_FIELD, None, "error", "row", '"_extra" IS NULL', {}))
    if len(rules) > MAX_RULES:
        defects.add(path, f"{len(rules)} rules, more than {MAX_RULES}")
    return tuple(rules)


def _field_rules(prop: Mapping[str, Any], field: Field, path: Path, defects: Defects) -> Iterable[Rule]:
    name = f'"{field.name}"'
    if field.required:
        yield _rule(field, "required", f"{name} IS NOT NULL", {})
    options = prop.get("logicalTypeOptions") or {}
    place = (*path, "logicalTypeOptions")
    for option in sorted(set(options) - _OPTIONS.get(field.type, frozenset())):
        defects.add((*place, option), f"`{option}` is not checked for {field.type}; remove it")
    if "pattern" in options:
        try:
            pattern = portable_pattern(options["pattern"])
        except ValueError as error:
            defects.add((*place, "pattern"), str(error))
        else:
            yield _rule(field, "pattern", f"regexp_matches({name}, {_quote(pattern)})", {"pattern": pattern})
    if "maxLength" in options:
        longest = options["maxLength"]
        if not _is_whole(longest) or longest < 1:
            defects.add((*place, "maxLength"), "must be a whole number of at least 1")
        else:
            yield _rule(field, "maxLength", f"length({name}) <= {longest}", {"max": longest})
    yield from _range_rule(field, options, place, defects)
    yield from _enum_rule(field, prop.get("enum") or [], (*path, "enum"), defects)


def _range_rule(field: Field, options: Mapping[str, Any], path: Path, defects: Defects) -> Iterable[Rule]:
    bounds = {"min": options.get("minimum"), "max": options.get("maximum")}
    given = {key: value for key, value in bounds.items() if value is not None}
    if not given or field.type != "integer":
        return
    if not all(_is_whole(value) and abs(value) < 2**53 for value in given.values()):
        defects.add(path, "minimum and maximum must be whole numbers within 2**53-1")
        return
    if len(given) == 2 and given["min"] > given["max"]:
        defects.add(path, "minimum is above maximum")
    operators = {"min": ">=", "max": "<="}
    sql = " AND ".join(f'"{field.name}" {operators[key]} {value}' for key, value in given.items())
    yield _rule(field, "range", sql, given)


def _enum_rule(field: Field, entries: list[dict[str, Any]], path: Path, defects: Defects) -> Iterable[Rule]:
    values = [entry["value"] for entry in entries]
    if not values:
        return
    quote: Callable[[Any], str] = _quote if field.type == "string" else str
    wanted = {"string": str, "integer": int}.get(field.type)
    if wanted is None or not all(type(value) is wanted for value in values) or len(values) > MAX_ENUM:
        defects.add(path, f"must hold at most {MAX_ENUM} strings for a string, or integers for an integer")
        return
    yield _rule(
        field, "enum", f'"{field.name}" IN ({", ".join(map(quote, values))})', {"values": tuple(values)}
    )


def _row_rule(quality: Mapping[str, Any], columns: set[str], path: Path, defects: Defects) -> Rule | None:
    if quality.get("type") == "text":
        return None
    if quality.get("type") != "custom" or quality.get("engine") != ENGINE:
        defects.add(path, f"only `type: text` and `type: custom` with `engine: {ENGINE}` are run")
        return None
    name, sql = quality.get("name", ""), quality.get("implementation")
    severity = quality.get("severity", "error")
    if not _ROW_NAME.fullmatch(name) or name == UNKNOWN_FIELD:
        defects.add(path, f"name must match {_ROW_NAME.pattern} and not be {UNKNOWN_FIELD}")
    if severity not in get_args(Severity):
        defects.add(path, f"severity is `{severity}`; allowed: {', '.join(get_args(Severity))}")
    if not isinstance(sql, str):
        defects.add((*path, "implementation"), "must be one SQL predicate")
        return None
    import polars as pl

    try:
        used = set(pl.sql_expr(sql).meta.root_names())
    except (pl.exceptions.PolarsError, ValueError) as error:
        defects.add((*path, "implementation"), f"no SQL predicate: {str(error).splitlines()[0]}")
        return None
    if not used or not used <= columns:
        unknown = ", ".join(sorted(used - columns)) or "no field"
        defects.add((*path, "implementation"), f"must speak of the contract's fields, but names {unknown}")
    return Rule(name, None, cast(Severity, severity), "row", sql.strip(), {})


def _rule(field: Field, kind: str, sql: str, args: Mapping[str, object]) -> Rule:
    return Rule(f"{field.name}.{kind}", field.name, "error", kind, sql, args)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
