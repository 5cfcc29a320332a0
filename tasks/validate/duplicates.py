"""Digests of records, and the rows that repeat a record.

Charter: logs are delivered at least once. A duplicate is a record with a complete key whose bytes were
seen before; two events that share a key and differ are two records. Digests stay in memory: whether a guessed
record is among them anybody could tell. What is sealed is a fingerprint, made of a digest under a key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator

import polars as pl

from tasks.batch import DROP, LENGTH, OFFSET, ReadDrop


def record_digests(frame: pl.DataFrame, drops: tuple[ReadDrop, ...], key: tuple[str, ...]) -> pl.Series:
    """SHA-256 of each record's raw bytes, as Binary; null where a key field is null.

    Args:
        frame: rows with their coordinates.
        drops: the drops that the coordinates refer to.
        key: the contract's record key, not empty.
    """
    complete = frame.select(pl.all_horizontal(pl.col(name).is_not_null() for name in key)).to_series()
    rows = frame.filter(complete).select(DROP, OFFSET, LENGTH)
    digests = pl.Series(list(_digests(rows, drops)), dtype=pl.Binary)
    if complete.all():
        return digests
    position = complete.cast(pl.Int64).cum_sum() - 1
    return digests.gather(pl.select(pl.when(complete).then(position)).to_series())


def _digests(rows: pl.DataFrame, drops: tuple[ReadDrop, ...]) -> Iterator[bytes]:
    buffers = [memoryview(drop.buffer) for drop in drops]
    for drop, offset, length in zip(*(column.to_list() for column in rows), strict=True):
        # Where processors hash SHA-256 by themselves it is faster than BLAKE2b.
        yield hashlib.sha256(buffers[drop][offset : offset + length]).digest()


def repeated(digests: pl.Series, fingerprints: pl.Series, known: Collection[str]) -> pl.Series:
    """True for a row whose record stands in an earlier row, or whose fingerprint is in `known`.

    Args:
        digests: of records in order of rows, nulls for rows that cannot repeat.
        fingerprints: of the same rows.
        known: fingerprints of sealed records; a set, because each row looks into it.
    """
    again = digests.is_not_null() & ~digests.is_first_distinct()
    if known:
        again |= pl.Series([mark in known for mark in fingerprints], dtype=pl.Boolean)
    return again.alias("repeated")
