"""Chains of digests and the drops that they list: each way in which custody breaks has a code and a verdict."""

from __future__ import annotations

import re
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest

from tasks.custody import Checked, Drops, Window, check, read_keys
from tasks.custody.findings import CODES
from tests.support.digests import Trail, check_tree, drops, public_keys, stored_digests

KEYS = public_keys("first", "second")


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    """Six hours, of which two are empty, with two logs in each of the others."""
    trail = Trail(tmp_path)
    for hour in range(6):
        minutes = () if hour in (2, 3) else (60 * hour + 20, 60 * hour + 40)
        trail.digest(hour, [trail.log(minute) for minute in minutes])
    return trail


def found(checked: Checked) -> dict[str, list[str]]:
    codes: dict[str, list[str]] = {}
    for finding in checked.findings:
        codes.setdefault(finding.code, []).append(finding.key)
    return codes


def digests(trail: Trail) -> list[str]:
    return [stored.key for stored in stored_digests(trail.root)]


def test_a_whole_chain_with_empty_hours_holds(trail: Trail) -> None:
    checked = check_tree(trail.root, KEYS)
    assert checked.holds
    assert checked.findings == ()
    assert checked.counts == {"digests": 6, "valid": 6, "listed": 8, "matched": 8}


def test_a_drop_that_aws_lists_is_missing_or_waits(trail: Trail) -> None:
    (gone, _), (waits, _), *sealed = drops(trail.root)
    checked = check(stored_digests(trail.root), read_keys(KEYS), Drops(sealed, [waits]))
    assert found(checked) == {"custody-log-missing": [gone], "custody-log-pending": [waits]}
    assert [finding.verdict for finding in checked.findings] == ["missing", "not-sealed-yet"]
    assert not checked.holds


def test_a_drop_that_waits_alone_breaks_nothing(trail: Trail) -> None:
    (waits, _), *sealed = drops(trail.root)
    assert check(stored_digests(trail.root), read_keys(KEYS), Drops(sealed, [waits])).holds


def test_other_content_under_a_listed_name_is_changed_even_beside_the_right_one(trail: Trail) -> None:
    (key, _), (other, _), *_ = sealed = drops(trail.root)
    replaced = [(key, "00" * 32), *sealed[1:], (other, "11" * 32)]
    checked = check(stored_digests(trail.root), read_keys(KEYS), Drops(replaced))
    assert found(checked) == {"custody-log-changed": [key, other]}
    assert not checked.holds


def test_a_drop_that_aws_does_not_list_in_an_hour_that_it_vouches_for_is_a_finding(trail: Trail) -> None:
    planted = trail.log(150)
    checked = check_tree(trail.root, KEYS)
    assert found(checked) == {"custody-log-unlisted": [planted]}
    assert not checked.holds
    sealed = [drop for drop in drops(trail.root) if drop[0] != planted]
    landed = check(stored_digests(trail.root), read_keys(KEYS), Drops(sealed, [planted]))
    assert found(landed) == {"custody-log-unlisted": [planted]}


@pytest.mark.parametrize("minute", [5, 355, 400, -600])
def test_a_drop_outside_of_what_digests_say_is_not_measured(trail: Trail, minute: int) -> None:
    late = trail.log(minute)
    checked = check_tree(trail.root, KEYS)
    assert found(checked) == {"custody-log-uncovered": [late]}
    assert checked.holds


def test_a_name_that_aws_does_not_give_is_not_measured(trail: Trail) -> None:
    checked = check(
        stored_digests(trail.root), read_keys(KEYS), Drops([*drops(trail.root), ("x.json", "0" * 64)])
    )
    assert found(checked) == {"custody-log-uncovered": ["x.json"]}


def test_a_removed_digest_is_named_by_the_one_that_follows_and_its_drops_are_not_accused(
    trail: Trail,
) -> None:
    gone = digests(trail)[1]
    trail.remove(gone)
    checked = check_tree(trail.root, KEYS)
    assert sorted(found(checked)) == ["custody-digest-missing", "custody-log-uncovered"]
    assert found(checked)["custody-digest-missing"] == [gone]
    assert not checked.holds


def test_a_digest_that_aws_signed_twice_breaks_the_chain(trail: Trail) -> None:
    """Whoever keeps an older digest of that name can put it back: its own signature is good."""
    key = digests(trail)[2]
    Trail(trail.root, last={}).digest(2, [trail.log(130)])
    checked = check_tree(trail.root, KEYS)
    assert found(checked)["custody-chain-broken"] == [key]
    assert not checked.holds


def test_time_without_digests_and_time_with_two_are_said_and_break_nothing(tmp_path: Path) -> None:
    trail = Trail(tmp_path)
    trail.digest(0)
    trail.digest(3)
    last = trail.digest(4, digestStartTime="2026-11-01T03:30:00Z")
    checked = check_tree(tmp_path, KEYS)
    assert found(checked) == {"custody-gap": [digests(trail)[1]], "custody-overlap": [last]}
    assert checked.holds


def test_a_rotated_key_is_found_by_its_fingerprint_and_an_unknown_one_is_said(tmp_path: Path) -> None:
    trail = Trail(tmp_path)
    trail.digest(0)
    trail.key = "second"
    rotated = trail.digest(1)
    assert check_tree(tmp_path, KEYS).holds
    checked = check_tree(tmp_path, public_keys("first"))
    assert found(checked) == {"custody-key-unknown": [rotated]}
    assert not checked.holds


def test_digests_that_were_delivered_afterwards_are_a_chain_of_their_own(trail: Trail) -> None:
    trail.backfill = True
    trail.digest(-2, [trail.log(-100)])
    trail.digest(-1, [trail.log(-30)])
    assert check_tree(trail.root, KEYS).findings == ()
    late = [key for key in digests(trail) if key.endswith("_backfill.json.gz")]
    trail.remove(late[0])
    assert found(check_tree(trail.root, KEYS))["custody-digest-missing"] == [late[0]]


def test_a_window_asks_for_nothing_outside_of_it(trail: Trail) -> None:
    trail.digest(30, [trail.log(30 * 60 + 30)])
    second = [stored for stored in stored_digests(trail.root) if "/2026/11/02/" in stored.key]
    keys, window = read_keys(KEYS), Window(date(2026, 11, 2), date(2026, 11, 2))
    checked = check(second, keys, Drops(drops(trail.root)), window)
    assert checked.findings == ()
    assert checked.counts["valid"] == 1
    assert "custody-digest-missing" in check(second, keys, Drops(drops(trail.root))).totals()


def test_every_code_has_one_of_the_four_verdicts_a_meaning_and_a_next_step() -> None:
    assert {verdict for verdict, _, _ in CODES.values()} == {
        "changed", "missing", "not-sealed-yet", "not-measured"
    }  # fmt: skip
    assert all(meaning and step for _, meaning, step in CODES.values())


def test_every_code_is_documented() -> None:
    text = files("data_contracts").joinpath("delivered", "FORMAT.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| `([a-z-]+)` \| (.+) \|$", text.split("### 14.4")[1], re.M)
    assert {code: (verdict, meaning) for code, verdict, meaning in rows} == {
        code: (verdict, meaning) for code, (verdict, meaning, _) in CODES.items()
    }
