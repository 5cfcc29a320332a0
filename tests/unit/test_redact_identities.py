"""Encrypted identities: a pseudonym in the row, the value once a batch, for the holder of the key and nobody else."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

import polars as pl
import pytest

from tasks.batch import RedactedBatch
from tasks.contracts.model import Field, SubjectField
from tasks.errors import KeyUnavailableError
from tasks.keyring.derived import subject_key_id
from tasks.redact import decrypt_identity, redact
from tests.support.redaction import DECEMBER, NOVEMBER, FixedKeyring, batch, contract

OF_MONTH = Field("f", "string", (("f",),), treatment="encrypt", domain="person")
OF_PERSON = Field("f", "string", (("f",),), treatment="encrypt", domain="person", key_scope="subject")
KEYS = FixedKeyring()
VALUES = ["Bob@Example.org", "bob@example.org", "x" * 64, None, "Bob@Example.org"]


def run(
    field: Field, values: list[str | None] = VALUES, times: Sequence[datetime] | None = None
) -> RedactedBatch:
    named = replace(contract(field), subject=(SubjectField("f"),))
    return redact(batch({"f": pl.Series(values, dtype=pl.String)}, times), named, KEYS)


def identities(result: RedactedBatch) -> list[dict[str, str]]:
    assert result.identities is not None
    return result.identities.to_dicts()


def test_each_pseudonym_has_one_identity_that_its_key_opens() -> None:
    result = run(OF_MONTH)
    rows = identities(result)
    assert {row["pseudonym"] for row in rows} == set(result.frame["f"].drop_nulls())
    key = KEYS.secret("pseudonym", "2026-11")
    opened = {decrypt_identity("hand", "f", row["pseudonym"], row["ciphertext"], key) for row in rows}
    assert opened == {"bob@example.org", "x" * 64}
    assert {row["kid"] for row in rows} == {"pseudonym/2026-11"}


def test_an_identity_under_a_persons_key_goes_with_the_person() -> None:
    [row] = identities(run(OF_PERSON, ["bob"]))
    [bob, ann] = KEYS.subject_keys(["bob", "ann"])
    assert row["kid"] == subject_key_id(bob) != subject_key_id(ann)
    assert decrypt_identity("hand", "f", row["pseudonym"], row["ciphertext"], bob) == "bob"
    for key in (ann, KEYS.secret("pseudonym", "2026-11")):
        with pytest.raises(KeyUnavailableError):
            decrypt_identity("hand", "f", row["pseudonym"], row["ciphertext"], key)


@pytest.mark.parametrize("change", ["source", "field", "pseudonym", "ciphertext", "no base64"])
def test_a_ciphertext_cannot_be_moved_or_changed(change: str) -> None:
    row, other = identities(run(OF_MONTH))[:2]
    call = {"source": "hand", **{name: row[name] for name in ("field", "pseudonym", "ciphertext")}}
    call |= {
        "source": {"source": "else"},
        "field": {"field": "g"},
        "pseudonym": {"pseudonym": other["pseudonym"]},
        "ciphertext": {"ciphertext": other["ciphertext"]},
        "no base64": {"ciphertext": "?"},
    }[change]
    with pytest.raises(KeyUnavailableError) as caught:
        decrypt_identity(**call, key=KEYS.secret("pseudonym", "2026-11"))
    assert "bob" not in str(caught.value)


def test_a_repeated_run_gives_the_same_table_in_order() -> None:
    times = [NOVEMBER, DECEMBER, NOVEMBER, DECEMBER, NOVEMBER]
    first, second = run(OF_MONTH, times=times), run(OF_MONTH, times=times)
    assert identities(first) == identities(second)
    places = [(row["field"], row["pseudonym"]) for row in identities(first)]
    assert places == sorted(set(places))
    assert {row["kid"] for row in identities(first)} == {"pseudonym/2026-11", "pseudonym/2026-12"}


def test_ciphertexts_tell_the_length_of_names_in_steps_only() -> None:
    sizes = {
        len(value): len(base64.b64decode(identities(run(OF_MONTH, [value]))[0]["ciphertext"]))
        for value in ("a", "a" * 63, "a" * 64, "a" * 127)
    }
    assert sizes == {1: 80, 63: 80, 64: 144, 127: 144}


def test_a_secret_is_dropped_and_not_kept_under_a_key() -> None:
    treatments: tuple[Literal["encrypt", "prefix_pseudonym"], ...] = ("encrypt", "prefix_pseudonym")
    for treatment in treatments:
        field = Field("f", "string", (("f",), ("sessionToken",)), treatment=treatment, domain="d")
        result = run(field, ["FQoGZXIvYXdzE"])
        assert result.frame["f"].to_list() == [None]
        assert result.identities is None or result.identities.is_empty()


def test_names_that_are_encrypted_are_found_in_prose() -> None:
    fields = (OF_MONTH, Field("m", "string", (("m",),), treatment="scan"))
    columns = {"f": pl.Series(["zoe-quinn"]), "m": pl.Series(["export zoe-quinn done"])}
    assert redact(batch(columns), contract(*fields), KEYS).frame["m"].to_list() == ["export [user] done"]
