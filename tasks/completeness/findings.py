"""What can be wrong with completeness: each code with the one verdict that it always has, and what to do.

Verdicts are those of `tasks.verify`. FORMAT.md, section 5.7, lists the codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from tasks.completeness.intervals import Interval
from tasks.evidence.completeness_entry import GapLine, moment
from tasks.evidence.terms import instant

DROP_VANISHED: Final = "drop-vanished"
DROP_CHANGED: Final = "drop-changed"
DROP_UNSEALED: Final = "drop-unsealed"
DAY_MISSING: Final = "day-missing"
EVENT_GAP: Final = "event-gap"
SILENCE: Final = "silence"
VOLUME_LOW: Final = "volume-low"
HEARTBEAT_MISSING: Final = "heartbeat-missing"

_SECOND: Final = timedelta(seconds=1)
_SOURCE: Final = (
    "Ask the source's owner whether it was quiet. If drops come late, deliver them; if not, "
    "explain the gap: indelible completeness approve"
)
CODES: Final = MappingProxyType(
    {
        DROP_VANISHED: (
            "missing",
            "a drop was in a landing inventory; now it is neither sealed nor in the landing place",
            "Look for it in the landing bucket's versions and at its origin, put it back and deliver.",
        ),
        DROP_CHANGED: (
            "changed",
            "under one key there were two contents: sealed, in an inventory, or in the landing place",
            "Compare the drop with its origin and find out who wrote it anew.",
        ),
        DROP_UNSEALED: (
            "not-sealed-yet",
            "a drop has been in the landing place for longer than the contract's latency",
            "Deliver it: indelible completeness reconcile",
        ),
        DAY_MISSING: ("missing", "no event of at least one whole day of UTC", _SOURCE),
        EVENT_GAP: ("missing", "no event for longer than the contract allows", _SOURCE),
        SILENCE: ("missing", "no drop for longer than the contract's frequency", _SOURCE),
        VOLUME_LOW: (
            "missing",
            "an interval with less than the contract's share of its usual records",
            _SOURCE,
        ),
        HEARTBEAT_MISSING: (
            "not-measured",
            "no heartbeat covers a time for which one is due",
            "Seal what is due: indelible completeness heartbeat",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is open until it is mended or explained.

    Attributes:
        code: one of `CODES`.
        interval: when.
        key: the drop, where it is about one.
        sentence: what was found, for people.
        gap: `<shard>-<entry>` of the gap entry that explains it; empty while it is open.
    """

    code: str
    interval: Interval
    key: str | None
    sentence: str
    gap: str = ""

    @property
    def verdict(self) -> str:
        """`changed`, `missing`, `not-sealed-yet` or `not-measured`."""
        return CODES[self.code][0]

    @property
    def next_step(self) -> str:
        """What to do about it; nothing when it is explained."""
        return "" if self.gap else CODES[self.code][2]

    def line(self) -> GapLine:
        """As it stands in the list of a gap entry. Times are widened to whole seconds."""
        since, until = self.interval.since, self.interval.until
        if until.microsecond:
            until = until.replace(microsecond=0) + _SECOND
        return {"code": self.code, "key": self.key, "since": instant(since), "until": instant(until)}

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            **self.line(),
            "sentence": self.sentence,
            "verdict": self.verdict,
            "gap": self.gap or None,
            "next_step": self.next_step,
        }


class Explanations:
    """The lines of the gap entries of one source."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str | None], list[tuple[Interval, str]]] = {}

    def add(self, gap: str, line: GapLine) -> None:
        """Take in one line of the gap entry `gap`."""
        interval = Interval(moment(line["since"]), moment(line["until"]))
        self._lines.setdefault((line["code"], line["key"]), []).append((interval, gap))

    def of(self, finding: Finding) -> str:
        """The gap entry that explains a finding: equal in code and drop, and no shorter in time."""
        known = self._lines.get((finding.code, finding.key), ())
        return next((gap for interval, gap in known if interval.holds(finding.interval)), "")
