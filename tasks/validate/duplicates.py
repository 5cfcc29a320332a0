"""Record fingerprints, and the rows that repeat a record.

Charter: logs are delivered at least once. A duplicate is a record with a complete key whose bytes were
seen before; two events that share a key and differ are two records. The fingerprint is keyed, so that
what is sealed tells nobody whether a guessed record is in it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterator
from typing import Final

import polars as pl

from tasks.batch import DROP, FINGERPRINT, LENGTH, OFFSET, ReadDrop

DIGEST_BYTES: Final = 16
_CONTEXT: Final = b"indelible record fingerprint"  # separates this use of the key from others
_BLOCK_BYTES: Final = 64  # of SHA-256
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))


def fingerprints(
    frame: pl.DataFrame, drops: tuple[ReadDrop, ...], key: tuple[str, ...], secret: bytes
) -> pl.Series:
    """HMAC-SHA256, cut to 128 bits, of each record's raw bytes, as 32 hex digits; null where a key field is null.

    Args:
        frame: rows with their coordinates.
        drops: the drops that the coordinates refer to.
        key: the contract's record key, not empty.
        secret: 16 to 64 bytes.
    """
    complete = frame.select(pl.all_horizontal(pl.col(name).is_not_null() for name in key)).to_series()
    rows = frame.filter(complete).select(DROP, OFFSET, LENGTH)
    digests = pl.Series(FINGERPRINT, list(_digests(rows, drops, secret)), dtype=pl.String)
    if complete.all():
        return digests
    position = complete.cast(pl.Int64).cum_sum() - 1
    return digests.gather(pl.select(pl.when(complete).then(position)).to_series()).alias(FINGERPRINT)


def _digests(rows: pl.DataFrame, drops: tuple[ReadDrop, ...], secret: bytes) -> Iterator[str]:
    # Where processors hash SHA-256 by themselves it is faster than BLAKE2b. Both keyed blocks of the
    # HMAC are hashed once, not once a record, which halves the cost of a short one.
    block = hmac.digest(secret, _CONTEXT, "sha256").ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (hashlib.sha256(block.translate(pad)).copy for pad in (_INNER_PAD, _OUTER_PAD))
    buffers = [memoryview(drop.buffer) for drop in drops]
    for drop, offset, length in zip(*(column.to_list() for column in rows), strict=True):
        first, second = inner(), outer()
        first.update(buffers[drop][offset : offset + length])
        second.update(first.digest())
        yield second.hexdigest()[: 2 * DIGEST_BYTES]


def repeated(marks: pl.Series, known: Collection[str]) -> pl.Series:
    """True for a row whose fingerprint is in `known` or stands in an earlier row.

    Args:
        marks: fingerprints in order of rows, nulls for rows that cannot repeat.
        known: fingerprints of sealed records; a set, because each row looks into it.
    """
    sealed = (
        pl.Series([mark in known for mark in marks], dtype=pl.Boolean)
        if known
        else pl.repeat(value=False, n=len(marks), eager=True)
    )
    return (marks.is_not_null() & (sealed | ~marks.is_first_distinct())).alias("repeated")
