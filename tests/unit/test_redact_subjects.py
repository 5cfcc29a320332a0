"""Pseudonyms under keys of persons: one person is one over fields and sources, and can be forgotten alone."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import polars as pl
import pytest

from tasks.batch import RedactedBatch
from tasks.contracts.model import Contract, Field, SubjectField
from tasks.redact import redact
from tests.support.redaction import DECEMBER, NOVEMBER, FixedKeyring, batch, contract

ARN = "arn:aws:sts::123456789012:assumed-role/Admin/"
FIELDS = (
    Field("name", "string", (("name",),), treatment="pseudonym", domain="name", key_scope="subject"),
    Field("arn", "string", (("arn",),), treatment="pseudonym", domain="arn", key_scope="subject"),
    Field("device", "string", (("device",),), treatment="pseudonym", domain="device"),
)
SUBJECT = (SubjectField("name"), SubjectField("arn", "last"))


def of_persons(*fields: Field) -> Contract:
    return replace(contract(*fields), subject=SUBJECT)


def run(
    names: list[str | None],
    arns: list[str | None],
    keys: FixedKeyring,
    times: Sequence[datetime] | None = None,
) -> RedactedBatch:
    columns = {
        "name": pl.Series(names, dtype=pl.String),
        "arn": pl.Series(arns, dtype=pl.String),
        "device": pl.Series(["d-1"] * len(names)),
    }
    return redact(batch(columns, times), of_persons(*FIELDS), keys)


def persons(result: RedactedBatch) -> list[str | None]:
    assert result.subjects is not None
    return [None if row is None else result.subjects.ids[row] for row in result.subjects.rows]


def test_the_pseudonym_is_the_documented_hmac_under_the_persons_key() -> None:
    keys = FixedKeyring()
    [key] = keys.subject_keys(["bob"])
    frame = run(["bob"], [f"{ARN}bob"], keys).frame
    expected = {
        domain: "s_" + hmac.digest(key, f"{domain}\0{value}".encode(), hashlib.sha256).hex()[:32]
        for domain, value in (("name", "bob"), ("arn", f"{ARN}bob"))
    }
    assert frame["name"].to_list() == [expected["name"]]
    assert frame["arn"].to_list() == [expected["arn"]]
    assert frame["device"][0].startswith("p_2026-11_")


def test_a_person_keeps_one_name_over_the_months_and_the_entry_names_no_person() -> None:
    result = run(["bob", "bob"], [None, None], FixedKeyring(), [NOVEMBER, DECEMBER])
    assert result.frame["name"].n_unique() == 1
    assert result.keys == ("pseudonym/2026-11", "pseudonym/2026-12", "subject")


def test_one_person_is_one_whatever_names_them() -> None:
    names = ["Alice@Example.org", None, None, "bob"]
    arns = [None, f"{ARN}alice@example.org", "arn:aws:iam::123456789012:user/path/ALICE@example.org", None]
    keys = FixedKeyring()
    found = persons(run(names, arns, keys))
    assert found == keys.subject_ids(["alice@example.org"] * 3 + ["bob"])


@pytest.mark.parametrize(
    "arn",
    [
        None,
        "",
        f"{ARN}i-0123456789abcdef0",
        f"{ARN}botocore-session-1700000000",
        f"{ARN}aws-sdk-java-1699999999",
    ],
)
def test_a_row_about_nobody_takes_the_months_key(arn: str | None) -> None:
    result = run([None], [arn], FixedKeyring())
    assert result.subjects is None
    assert arn is None or result.frame["arn"][0].startswith("p_2026-11_")


def test_rows_of_several_persons_and_of_nobody_keep_their_places() -> None:
    names = ["bob", None, "ann", "bob", None]
    result = run(names, [None] * 5, FixedKeyring())
    sealed = result.frame["name"].to_list()
    assert [text is None for text in sealed] == [name is None for name in names]
    assert sealed[0] == sealed[3] != sealed[2]
    assert [row is None for row in persons(result)] == [name is None for name in names]


def test_elements_of_a_list_take_the_key_of_their_row() -> None:
    groups = Field("g", "strings", (("g",),), treatment="pseudonym", domain="g", key_scope="subject")
    columns = {
        "name": pl.Series(["bob", "ann", "bob"]),
        "arn": pl.Series([None] * 3, dtype=pl.String),
        "g": pl.Series([["x", "y"], ["x"], ["x"]]),
    }
    sealed = redact(batch(columns), of_persons(*FIELDS[:2], groups), FixedKeyring()).frame["g"].to_list()
    assert sealed[0][0] == sealed[2][0] != sealed[1][0]
    assert sealed[0][1] not in (sealed[0][0], sealed[1][0])


def test_without_a_persons_key_nobody_can_make_the_persons_names_again() -> None:
    keys = FixedKeyring()
    before = run(["bob", "ann"], [f"{ARN}bob", None], keys).frame
    keys.destroy_subject("bob")
    after = run(["bob", "ann"], [f"{ARN}bob", None], keys).frame
    assert before["name"][0] != after["name"][0]
    assert before["arn"][0] != after["arn"][0]
    assert before["name"][1] == after["name"][1]


def test_many_persons_and_values_take_different_ways_to_one_result() -> None:
    keys = FixedKeyring()
    few = run(["bob"] * 100, [None] * 100, keys).frame["name"]
    many = run(["bob", *(f"u{n}" for n in range(99))], [None] * 100, keys).frame["name"]
    assert few.n_unique() == 1
    assert few[0] == many[0]
    assert many.n_unique() == 100
