"""The rhythm that a source is expected to keep: how often drops come, how late, and how steady its events are.

`frequency` and `latency` are SLA properties of the Open Data Contract Standard; what it has no word for stands
in the custom property `rhythm`. Documented in `data_contracts/README.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, cast

from tasks.contracts.document import Defects
from tasks.contracts.properties import Properties

IntervalKind = Literal["hour", "day"]
LENGTHS: Final[Mapping[IntervalKind, timedelta]] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_UNITS: Final = {
    **dict.fromkeys(("min", "minute", "minutes"), timedelta(minutes=1)),
    **dict.fromkeys(("h", "hr", "hour", "hours"), timedelta(hours=1)),
    **dict.fromkeys(("d", "day", "days"), timedelta(days=1)),
}
_LONGEST: Final = timedelta(days=400)
_KEYS: Final = ("interval", "maxEventGapMinutes", "minVolumePct")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What is expected of a source.

    Attributes:
        interval: what one heartbeat is about: an hour or a day, UTC.
        frequency: at least one drop comes in each stretch of this length.
        latency: a drop comes, and is sealed, at most so long after the time that its name says.
        max_event_gap: longest time without an event; None: any.
        min_volume_pct: an interval has at least this share, in percent, of its usual records; None: any.
    """

    interval: IntervalKind
    frequency: timedelta
    latency: timedelta
    max_event_gap: timedelta | None = None
    min_volume_pct: float | None = None


def rhythm(document: Mapping[str, Any], custom: Properties, defects: Defects) -> Rhythm | None:
    """The expected rhythm, or None where the contract says nothing of it."""
    given = custom.mapping("rhythm")
    frequency, latency = (_duration(document, name, defects) for name in ("frequency", "latency"))
    if not given and frequency is None and latency is None:
        return None
    if not given or frequency is None or latency is None:
        custom.fault("rhythm", "and the SLA properties `frequency` and `latency` need each other")
        return None
    if unknown := sorted(set(given) - set(_KEYS)):
        custom.fault("rhythm", f"has unknown keys: {', '.join(unknown)}; known: {', '.join(_KEYS)}")
    interval = given.get("interval", "hour")
    if interval not in LENGTHS:
        custom.fault("rhythm", f"interval must be one of {', '.join(LENGTHS)}")
        return None
    longest = _number(given, "maxEventGapMinutes", 60 * 24 * 400, custom)
    return Rhythm(
        interval=cast("IntervalKind", interval),
        frequency=frequency,
        latency=latency,
        max_event_gap=None if longest is None else timedelta(minutes=longest),
        min_volume_pct=_number(given, "minVolumePct", 100, custom),
    )


def _duration(document: Mapping[str, Any], name: str, defects: Defects) -> timedelta | None:
    """An SLA property that is a length of time."""
    found = [(i, e) for i, e in enumerate(document.get("slaProperties") or []) if e["property"] == name]
    for index, entry in found:
        value, unit = entry["value"], _UNITS.get(str(entry.get("unit")))
        if len(found) > 1 or unit is None or isinstance(value, bool) or not isinstance(value, int):
            defects.add(("slaProperties", index), f"{name} must stand once, a whole number of min, h or d")
        elif not timedelta() < value * unit <= _LONGEST:
            defects.add(("slaProperties", index), f"{name} must be 1 min to {_LONGEST.days} d")
        else:
            return value * unit
    return None


def _number(given: Mapping[str, Any], key: str, most: float, custom: Properties) -> float | None:
    value = given.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        custom.fault("rhythm", f"{key} must be a number above 0, at most {most:g}")
        return None
    return float(value)
