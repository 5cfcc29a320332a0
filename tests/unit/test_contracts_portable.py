from __future__ import annotations

import pytest

from tasks.contracts.portable import portable_pattern


@pytest.mark.parametrize(
    ("pattern", "portable"),
    [
        (r"^\d{12}$", "^[0-9]{12}$"),
        (r"^[\d-]+$", "^[0-9-]+$"),
        (r"^a\.b(c|d)?$", r"^a\.b(c|d)?$"),
        (r"^[^\]\[]*$", r"^[^\]\[]*$"),
    ],
)
def test_digits_are_spelled_out_and_the_rest_is_kept(pattern: str, portable: str) -> None:
    assert portable_pattern(pattern) == portable


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "",
            r"\w",
            r"\s",
            r"\bx",
            r"x\Z",
            r"\D",
            r"[\w]",
            r"\x41",
            r"\p{L}",
            r"(?i)x",
            r"(?:x)",
            r"(?=x)",
            "(x)\\1",
        ),
        *(
            "[[:alpha:]]",
            "[a&&b]",
            "[a--b]",
            "[]x]",
            "[^]x]",
            "x*+",
            "x++",
            "x{2}+",
            "x{,3}",
            "x{1001}",
            "(",
            "x)",
        ),
        *("a" * 1001, "\\", "(x)\\1", "(", "x)"),
    ],
)
def test_what_engines_read_differently_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"portable|compile|characters"):
        portable_pattern(pattern)
