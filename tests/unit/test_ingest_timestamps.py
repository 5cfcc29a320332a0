"""Times are read by anchored forms only, and to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from tasks.ingest import timestamps

ALL = ("rfc3339", "clf", "epoch_s", "epoch_ms")


def parsed(*texts: str | None) -> list[datetime | None]:
    return timestamps.parse(pl.Series(texts, dtype=pl.String), ALL).to_list()


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2023-07-10T11:42:31Z", "2023-07-10T11:42:31+00:00"),
        ("2023-07-10t11:42:31z", "2023-07-10T11:42:31+00:00"),
        ("2023-07-10 11:42:31+02:00", "2023-07-10T09:42:31+00:00"),
        ("2023-07-10T11:42:31.5-05:30", "2023-07-10T17:12:31.500000+00:00"),
        ("2023-07-10T11:42:31.123456789Z", "2023-07-10T11:42:31.123456+00:00"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00+00:00"),
        ("17/May/2015:10:05:03 +0000", "2015-05-17T10:05:03+00:00"),
        ("17/May/2015:10:05:03 -0130", "2015-05-17T11:35:03+00:00"),
        ("1678451388", "2023-03-10T12:29:48+00:00"),
        ("1678451388.25", "2023-03-10T12:29:48.250000+00:00"),
        ("1678451388661", "2023-03-10T12:29:48.661000+00:00"),
        ("-1.5", "1969-12-31T23:59:58.500000+00:00"),
        ("0", "1970-01-01T00:00:00+00:00"),
    ],
)
def test_known_forms(text: str, iso: str) -> None:
    # A second form in the same column must not change the first.
    assert parsed(text, None, "2020-01-01T00:00:00.1Z")[0] == datetime.fromisoformat(iso)
    assert parsed(text) == [datetime.fromisoformat(iso)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2023-02-30T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "2023-01-01T24:00:00Z",
        "2023-01-01T23:60:00Z",
        "2016-12-31T23:59:60Z",
        "2023-01-01T00:00:00",
        "2023-01-01T00:00:00+24:00",
        "2023-01-01T00:00:00Z ",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "31/Feb/2015:10:05:03 +0000",
        "17/Mai/2015:10:05:03 +0000",
        "17/May/2015:10:05:03",
        "1e9",
        "999999999999999999",
        "٢٠٢٣-01-01T00:00:00Z",
    ],
)
def test_everything_else_is_no_time(text: str) -> None:
    assert parsed(text, "2020-01-01T00:00:00.1Z")[0] is None


def test_only_the_named_forms_are_tried() -> None:
    column = pl.Series(["2023-07-10T11:42:31Z", "1678451388"])
    assert timestamps.parse(column, ("epoch_s",)).to_list() == [
        None,
        datetime(2023, 3, 10, 12, 29, 48, tzinfo=UTC),
    ]
