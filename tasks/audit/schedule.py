"""The rolling schedule of digests: 256 slots, each of which is read back once in a period.

Objects are in a slot by the first byte of their digest, so slots are alike in size, new objects need no entry in
any list, and the whole state is which slots an audit in the log has covered, and when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from tasks.evidence.audit_entry import EVERY, SLOTS


def oldest_first(done: Mapping[int, datetime], began: datetime) -> list[int]:
    """All slots, those first that were not read for the longest.

    Args:
        done: slot -> when an audit covered it last.
        began: when the log began; what was never covered counts from there.
    """
    return sorted(range(SLOTS), key=lambda slot: (done.get(slot, began), slot))


def due(done: Mapping[int, datetime], began: datetime, now: datetime, period: timedelta) -> list[int]:
    """The slots for an audit now, the oldest first.

    These are the slots that would be overdue before the next audit, and at least the share of an audit, so that the
    work spreads evenly over a period.

    Args:
        done: slot -> when an audit covered it last.
        began: when the log began.
        now: when the audit begins.
        period: in which each slot is to be read.
    """
    share = -(-SLOTS * EVERY // period) if period > EVERY else SLOTS
    order = oldest_first(done, began)
    urgent = sum(now - done.get(slot, began) > period - EVERY for slot in order)
    return order[: max(urgent, min(share, SLOTS))]


def within(slots: Sequence[int], sizes: Mapping[int, int], budget: int | None) -> list[int]:
    """As many of the slots, in their order, as a budget of bytes allows; None allows all."""
    if budget is None:
        return list(slots)
    taken: list[int] = []
    for slot in slots:
        budget -= sizes.get(slot, 0)
        if budget < 0:
            break
        taken.append(slot)
    return taken


def overdue(
    done: Mapping[int, datetime], began: datetime, now: datetime, period: timedelta, taken: Sequence[int]
) -> list[int]:
    """Slots that were not read for longer than a period and are not read now."""
    return [s for s in range(SLOTS) if s not in set(taken) and now - done.get(s, began) > period]
