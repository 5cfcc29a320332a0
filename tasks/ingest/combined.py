"""Access log lines of nginx and Apache: the common log format and the combined one.

`host ident user [time] "request" status bytes`, and in the combined format `"referer" "agent"`. Quoted
parts keep their backslash escapes as they stand, because an escaped byte need not be text. A hyphen
means that the server had no value. A line with anything more or less is not of this format.
"""

from __future__ import annotations

import polars as pl

NAMES = (
    "remote_addr",
    "ident",
    "remote_user",
    "time_local",
    "request",
    "status",
    "body_bytes_sent",
    "http_referer",
    "http_user_agent",
)

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
# The user comes from the client and may hold spaces; nothing before it may.
_LINE = (
    rf"^([^ ]+) ([^ ]+) (.+?) \[([^\[\]]+)\] {_QUOTED} ([0-9]{{3}}|-) ([0-9]+|-)(?: {_QUOTED} {_QUOTED})?$"
)


def parse_lines(lines: pl.Series) -> pl.DataFrame:
    """Take access log lines apart.

    Returns:
        A String column for each of `NAMES`, in which a hyphen became null; all null where the line
        is not of this format.
    """
    parts = lines.str.extract_groups(_LINE).struct.unnest()
    parts.columns = list(NAMES)
    return parts.select(pl.when(pl.col(name) != "-").then(pl.col(name)).alias(name) for name in NAMES)


def is_sound(parts: pl.DataFrame) -> pl.Series:
    """Which rows of `parse_lines` are lines of this format; those have a time."""
    return parts["time_local"].is_not_null()
