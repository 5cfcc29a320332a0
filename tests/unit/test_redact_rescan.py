"""The re-scan: what redaction leaves is found by other detectors, and its lines are not published."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import quote_plus

import polars as pl
import pytest

from tasks.contracts.model import Field
from tasks.errors import IndelibleError
from tasks.evidence.canonical import canonical_json
from tasks.evidence.redaction import parse_report
from tasks.redact import canaries, decrypt_raw, redact
from tasks.redact.canaries import hatch, placed, rehearse
from tasks.redact.rescan import KINDS, find_leaks
from tests.support.redaction import FixedKeyring, batch, contract, read_drop, set_aside

KEYS = FixedKeyring()
PLANTED = [(canary, place, text) for n in range(20) for canary, place, text in placed(hatch(b"%d" % n))]


def kinds(text: str, *, kept: bool = False) -> set[str]:
    return {leak.detector for leak in find_leaks([pl.Series("f", [text])], kept=["f"] if kept else [])}


def test_every_kind_is_found_in_every_place() -> None:
    texts = pl.Series("f", [text for _, _, text in PLANTED])
    found = {(int(row), leak.detector) for leak in find_leaks([texts]) for row in leak.rows}
    missed = {(c.kind, place) for row, (c, place, _) in enumerate(PLANTED) if (row, c.kind) not in found}
    assert missed == set()
    assert {canary.kind for canary, _, _ in PLANTED} == set(KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Windows NT 6.1; rv:11.0.0.0) like Gecko",
        "203.0.113.0/24",
        "2001:db8:1::/48",
        "127.0.0.1",
        "0.0.0.0/0",
        "[email] [ip] [card] Bearer [secret]",
        "arn:aws:iam::123456789012:role/Reader",
        "arn:aws:s3:::bucket/key::version",
        "12:34:56",
        "std::vector<ab::cd>",
        "4111111111111112",
        "20230710120000",
        "DE89370400440532013001",
        "GB82WEST1234",
        "2026-11-24T10:00:00+0100",
        "2026-11-24T10:00:00.123+05:30",
        "eyJhb is how tokens begin",
        "bearer of bad news and more words",
        "-----BEGIN CERTIFICATE-----",
        "user@host",
        "p_2026-11_0123456789abcdef0123456789abcdef",
        "AKIAISSHORT",
        "1.2.3.4.5",
        "sha256:2001db8a0b1c2d3e4f",
    ],
)
def test_lookalikes_are_no_leaks(text: str) -> None:
    assert kinds(text) == kinds(json.dumps({"a": text})) == kinds(f"/x?q={quote_plus(text)}") == set()


def test_ids_and_versions_in_kept_columns_are_no_leaks() -> None:
    for text in ("10.2.3.4", "4111111111111111", "2001:db8::1"):
        assert kinds(text)
        assert kinds(text, kept=True) == set()
    assert kinds("bob@example.org", kept=True) == {"email"}


def test_rows_are_told_also_where_values_repeat_and_in_lists() -> None:
    texts = pl.Series("f", ["a", "bob@example.org", None, "b", "bob@example.org"] * 20)
    (leak,) = find_leaks([texts])
    assert leak.rows.to_list() == [row for row in range(100) if row % 5 in {1, 4}]
    lists = pl.Series("f", [["a"], ["b", "bob@example.org"], None])
    assert [leak.rows.to_list() for leak in find_leaks([lists])] == [[1]]


def test_a_line_with_a_leak_goes_to_quarantine_and_the_others_are_sealed() -> None:
    buffer = b"one\nbob@example.org\nblank\n"
    drop = read_drop(3, buffer)
    source = batch(
        {"f": pl.Series(["one", "bob@example.org"]), "g": pl.Series(["x", "y"])},
        drops=[drop],
        aside=set_aside([(0, 3, 20, 0, "blank")]),
    )
    places = {"_offset": [0, 4], "_length": [3, 15]}
    frame = source.frame.with_columns(pl.Series(name, values) for name, values in places.items())
    source = replace(source, frame=frame)
    fields = [Field(name, "string", ((name,),), treatment="keep") for name in ("f", "g")]
    result = redact(source, contract(*fields), KEYS)
    assert result.frame["f"].to_list() == ["one"]
    (ledger,) = result.drops
    assert (ledger.accepted, ledger.quarantined, ledger.blank) == (1, 1, 1)
    aside = result.set_aside.filter(disposition="quarantined")
    assert aside["rules"].to_list() == [["redaction.leak"]]
    assert decrypt_raw(aside["raw"][0], drop.sha256, 2, KEYS) == b"bob@example.org"
    assert result.set_aside["_line"].to_list() == [2, 3]
    assert result.violations == {"redaction.leak": 1}
    assert result.report["leaks"] == [{"detector": "email", "drop": 0, "field": "f", "line": 2, "rows": 1}]
    assert result.report["rows"] == 1
    assert parse_report(canonical_json(result.report)) == result.report
    assert "bob" not in str(result.report)


def test_what_the_contract_masks_or_drops_is_no_leak() -> None:
    values = pl.Series(["bob@example.org"])
    for treatment in ("mask", "drop", "pseudonym"):
        field = Field("f", "string", (("f",),), treatment=treatment)
        assert redact(batch({"f": values}), contract(field), KEYS).report["leaks"] == []


def test_both_sets_see_every_canary() -> None:
    counts = rehearse("any")
    assert set(counts.values()) == {len(list(placed(hatch(b"any"))))}


def test_blind_detectors_stop_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    rehearse.cache_clear()
    monkeypatch.setattr(canaries, "find_leaks", lambda _columns: [])
    with pytest.raises(IndelibleError, match="the re-scan 0"):
        redact(batch({"f": pl.Series(["a"])}), contract(Field("f", "string", (("f",),))), KEYS)
    rehearse.cache_clear()


def test_a_seed_gives_its_canaries_and_another_gives_others() -> None:
    values = [{canary.value for canary in hatch(seed)} for seed in (b"one", b"one", b"two")]
    assert values[0] == values[1]
    assert values[0].isdisjoint(values[2])
