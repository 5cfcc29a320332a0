"""`indelible status` says at a glance whether it works, and names the next step where it does not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows import glance, pipeline
from flows.cli.app import app
from tasks.storage.local import LocalStore
from tests.support.deployment import deployment

FACTS = ["waiting, app", "last checkpoint", "quarantine", "last audit", "ends first"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    return tmp_path


def land(place: Path, name: str, *extra: str) -> None:
    lines = [json.dumps({"time": "2026-11-02T10:00:00Z", "message": f"{name} {n}"}) for n in range(50)]
    (place / "app" / name).write_text("\n".join([*lines, *extra]) + "\n")


def facts(place: Path) -> dict[str, glance.Fact]:
    return {fact.about: fact for fact in glance.glance(runtime(place))}


def runtime(place: Path, **settings: Any) -> Any:
    return deployment(
        LocalStore(place / "store"), place / "state", {"app": (place / "app").as_uri()}, **settings
    )


def test_what_waits_is_shown_until_it_is_sealed(place: Path) -> None:
    land(place, "1.ndjson")
    os.utime(place / "app" / "1.ndjson", (0, 0))
    before = facts(place)["waiting, app"]
    assert (before.good, before.step) == (False, "indelible deliver app")
    assert before.says.startswith("1 drop, ")

    pipeline.deliver(runtime(place), "app")

    after = facts(place)
    assert list(after) == FACTS
    assert {about for about, fact in after.items() if not fact.good} == set()
    assert after["waiting, app"].says == "nothing: every drop is sealed"
    assert after["last checkpoint"].says.startswith("signs 3 of 3 log entries of")


def test_open_quarantine_and_unsigned_entries_ask_for_somebody(place: Path) -> None:
    land(place, "1.ndjson", "broken")
    real = runtime(place)
    with real.catalog() as catalog:
        for drops in pipeline.find_new(real, "app", pipeline.Window(), catalog):
            pipeline.deliver_batch(real, "app", drops, catalog)
    found = facts(place)
    assert found["quarantine"].says.startswith("1 line open (1 of app), the oldest for ")
    assert found["quarantine"].step == "indelible quarantine list"
    assert not found["last checkpoint"].good


def test_a_landing_place_that_is_gone_is_a_fact(place: Path) -> None:
    (place / "app").rmdir()
    found = facts(place)["waiting, app"]
    assert not found.good
    assert "cannot be listed" in found.says


def test_the_command_shows_it_in_a_hundred_columns(place: Path) -> None:
    land(place, "1.ndjson", "broken")
    environment = {
        "INDELIBLE_STATE": str(place / "state"),
        "INDELIBLE_STORE__URI": (place / "store").as_uri(),
        "INDELIBLE_LANDING__URIS": json.dumps({"app": (place / "app").as_uri()}),
    }
    pipeline.deliver(runtime(place), "app")
    text = CliRunner().invoke(app, ["status"], env=environment).stdout
    assert "somebody should look at 1 of 5" in text
    assert text.splitlines()[-1] == "next: indelible quarantine list"
    assert max(len(line) for line in text.splitlines()[1:]) <= 100
    shown = json.loads(CliRunner().invoke(app, ["status", "--json"], env=environment).stdout)
    assert [fact["about"] for fact in shown["glance"]] == FACTS


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (1, "1 second"), (3599, "59 minutes"), (7200, "2 hours"), (9e7, "1,041 days")],
)
def test_spans_are_told_in_the_largest_unit(seconds: float, words: str) -> None:
    assert glance.span(seconds) == words
