"""How much of everything one drop may ask for. Every bound that input could otherwise set itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one drop.

    Attributes:
        max_drop_bytes: decompressed bytes; above this the drop is held whole.
        max_lines: lines or records; above this the drop is held whole.
        max_commas: in a drop that is one JSON document, which bounds its items before they are
            counted; above this the drop is held whole.
        max_line_bytes: bytes of one line or record; a longer one is quarantined.
        max_ratio: decompressed over stored bytes, from `ratio_floor_bytes` of output on.
        ratio_floor_bytes: output that any drop may reach, however well it compresses.
        max_depth: nesting of JSON containers, the record itself counting as one. Well below the
            depth at which parsers give up, so that the verdict never depends on who is asked.
    """

    max_drop_bytes: int = 1 << 30
    max_lines: int = 16_000_000
    max_commas: int = 64_000_000
    max_line_bytes: int = 16 << 20
    max_ratio: int = 200
    ratio_floor_bytes: int = 64 << 20
    max_depth: int = 128
