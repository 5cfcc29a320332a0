r"""Regular expressions that mean the same in RE2 (DuckDB), Rust's regex (Polars) and Python.

Charter: translate the one shorthand that has a common meaning (`\d`), refuse everything on which the
engines differ. What is left was fuzzed for agreement, see `tests/properties/test_rules_agree.py`.
"""

from __future__ import annotations

import re
from typing import Final

MAX_PATTERN: Final = 1_000
MAX_REPEAT: Final = 1_000  # RE2 refuses more
_ESCAPABLE: Final = frozenset(r"\.^$|?*+()[]{}-/\"'@&~#%:;,=<>!`")
_CLASS_OPERATORS: Final = ("&&", "--", "~~")  # set operations in Rust, plain characters in RE2


def portable_pattern(pattern: str) -> str:
    r"""The pattern with `\d` spelled out, if every engine reads it alike.

    Raises:
        ValueError: the pattern does not compile, or holds a construct that engines read differently.
    """
    if not pattern or len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern has 1 to {MAX_PATTERN} characters")
    translated = _translate(pattern)
    for count in re.findall(r"\{([0-9]*),?([0-9]*)\}", translated):
        if any(bound and int(bound) > MAX_REPEAT for bound in count):
            raise ValueError(f"a repetition of more than {MAX_REPEAT} is not portable")
    import polars as pl

    try:
        re.compile(translated)
        pl.Series([""], dtype=pl.String).str.contains(translated, strict=True)
    except (re.error, pl.exceptions.ComputeError) as error:
        raise ValueError(f"the pattern does not compile: {str(error).splitlines()[0]}") from error
    return translated


def _translate(pattern: str) -> str:
    out: list[str] = []
    in_class = False
    index = 0
    while index < len(pattern):
        char = pattern[index]
        if char == "\\":
            index += 1
            out.append(_escape(pattern[index : index + 1], in_class=in_class))
        else:
            if in_class:
                _refuse_in_class(pattern, index)
            else:
                _refuse_outside(pattern, index)
            in_class = char == "[" if not in_class else char != "]"
            out.append(char)
        index += 1
    return "".join(out)


def _escape(char: str, *, in_class: bool) -> str:
    if char == "d":
        return "0-9" if in_class else "[0-9]"
    if char not in _ESCAPABLE:
        raise ValueError(
            f"`\\{char}` is not portable; write the characters as a class, for example [A-Za-z0-9_]"
        )
    return f"\\{char}"


def _refuse_outside(pattern: str, index: int) -> None:
    if pattern.startswith("(?", index):
        raise ValueError("`(?` groups and flags are not portable; use plain groups")
    if pattern.startswith(("[]", "[^]"), index):
        raise ValueError("`]` as the first character of a class is not portable; escape it")
    if pattern.startswith("{,", index):
        raise ValueError("`{,n}` is not portable; write {0,n}")
    if pattern[index : index + 2] in {"*+", "++", "?+", "}+"}:
        raise ValueError("possessive repetition is not portable")


def _refuse_in_class(pattern: str, index: int) -> None:
    if pattern[index] == "[":
        raise ValueError("`[` inside a class is not portable; escape it")
    if any(pattern.startswith(operator, index) for operator in _CLASS_OPERATORS):
        raise ValueError("`&&`, `--` and `~~` inside a class are not portable; escape the characters")
