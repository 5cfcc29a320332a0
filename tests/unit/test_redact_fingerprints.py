"""A fingerprint is one record's as long as the key of its person or month lives."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from tasks.batch import ValidatedBatch
from tasks.contracts.model import Field, SubjectField
from tasks.errors import KeyDestroyedError
from tasks.keyring import Purpose
from tasks.redact import record_fingerprints, redact
from tests.support.redaction import DECEMBER, NOVEMBER, FixedKeyring, batch, contract, read_drop

# Nothing of a row is pseudonymised: only fingerprints need keys.
FIELDS = (Field("id", "string", (("id",),)), Field("name", "string", (("name",),), treatment="mask"))
CONTRACT = replace(contract(*FIELDS), subject=(SubjectField("name"),), key=("id",))
DIGEST = hashlib.sha256(b"the record").digest()


class WithoutNovember(FixedKeyring):
    """The month's key is destroyed."""

    def secret(self, purpose: Purpose, epoch: str = "") -> bytes:
        if (purpose, epoch) == ("pseudonym", "2026-11"):
            raise KeyDestroyedError(self.key_id(purpose, epoch))
        return super().secret(purpose, epoch)


def accepted(names: Sequence[str | None], ids: Sequence[str | None] = ("1", "2")) -> ValidatedBatch:
    """Rows of November and December."""
    columns = {"id": ids[: len(names)], "name": names}
    series = {name: pl.Series(values, dtype=pl.String) for name, values in columns.items()}
    return batch(series, [NOVEMBER, DECEMBER][: len(names)], drops=[read_drop(len(names), b"x" * 9)])


def marks(
    names: Sequence[str | None], keys: FixedKeyring, digests: Sequence[bytes | None] = (DIGEST, DIGEST)
) -> list[str | None]:
    made = pl.Series(digests, dtype=pl.Binary)
    return record_fingerprints(accepted(names).frame, made, contract=CONTRACT, keyring=keys).to_list()


def test_it_is_the_documented_hmac_of_the_digest() -> None:
    keys = FixedKeyring()
    named = [*keys.subject_keys(["bob"]), keys.secret("pseudonym", "2026-12")]
    message = b"\0record-fingerprint/1\0" + DIGEST
    assert marks(["bob", None], keys) == [
        hmac.digest(key, message, hashlib.sha256).hex()[:32] for key in named
    ]


def test_it_is_the_same_until_the_persons_key_is_destroyed() -> None:
    keys = FixedKeyring()
    bob, ann = marks(["bob", "ann"], keys)
    assert marks(["ann", "bob"], keys) == [ann, bob]
    keys.destroy_subject("bob")
    again, other = marks(["bob", "ann"], keys)
    assert other == ann
    assert again not in {bob, ann}


def test_without_a_digest_or_a_living_key_there_is_none() -> None:
    bob = marks(["bob", "bob"], FixedKeyring())[1]
    assert marks(["bob", "bob"], FixedKeyring(), [None, DIGEST]) == [None, bob]
    december = marks([None, None], FixedKeyring())[1]
    assert marks([None, None], WithoutNovember()) == [None, december]
    assert marks(["bob", "bob"], WithoutNovember()) == [bob, bob]


def test_a_row_of_which_only_the_fingerprint_needs_a_key_names_it_and_its_person() -> None:
    sealed = redact(accepted(["bob", None]), CONTRACT, FixedKeyring())
    assert sealed.keys == ("pseudonym/2026-12", "subject")
    assert sealed.subjects is not None
    assert list(sealed.subjects.ids) == FixedKeyring().subject_ids(["bob"])


def test_a_row_without_a_record_key_needs_no_key() -> None:
    assert redact(accepted(["bob", None], [None, None]), CONTRACT, FixedKeyring()).keys == ()


def test_a_row_about_nobody_comes_too_late_for_its_month_and_one_about_a_person_does_not() -> None:
    assert redact(accepted(["bob", None]), CONTRACT, WithoutNovember()).frame.height == 2
    sealed = redact(accepted([None, None]), CONTRACT, WithoutNovember())
    assert sealed.frame["id"].to_list() == ["2"]
    assert sealed.violations == {"key.destroyed": 1}
    assert sealed.set_aside["rules"].to_list() == [["key.destroyed"]]
