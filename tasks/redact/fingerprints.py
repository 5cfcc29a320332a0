"""Fingerprints of records: equal for equal records as long as their key lives, and good for nothing after that.

A fingerprint is sealed beside columns that may be read in clear. Where all of a record but the person is known, whoever
has its key can try every person. So it takes the key whose destruction makes the person forgotten: that of the
person whom the record is about, or else that of the month. The digest of a record itself is never stored.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from tasks.batch import FINGERPRINT
from tasks.contracts.model import Contract
from tasks.errors import KeyDestroyedError
from tasks.keyring import Keyring
from tasks.keyring.derived import RECORD_FINGERPRINT
from tasks.redact.holders import Holders, find_holders
from tasks.redact.keyed import keyed_hash


def record_fingerprints(
    frame: pl.DataFrame, digests: pl.Series, *, contract: Contract, keyring: Keyring
) -> pl.Series:
    """The fingerprint of each record as 32 hex digits; null where it has no digest, or its month's key is destroyed.

    Args:
        frame: accepted rows, before redaction.
        digests: Binary; of each row's raw record, or null.
        contract: tells whom a row is about.
        keyring: gives the keys.

    Raises:
        ContractError: a row has no event time, so no month to take a key from.
        KeyUnavailableError: a key cannot be had.
    """
    holders = find_holders(frame, contract, keyring)
    codes = holders.of_rows()
    named = {code: _namer(holders, code) for code in codes.filter(digests.is_not_null()).unique()}
    marks = [
        None if digest is None else named[code](digest)
        for code, digest in zip(codes.to_list(), digests.to_list(), strict=True)
    ]
    return pl.Series(FINGERPRINT, marks, dtype=pl.String)


def _namer(holders: Holders, code: int) -> Callable[[bytes], str | None]:
    try:
        return keyed_hash(holders.key(code), RECORD_FINGERPRINT)
    except KeyDestroyedError:
        return lambda _: None
