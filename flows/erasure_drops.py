"""Drops of one person alone: those of which the erasure leaves the digest, and nobody else's records beside it.

The ledger names each drop's plain SHA-256, because what was delivered must be matched with what was sealed. Whoever
can write such a drop again, byte by byte, can test that guess without any key; where other people's records stand in
the drop, these must be guessed as well. So the certificate says how many drops have none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flows.wiring import Runtime
from tasks.catalog.named import rows_of_drops

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

_Rows = NDArray[np.int64]


def drops_alone(
    runtime: Runtime, catalog: Catalog, subjects: Sequence[str], lines: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """How many drops are about the person alone, by entry.

    Such a drop has accepted records, and all are the person's; or it has none, and all its quarantined lines mention
    the person. Reads the ledgers of the entries in which the person has rows, and no others.

    Args:
        runtime: the deployment.
        catalog: read up to the end of the log.
        subjects: subject ids of one person.
        lines: quarantined lines that mention the person, as a plan has them.

    Returns:
        `source`, `entry` and `drops`, in order of sources and entries.

    Raises:
        KeyUnavailableError: what the key table has noted of a file was changed.
        VerificationError: a ledger is not what its entry names.
    """
    counts = Counter(dict(_of_records(runtime, catalog, subjects)))
    counts.update(dict(_of_lines(catalog, lines)))
    return [
        {"source": source, "entry": f"{shard}-{entry}", "drops": count}
        for (source, shard, entry), count in sorted(counts.items())
        if count
    ]


def _of_records(
    runtime: Runtime, catalog: Catalog, subjects: Sequence[str]
) -> Iterator[tuple[tuple[str, int, int], int]]:
    known: dict[str, list[_Rows]] = {}
    for subject in subjects:
        for place, numbers in runtime.key_table.row_numbers(subject):
            known.setdefault(place.path, []).append(np.array(numbers))
    sealed = catalog.connection.execute(
        "SELECT f.source, f.shard, f.entry, e.document, f.n, f.path FROM files f JOIN entries e USING (shard, entry)"
        " WHERE f.role = 'data' AND f.path IN (SELECT unnest(?)) ORDER BY f.source, f.shard, f.entry",
        [sorted(known)],
    ).fetchall()
    for (source, shard, entry, document), files in groupby(sealed, itemgetter(0, 1, 2, 3)):
        own = {n: reduce(np.union1d, known[path]) for *_, n, path in files}
        yield (source, shard, entry), _alone(rows_of_drops(runtime.store, json.loads(document)), own)


def _alone(drops: pl.DataFrame, own: Mapping[int, _Rows]) -> int:
    """Drops all of whose rows are the person's.

    Args:
        drops: a row for each run of a drop's rows: `drop`, `file`, `first`, `count`.
        own: file -> numbers of the person's rows in it, ascending.
    """
    theirs = np.zeros(len(drops), dtype=np.int64)
    file, first, count = (drops[name].to_numpy() for name in ("file", "first", "count"))
    for n, rows in own.items():
        found = np.searchsorted(rows, first + count) - np.searchsorted(rows, first)
        theirs += np.where(file == n, found, 0)
    sums = drops.with_columns(theirs=theirs).group_by("drop").agg(pl.col("count", "theirs").sum())
    return sums.filter((pl.col("count") == pl.col("theirs")) & (pl.col("count") > 0)).height


def _of_lines(catalog: Catalog, lines: Sequence[Mapping[str, Any]]) -> list[tuple[tuple[str, int, int], int]]:
    mentioned = [[line[key] for line in lines] for key in ("source", "entry", "drop")]
    rows = catalog.connection.execute(
        "SELECT d.source, d.shard, d.entry, count(*) FROM drops d JOIN"
        " (SELECT unnest(?) AS source, unnest(?) AS entry, unnest(?) AS sha256, unnest(?) AS lines) m"
        " ON d.source = m.source AND d.shard || '-' || d.entry = m.entry AND d.sha256 = m.sha256"
        " WHERE d.accepted = 0 AND d.quarantined = m.lines GROUP BY ALL",
        [*mentioned, [len(line["lines"]) for line in lines]],
    ).fetchall()
    return [((source, shard, entry), count) for source, shard, entry, count in rows]
