"""The redact stage treats each column as its contract says and accounts for each line."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest

from tasks.batch import DROP, EXTRA, FINGERPRINT, LENGTH, LINE, OFFSET, TIME, RedactedBatch
from tasks.contracts.model import Field
from tasks.errors import ContractError, IndelibleError, KeyUnavailableError, UsageError
from tasks.redact import decrypt_lines, decrypt_raw, redact
from tests.support.redaction import DECEMBER, NOVEMBER, FixedKeyring, batch, contract, read_drop, set_aside

KEYS = FixedKeyring()


def run(values: pl.Series, field: Field, times: list[datetime] | None = None) -> RedactedBatch:
    return redact(batch({field.name: values}, times), contract(field), KEYS)


def sealed(values: list[str | None], field: Field, times: list[datetime] | None = None) -> list[str | None]:
    return run(pl.Series(values, dtype=pl.String), field, times).frame[field.name].to_list()


def text(treatment: str, **more: str) -> Field:
    return Field("f", "string", (("f",),), treatment=treatment, **more)  # type: ignore[arg-type]


def test_keep_and_drop() -> None:
    assert sealed(["GetObject", None], text("keep")) == ["GetObject", None]
    assert sealed(["GetObject", None], text("drop")) == [None, None]


def test_mask_keeps_shape_only_and_bounds_length() -> None:
    assert sealed(["Ab-12 é漢", None, "x" * 200], text("mask")) == ["Xx-99 xx", None, "x" * 64]


def test_pseudonym_is_the_documented_hmac() -> None:
    key = KEYS.secret("pseudonym", "2026-11")
    expected = hmac.digest(key, b"person\0bob", hashlib.sha256).hex()[:32]
    assert sealed(["bob"], text("pseudonym", domain="person")) == [f"p_2026-11_{expected}"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice@Example.org", "alice@example.ORG"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("caf\u00e9", "cafe\u0301"),
        ("Stra\u00dfe@x.example", "STRASSE@x.example"),
    ],
)
def test_pseudonym_normalises(one: str, other: str) -> None:
    first, second = sealed([one, other], text("pseudonym"))
    assert first == second


def test_pseudonym_differs_by_case_domain_and_month() -> None:
    plain = sealed(["Bob", "bob"], text("pseudonym", domain="a"))
    other = sealed(["Bob", "bob"], text("pseudonym", domain="b"))
    later = run(pl.Series(["bob", "bob"]), text("pseudonym", domain="a"), [NOVEMBER, DECEMBER])
    assert len({*plain, *other}) == 4
    assert later.frame["f"][0] == plain[1]
    assert later.frame["f"][1].startswith("p_2026-12_")
    assert later.keys == ("pseudonym/2026-11", "pseudonym/2026-12")


def test_repeated_and_distinct_values_take_different_ways_to_one_result() -> None:
    few = sealed(["bob"] * 100 + [None], text("pseudonym"))
    many = sealed(["bob", *(f"u{number}" for number in range(99)), None], text("pseudonym"))
    assert few[0] == many[0]
    assert few[-1] is many[-1] is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("203.0.113.9:8443", "203.0.113.0/24"),
        (" 203.0.113.9", "203.0.113.0/24"),
        ("::ffff:203.0.113.9", "203.0.113.0/24"),
        ("2001:DB8:1:2::3", "2001:db8:1::/48"),
        ("[2001:db8:1:2::3]:443", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("203.0.113.9, 2001:db8:1:2::3,198.51.100.7", "203.0.113.0/24, 2001:db8:1::/48, 198.51.100.0/24"),
        ("cloudtrail.amazonaws.com", "cloudtrail.amazonaws.com"),
        ("AWS Internal", "AWS Internal"),
        ("-", "-"),
        ("ip-203-0-113-9", "[ip]"),
        ("alice@example.org", "[email]"),
        ("", ""),
    ],
)
def test_addresses_are_cut_to_their_network(address: str, network: str) -> None:
    assert sealed([address], text("truncate_ip")) == [network]


def test_no_address_survives_in_odd_company() -> None:
    values: list[str | None] = [
        "cpe-203-0-113-9.isp.example",
        "client 203.0.113.9",
        "203.0.113.9;x",
    ]
    assert not [value for value in sealed(values, text("truncate_ip")) if value and "113" in value]


def test_lists_are_treated_element_by_element() -> None:
    field = Field("f", "strings", (("f",),), treatment="pseudonym")
    values = pl.Series([["bob", "ann"], None, [], ["bob"], [None]], dtype=pl.List(pl.String))
    result = run(values, field).frame["f"].to_list()
    assert result[0][0] == result[3][0] != result[0][1]
    assert result[1:3] == [None, []]
    assert result[4] == [None]


def test_other_types_pass_or_vanish_but_are_never_sealed_as_floats() -> None:
    fields = (
        Field("n", "integer", (("n",),)),
        Field("b", "boolean", (("b",),), treatment="mask"),
        Field("p", "integer", (("p",),), treatment="pseudonym"),
    )
    columns = {"n": pl.Series([5]), "b": pl.Series([True]), "p": pl.Series([77])}
    frame = redact(batch(columns), contract(*fields), KEYS).frame
    assert frame["n"].to_list() == [5]
    assert frame["b"].to_list() == [None]
    assert frame["p"][0].startswith("p_2026-11_")


def test_fields_named_as_secrets_are_dropped_whatever_the_contract_says() -> None:
    field = Field("token", "string", (("credentials", "sessionToken"),), treatment="keep")
    result = run(pl.Series(["FQoGZXIvYXdzE"]), field)
    assert result.frame["token"].to_list() == [None]
    assert {"field": "token", "rows": 1, "treatment": "drop"} in result.report["fields"]


def test_credentials_leave_kept_columns() -> None:
    values: list[str | None] = [
        "curl Bearer abcdefghijklmnop0123",
        "/x?access_token=abc&v=1",
        "-----BEGIN RSA PRIVATE KEY-----\nAB\n",
    ]
    assert sealed(values, text("keep")) == [
        "curl Bearer [secret]",
        "/x?access_token=[secret]&v=1",
        "[private_key]",
    ]


def test_json_and_extra_are_scanned_even_when_kept() -> None:
    field = Field("f", "json", (("f",),), treatment="keep")
    source = batch({"f": pl.Series(['{"userName":"bob","n":1}'])}, extra=['{"x":"mail bob@example.org"}'])
    frame = redact(source, contract(field), KEYS).frame
    assert frame["f"].to_list() == ['{"userName":"[user]","n":1}']
    assert frame[EXTRA].to_list() == ['{"x":"mail [email]"}']


def test_names_from_pseudonym_columns_are_found_in_prose() -> None:
    fields = (text("pseudonym"), Field("m", "string", (("m",),), treatment="scan"))
    columns = {
        "f": pl.Series(["arn:aws:iam::123456789012:user/zoe-quinn", "systems"]),
        "m": pl.Series(["export zoe-quinn done", "systems are up"]),
    }
    frame = redact(batch(columns), contract(*fields), KEYS).frame
    assert frame["m"].to_list() == ["export [user] done", "systems are up"]


def test_coordinates_time_and_fingerprint_stay_and_length_goes() -> None:
    source = batch({"f": pl.Series(["a"])})
    frame = redact(source, contract(text("keep")), KEYS).frame
    kept = [DROP, LINE, OFFSET, TIME, FINGERPRINT]
    assert frame.select(kept).equals(source.frame.select(kept))
    assert LENGTH not in frame.columns


def test_accepted_row_without_time_is_refused() -> None:
    source = batch({"f": pl.Series(["a"])})
    source = replace(
        source, frame=source.frame.with_columns(pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias(TIME))
    )
    with pytest.raises(ContractError, match="no event time"):
        redact(source, contract(text("keep")), KEYS)


def test_report_counts_and_holds_no_value() -> None:
    result = run(pl.Series(["bob@example.org", "bob@example.org", "x", None]), text("scan"))
    assert result.report == {
        "canaries": result.report["canaries"],
        "contract": "0" * 64,
        "fields": [
            {"field": "_extra", "rows": 0, "treatment": "scan"},
            {"field": "f", "rows": 3, "treatment": "scan"},
        ],
        "format": "indelible/1",
        "hits": [{"detector": "email", "field": "f", "texts": 2}],
        "leaks": [],
        "rows": 4,
        "source": "hand",
    }


BUFFER = b'{"ok":1}\n{"bob@example.org\n\n{"dup":1}\n'
DROP_OF_FOUR = read_drop(4, BUFFER)
ASIDE = set_aside([(0, 2, 9, 17, "quarantined"), (0, 3, 27, 0, "blank"), (0, 4, 28, 9, "duplicate")])


def test_each_line_of_a_drop_is_accounted_for() -> None:
    source = batch({"f": pl.Series(["a"])}, aside=ASIDE, drops=[DROP_OF_FOUR])
    (ledger,) = redact(source, contract(text("keep")), KEYS).drops
    assert (ledger.accepted, ledger.quarantined, ledger.duplicate, ledger.blank) == (1, 1, 1, 1)
    assert ledger.sha256 == DROP_OF_FOUR.sha256


def test_a_lost_line_stops_the_batch() -> None:
    source = batch({"f": pl.Series(["a"])}, aside=ASIDE, drops=[read_drop(5, BUFFER)])
    with pytest.raises(IndelibleError, match="5 lines but 4"):
        redact(source, contract(text("keep")), KEYS)


def test_quarantined_bytes_are_encrypted_and_come_back() -> None:
    source = batch({"f": pl.Series(["a"])}, aside=ASIDE, drops=[DROP_OF_FOUR])
    result = redact(source, contract(text("keep")), KEYS)
    raw = result.set_aside["raw"].to_list()
    assert raw[1:] == [None, None]
    assert raw[0].startswith("q_2026-11.")
    assert decrypt_raw(raw[0], DROP_OF_FOUR.sha256, 2, KEYS) == BUFFER[9:26]
    assert result.keys == ("quarantine/2026-11",)
    assert redact(source, contract(text("keep")), KEYS).set_aside.equals(result.set_aside)


def test_the_ciphertext_of_a_quarantined_line_does_not_tell_its_length() -> None:
    def sealed(line: bytes) -> pl.DataFrame:
        buffer = line + b"\n"
        aside = set_aside([(0, 1, 0, len(line), "quarantined"), (0, 2, len(buffer), 0, "blank")])
        source = batch({"f": pl.Series([], dtype=pl.String)}, aside=aside, drops=[read_drop(2, buffer)])
        return redact(source, contract(text("keep")), KEYS).set_aside

    ann, christopher = sealed(b'{"user":"ann'), sealed(b'{"user":"christopher')
    assert ann.drop("raw", OFFSET).equals(christopher.drop("raw", OFFSET))
    assert len(ann["raw"][0]) == len(christopher["raw"][0])
    assert LENGTH not in ann.columns


def test_a_ciphertext_is_bound_to_its_line_drop_and_key() -> None:
    source = batch({"f": pl.Series(["a"])}, aside=ASIDE, drops=[DROP_OF_FOUR])
    raw = redact(source, contract(text("keep")), KEYS).set_aside["raw"][0]
    for stored, digest, line in [
        (raw, DROP_OF_FOUR.sha256, 3),
        (raw, "0" * 64, 2),
        (raw.replace("2026-11", "2026-10"), DROP_OF_FOUR.sha256, 2),
        (raw[:-8] + "AAAA" + raw[-4:], DROP_OF_FOUR.sha256, 2),
    ]:
        with pytest.raises(KeyUnavailableError):
            decrypt_raw(stored, digest, line, KEYS)
    with pytest.raises(UsageError):
        decrypt_raw("bob", DROP_OF_FOUR.sha256, 2, KEYS)


def test_a_line_whose_key_is_destroyed_is_erased_and_stays_so() -> None:
    keys = FixedKeyring()
    source = batch({"f": pl.Series(["a"])}, aside=ASIDE, drops=[DROP_OF_FOUR])
    raw = redact(source, contract(text("keep")), keys).set_aside["raw"][0]
    assert decrypt_lines({2: raw}, DROP_OF_FOUR.sha256, keys) == {2: BUFFER[9:26]}
    keys.destroyed_lines = {2}
    assert decrypt_lines({2: raw}, DROP_OF_FOUR.sha256, keys) == {2: None}
    with pytest.raises(KeyUnavailableError, match="was erased"):
        decrypt_raw(raw, DROP_OF_FOUR.sha256, 2, keys)
    again = redact(source, contract(text("keep")), keys).set_aside["raw"][0]
    assert again == "q_2026-11."
    assert decrypt_lines({2: again}, DROP_OF_FOUR.sha256, FixedKeyring()) == {2: None}


def test_quarantine_key_is_of_the_month_in_which_the_drop_landed() -> None:
    landed = read_drop(4, BUFFER, landed=datetime(2027, 1, 1, tzinfo=UTC))
    source = batch({"f": pl.Series(["a"])}, aside=ASIDE, drops=[landed])
    assert redact(source, contract(text("keep")), KEYS).keys == ("quarantine/2027-01",)
