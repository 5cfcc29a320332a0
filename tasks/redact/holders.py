"""Whose key a value takes: that of the month of its event, or that of the person whom its row is about.

Rows carry small codes instead of keys: first the months of the batch, then its persons. A row without a
person, or a field that the contract keeps to monthly keys, takes the month's.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import polars as pl

from tasks.batch import TIME
from tasks.contracts.model import Contract, Field
from tasks.errors import ContractError
from tasks.keyring import Keyring
from tasks.keyring.derived import subject_key_id
from tasks.redact.subjects import Subjects, find_subjects

SUBJECT_KEYS: Final = "subject"


class Holders:
    """Keys of the months and persons of one batch, fetched when a value needs them.

    Args:
        months: key epoch of each row, `YYYY-MM`.
        subjects: persons of the rows, or None.
        keyring: gives the keys.

    Attributes:
        subjects: as given.
        used: public names of the keys used so far; `subject` stands for those of all persons.
    """

    def __init__(self, months: pl.Series, subjects: Subjects | None, keyring: Keyring) -> None:
        encoded = months.to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
        self._epochs: list[str] = encoded.dictionary.to_pylist()
        self._months = pl.Series(encoded.indices, dtype=pl.UInt32)
        self.subjects = subjects
        self._keyring = keyring
        self.used: set[str] = set()
        self.key = cache(self._key)
        self._persons = cache(self._fetch_persons)

    def codes(self, field: Field) -> pl.Series:
        """Code of the holder of each row's key for a field."""
        return self._months if field.key_scope == "epoch" else self.of_rows()

    def of_rows(self) -> pl.Series:
        """Code of the holder of each row: its person, or else its month."""
        if self.subjects is None:
            return self._months
        persons = self.subjects.rows + len(self._epochs)
        return persons.zip_with(persons.is_not_null(), self._months)

    def in_month(self, epoch: str) -> pl.Series:
        """Whether the event of each row was in a month."""
        return self._months == self._epochs.index(epoch)

    def use(self, rows: pl.Series) -> None:
        """Note that what is sealed of some rows depends on the keys of their holders.

        Raises:
            KeyDestroyedError: that of a month was destroyed.
        """
        for code in self.of_rows().filter(rows).unique():
            self.key(code)

    def epochs(self) -> list[tuple[int, str]]:
        """Code and name of each month of the batch."""
        return list(enumerate(self._epochs))

    def prefix(self, code: int) -> str:
        """What a pseudonym under the key begins with."""
        return f"p_{self._epochs[code]}_" if code < len(self._epochs) else "s_"

    def key_id(self, code: int) -> str:
        """The public name of the key."""
        if code < len(self._epochs):
            return self._keyring.key_id("pseudonym", self._epochs[code])
        return subject_key_id(self.key(code))

    def _key(self, code: int) -> bytes:
        if code >= len(self._epochs):
            self.used.add(SUBJECT_KEYS)
            return self._persons()[code - len(self._epochs)]
        self.used.add(self.key_id(code))
        return self._keyring.secret("pseudonym", self._epochs[code])

    def _fetch_persons(self) -> list[bytes]:
        return self._keyring.subject_keys(self.subjects.identifiers) if self.subjects else []


def find_holders(frame: pl.DataFrame, contract: Contract, keyring: Keyring) -> Holders:
    """The holders of the rows of `frame`, by the UTC month of each event and the fields that tell the person.

    Raises:
        ContractError: a row has no event time, so no month to take a key from.
    """
    if frame[TIME].null_count():
        raise ContractError(
            f"{frame[TIME].null_count()} accepted rows of {contract.source} have no event time",
            next_step=f"Make the field {contract.time_field} required in the contract.",
        )
    return Holders(frame[TIME].dt.strftime("%Y-%m"), find_subjects(frame, contract), keyring)
