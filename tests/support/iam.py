"""How AWS decides: an explicit Deny wins, then an Allow of the identity, else refused. Only what our policies use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

Statement = Mapping[str, Any]


def allows(
    identity: Iterable[Statement],
    bucket: Iterable[Statement],
    action: str,
    resource: str,
    context: Mapping[str, str],
) -> bool:
    """Whether a principal with `identity`'s statements may do `action` in a bucket with `bucket`'s.

    A bucket policy of ours only denies, so it never adds a permission.
    """
    identity, bucket = list(identity), list(bucket)
    assert all(statement["Effect"] == "Deny" and statement["Principal"] == "*" for statement in bucket)
    matching = [s for s in (*identity, *bucket) if _applies(s, action, resource, context)]
    effects = {statement["Effect"] for statement in matching}
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: Statement, action: str, resource: str, context: Mapping[str, str]) -> bool:
    assert statement.keys() <= {
        "Sid",
        "Effect",
        "Principal",
        "Action",
        "Resource",
        "NotResource",
        "Condition",
    }
    if not any(_like(pattern, action) for pattern in _several(statement["Action"])):
        return False
    if "NotResource" in statement:
        if any(_like(pattern, resource) for pattern in _several(statement["NotResource"])):
            return False
    elif not any(_like(pattern, resource) for pattern in _several(statement["Resource"])):
        return False
    return all(
        _holds(operator, context.get(key), _several(values))
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _holds(operator: str, value: str | None, wanted: list[str]) -> bool:
    """One condition; a missing key fails all but `Null`, `...IfExists` and the negated operators."""
    if operator == "Null":
        return (value is None) == (wanted == ["true"])
    if value is None:
        return operator.endswith("IfExists") or "Not" in operator
    match operator.removesuffix("IfExists"):
        case "Bool":
            return value in wanted
        case "StringLike":
            return any(_like(pattern, value) for pattern in wanted)
        case "StringNotEquals":
            return value not in wanted
        case "ArnNotLike":
            return not any(_like(pattern, value) for pattern in wanted)
        case "NumericGreaterThan":
            return float(value) > float(wanted[0])
        case "NumericLessThan":
            return float(value) < float(wanted[0])
    raise AssertionError(f"this evaluator does not know {operator}")


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _like(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern), re.DOTALL)
