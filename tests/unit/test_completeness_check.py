"""Which finding follows from what landed, what is sealed, and what is expected: without any store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.batch import Drop
from tasks.catalog.completeness import Minute, SealedDrop
from tasks.completeness.check import Beat, Observed, check
from tasks.completeness.findings import CODES, Explanations, Finding
from tasks.completeness.intervals import EPOCH, Interval, key_time
from tasks.completeness.inventory import by_key, take_inventory
from tasks.completeness.rhythm import stretches, usual
from tasks.contracts.rhythm import Rhythm

DAY = datetime(2026, 11, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHOLE = Interval(DAY, DAY + 24 * HOUR)
RHYTHM = Rhythm("hour", HOUR, HOUR, max_event_gap=HOUR, min_volume_pct=20)
ALL_HOURS = tuple(range(24))


def us(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def drop(hour: int, etag: str = "e", size: int = 10) -> Drop:
    key = f"2026/11/02/{hour:02d}/log.gz"
    return Drop("s", key, size, etag, None, us(DAY + (hour + 1) * HOUR))


def sealed(hour: int, etag: str = "e", size: int = 10, sha256: str = "x") -> SealedDrop:
    landed = drop(hour)
    return SealedDrop((2026, 1, hour), landed.key, None, etag, landed.modified_us, size, sha256, 5, 4)


def minutes(hours: Sequence[int]) -> list[Minute]:
    """An event each minute of these hours."""
    starts = [us(DAY + hour * HOUR + minute * HOUR / 60) for hour in hours for minute in range(60)]
    return [Minute(1, start, start + 1) for start in starts]


def beats(landed: Sequence[Drop], hours: Sequence[int] = ALL_HOURS) -> list[Beat]:
    """Heartbeats that found drops, none of them sealed."""
    found = []
    for hour in hours:
        interval = Interval(DAY + hour * HOUR, DAY + (hour + 1) * HOUR)
        here = [d for d in landed if interval.covers(key_time(d.key, d.modified_us))]
        found.append(Beat(interval, take_inventory(here, {}, lambda _: "").lines))
    return found


def observed(**changes: Any) -> Observed:
    """A day on which everything came and is sealed."""
    landed = [drop(hour) for hour in ALL_HOURS]
    usual_day: dict[str, Any] = {
        "whole": WHOLE,
        "measured": WHOLE,
        "landed": landed,
        "sealed": by_key(sealed(hour) for hour in ALL_HOURS),
        "beats": beats(landed),
        "began": DAY,
        "minutes": minutes(ALL_HOURS),
        "counts": {},
    }
    return Observed(**{**usual_day, **changes})


def found(
    what: Observed, rhythm: Rhythm = RHYTHM, digest: str = "other", explanations: Explanations | None = None
) -> list[Finding]:
    now = DAY + 26 * HOUR
    return check(what, rhythm, now, lambda _: digest, explanations or Explanations())


def codes(*arguments: Any, **options: Any) -> list[str]:
    return [finding.code for finding in found(*arguments, **options)]


def test_a_day_on_which_everything_came_has_no_finding() -> None:
    assert found(observed()) == []


def test_a_drop_that_was_seen_and_is_nowhere_any_more() -> None:
    known = by_key(sealed(hour) for hour in ALL_HOURS if hour != 7)
    landed = [drop(hour) for hour in ALL_HOURS if hour != 7]
    (finding,) = found(observed(landed=landed, sealed=known, beats=beats([drop(7)])))
    assert (finding.code, finding.verdict, finding.key) == ("drop-vanished", "missing", drop(7).key)
    assert finding.interval == Interval(DAY + 7 * HOUR, DAY + 8 * HOUR)
    assert finding.next_step


def test_a_sealed_drop_may_leave_the_landing_place() -> None:
    assert codes(observed(landed=[drop(hour) for hour in ALL_HOURS if hour != 7])) == []


def test_a_drop_that_is_not_sealed_in_time_and_one_that_is_not_due() -> None:
    known = by_key(sealed(hour) for hour in ALL_HOURS if hour != 7)
    assert codes(observed(sealed=known)) == ["drop-unsealed"]
    fresh = Drop("s", drop(7).key, 10, "e", None, us(DAY + 25.5 * HOUR))
    landed = [fresh if hour == 7 else drop(hour) for hour in ALL_HOURS]
    assert codes(observed(sealed=known, landed=landed, beats=beats(landed))) == []


def test_a_drop_that_was_replaced_after_sealing_before_it_or_between() -> None:
    replaced = [drop(hour, "f" if hour == 7 else "e", 9 if hour == 7 else 10) for hour in ALL_HOURS]
    assert codes(observed(landed=replaced)) == ["drop-changed"]
    assert codes(observed(beats=beats(replaced))) == ["drop-changed"]
    known = by_key(sealed(hour) for hour in ALL_HOURS if hour != 7)
    assert "drop-changed" in codes(observed(landed=replaced, sealed=known))
    twice = by_key([*(sealed(hour) for hour in ALL_HOURS), sealed(7, "f", 10, "y")])
    assert codes(observed(sealed=twice)) == ["drop-changed"]


def test_a_copy_with_another_time_stamp_is_no_change() -> None:
    touched = [drop(hour, "f" if hour == 7 else "e") for hour in ALL_HOURS]
    assert codes(observed(landed=touched), digest="x") == []
    assert codes(observed(landed=touched), digest="other") == ["drop-changed"]


def test_an_hour_without_events_is_one_gap_and_a_day_is_another() -> None:
    rest = [hour for hour in ALL_HOURS if hour != 7]
    lost = observed(
        landed=[drop(hour) for hour in rest],
        sealed=by_key(sealed(hour) for hour in rest),
        beats=beats([]),
        minutes=minutes(rest),
    )
    (finding,) = found(lost)
    assert finding.code == "event-gap"
    assert finding.interval.holds(Interval(DAY + 7 * HOUR, DAY + 8 * HOUR))
    nothing = observed(landed=[], sealed={}, beats=beats([]), minutes=[])
    assert codes(nothing) == ["day-missing"]


def test_silence_is_told_where_events_do_not_show_it() -> None:
    rest = [hour for hour in ALL_HOURS if hour not in (7, 8)]
    quiet = observed(landed=[drop(h) for h in rest], sealed=by_key(map(sealed, rest)), beats=beats([]))
    assert codes(quiet) == ["silence"]
    assert codes(quiet, Rhythm("hour", 3 * HOUR, HOUR, HOUR)) == []


def test_an_hour_far_below_its_usual_volume() -> None:
    counts = {us(DAY + 7 * HOUR): 5, us(DAY + 8 * HOUR): 50}
    counts |= {us(DAY + hour * HOUR - timedelta(days=day)): 100 for hour in (7, 8) for day in (1, 2, 3)}
    (finding,) = found(observed(counts=counts))
    assert (finding.code, finding.interval.since) == ("volume-low", DAY + 7 * HOUR)
    assert codes(observed(counts=counts), Rhythm("hour", HOUR, HOUR, HOUR)) == []


def test_the_usual_is_that_of_the_same_weekday_or_else_of_the_week_before() -> None:
    weeks = {us(DAY - timedelta(weeks=n)): n * 10 for n in (1, 2, 3)}
    days = {us(DAY - timedelta(days=n)): 1_000 for n in range(1, 7)}
    assert usual({**weeks, **days}, DAY) == 20
    assert usual({**days, us(DAY - timedelta(weeks=1)): 10}, DAY) == 1_000
    assert usual({us(DAY - timedelta(days=1)): 7}, DAY) is None


def test_what_no_heartbeat_covers_is_not_measured_and_named_once() -> None:
    landed = [drop(hour) for hour in ALL_HOURS]
    (finding,) = found(observed(beats=beats(landed, [0, 1, 2, 6, *range(7, 24)])))
    assert (finding.code, finding.verdict) == ("heartbeat-missing", "not-measured")
    assert finding.interval == Interval(DAY + 3 * HOUR, DAY + 6 * HOUR)
    assert codes(observed(beats=beats(landed, range(9, 24)), began=DAY + 9 * HOUR)) == []
    assert codes(observed(beats=[], began=None)) == ["heartbeat-missing"]


def test_only_what_was_explained_counts_as_explained() -> None:
    rest = [hour for hour in ALL_HOURS if hour not in (3, 7)]
    lost = observed(minutes=minutes(rest))
    first, second = found(lost)
    explanations = Explanations()
    explanations.add("2026-9", first.line())
    again = found(lost, explanations=explanations)
    assert [finding.gap for finding in again] == ["2026-9", ""]
    assert again[0].next_step == ""
    longer = observed(minutes=minutes([hour for hour in rest if hour != 4]))
    assert [finding.gap for finding in found(longer, explanations=explanations)] == ["", ""]
    assert second.interval.since > first.interval.until


def test_every_code_has_a_verdict_and_a_next_step() -> None:
    assert {verdict for verdict, _, _ in CODES.values()} <= {
        "changed",
        "missing",
        "not-sealed-yet",
        "not-measured",
    }
    assert all(meaning and step for _, meaning, step in CODES.values())


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("AWSLogs/1/us/2026/11/02/123456789012_CloudTrail_us_20261102T0710Z_Ab1.json.gz", (7, 10)),
        ("AWSLogs/1/us/2026/11/02/123456789012_CloudTrail_us_none.json.gz", (0, 0)),
        ("apigw/2026/11/02/07/apigw-access-1-2026-11-02-07-05-00-9f1c.gz", (7, 5)),
        ("nginx/web1/access.log-202611020700-12.gz", (7, 0)),
        ("svc/2026-11-02/0700-12.ndjson.gz", (7, 0)),
        ("svc/2026-11-02T07:45:10Z.json", (7, 45)),
        ("worker/2026-11-02.ndjson", (0, 0)),
        ("2026-11-02/07", (7, 0)),
        ("part-00017.json", (9, 30)),
        ("2026-13-40.json", (9, 30)),
        ("id-120261102071545.json", (9, 30)),
    ],
)
def test_the_time_of_a_drop_is_the_most_exact_that_its_key_names(key: str, expected: tuple[int, int]) -> None:
    hours, more = expected
    landed = us(DAY + timedelta(hours=9, minutes=30))
    assert key_time(key, landed) == DAY + timedelta(hours=hours, minutes=more)


def test_stretches_begin_and_end_with_the_time_looked_at() -> None:
    points = [(DAY + 2 * HOUR, DAY + 3 * HOUR), (DAY + 4 * HOUR, DAY + 22.5 * HOUR)]
    assert list(stretches(points, WHOLE, HOUR)) == [
        Interval(DAY, DAY + 2 * HOUR),
        Interval(DAY + 22.5 * HOUR, DAY + 24 * HOUR),
    ]
    assert list(stretches([], WHOLE, 24 * HOUR)) == []


def test_intervals_are_whole_hours_and_days() -> None:
    odd = Interval(DAY + timedelta(minutes=30), DAY + timedelta(hours=50))
    assert len(list(odd.split("hour"))) == 49
    assert list(odd.split("day")) == [Interval(DAY + 24 * HOUR, DAY + 48 * HOUR)]
