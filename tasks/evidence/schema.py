"""Checks parsed JSON against the type annotations that the rest of the code is checked with.

Understands what the sealed format needs: `TypedDict` (exactly its keys), `list`, `dict[str, ...]`, unions,
`Literal`, `bool`, `int` (within 2**53-1 already), `str`, and `Annotated[str, Form(...)]`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict


@dataclass(frozen=True, slots=True)
class Form:
    """The pattern of a whole string, and its name for messages."""

    name: str
    pattern: str


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The lowest allowed integer."""

    minimum: int


Count = Annotated[int, AtLeast(0)]
Digest = Annotated[str, Form("64 hex digits", r"[0-9a-f]{64}")]
Date = Annotated[str, Form("YYYY-MM-DD", r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")]
Instant = Annotated[
    str,
    Form(
        "YYYY-MM-DDThh:mm:ssZ",
        r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z",
    ),
]

_ROOT: Final = "value"


def check(value: object, annotation: Any, where: str = _ROOT) -> None:
    """Check `value` against `annotation`.

    Raises:
        ValueError: where it differs; the message holds key names of the annotation, but no value.
    """
    origin = get_origin(annotation)
    if is_typeddict(annotation):
        _check_object(value, annotation, where)
    elif origin is Annotated:
        base, rule = get_args(annotation)
        check(value, base, where)
        _check_rule(value, rule, where)
    elif origin is list:
        _expect(type(value) is list, where, "a list")
        for index, item in enumerate(value):  # type: ignore[arg-type, var-annotated]
            check(item, get_args(annotation)[0], f"{where}[{index}]")
    elif origin is dict:
        _expect(type(value) is dict, where, "an object")
        for item in value.values():  # type: ignore[attr-defined]
            check(item, get_args(annotation)[1], f"{where}.*")
    elif origin in (Union, UnionType):
        _check_union(value, get_args(annotation), where)
    elif origin is Literal:
        _expect(value in get_args(annotation), where, "one of " + ", ".join(map(str, get_args(annotation))))
    else:
        _expect(type(value) is annotation, where, getattr(annotation, "__name__", "null"))


def _check_object(value: object, annotation: Any, where: str) -> None:
    hints = _hints(annotation)
    if type(value) is not dict:
        raise ValueError(f"{where} is not an object")
    if missing := hints.keys() - value.keys():
        raise ValueError(f"{where} lacks {', '.join(sorted(missing))}")
    if unknown := value.keys() - hints.keys():
        raise ValueError(f"{where} has {len(unknown)} unknown keys")
    for key, hint in hints.items():
        check(value[key], hint, f"{where}.{key}")


def _check_union(value: object, members: tuple[Any, ...], where: str) -> None:
    faults: list[ValueError] = []
    for member in members:
        try:
            check(value, member, where)
        except ValueError as fault:
            faults.append(fault)
        else:
            return
    raise faults[0]


def _check_rule(value: object, rule: Form | AtLeast, where: str) -> None:
    match rule:
        case Form(name, pattern):
            _expect(re.fullmatch(pattern, str(value)) is not None, where, name)
        case AtLeast(minimum):
            _expect(isinstance(value, int) and value >= minimum, where, f"at least {minimum}")


def _expect(holds: bool, where: str, what: str) -> None:
    if not holds:
        raise ValueError(f"{where} is not {what}")


@lru_cache
def _hints(annotation: Any) -> dict[str, Any]:
    return get_type_hints(annotation, include_extras=True)
