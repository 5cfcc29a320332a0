"""The catalog: everything that the log says, as DuckDB tables. Derived; losing it loses nothing.

Put here: folding entries into tables, and questions about what is sealed. Do not put here: anything that is
not in the log. What answers "is this drop sealed?" is the log, read up to its end just before.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import polars as pl

from tasks.batch import Drop
from tasks.catalog.named import named_tables
from tasks.catalog.schema import ENTRY_TABLES, TABLES
from tasks.catalog.session import Session
from tasks.catalog.status import status
from tasks.contracts.model import Contract
from tasks.errors import NotFoundError
from tasks.evidence import merkle, paths
from tasks.evidence.entry import parse_entry
from tasks.files import whole_file
from tasks.log import reader
from tasks.storage.protocol import ObjectStore

_SUMS = ("drops", "lines", "accepted", "quarantined", "duplicate", "blank", "bytes")


@dataclass(frozen=True, slots=True)
class Tail:
    """Where a shard ends, and a source's chain in it.

    Attributes:
        size: entries in the shard, integrated or not; the index of the next entry.
        source_seq: number of the source's entries in the shard.
        previous: index and leaf hash (hex) of the source's last entry; None for its first.
        all_years: number of the source's entries in all shards.
    """

    size: int
    source_seq: int
    previous: tuple[int, str] | None
    all_years: int


class Catalog:
    """A private, writable working copy of the catalog; `publish` makes a copy that others read."""

    def __init__(self, store: ObjectStore, session: Session, seed: Path | None = None) -> None:
        """Open a working copy.

        Args:
            store: where the log and the sealed objects lie.
            session: how DuckDB reaches the sealed Parquet files.
            seed: an earlier published catalog, to start from. Its absence costs time only; one of another log
                is found out and not used.
        """
        self._store, self._session = store, session
        self._directory = Path(tempfile.mkdtemp(prefix="indelible-catalog-"))
        self._path = self._directory / "catalog.duckdb"
        if seed is not None and seed.exists():
            shutil.copyfile(seed, self._path)
        self.connection = session.connect(self._path)
        self.connection.execute(TABLES)
        if not all(self._is_of_this_log(shard) for shard in self.published()):
            for table in ("log_state", *ENTRY_TABLES):
                self.connection.execute(f"DELETE FROM {table}")

    def _is_of_this_log(self, shard: int) -> bool:
        """Whether the last entry here is the one that stands at its place in the store's log."""
        last, leaf = self.connection.execute(
            "SELECT max(entry), max_by(leaf, entry) FROM entries WHERE shard = ?", [shard]
        ).fetchall()[0]
        try:
            return merkle.leaf_hash(self._store.read(paths.sequence(shard, last))).hex() == str(leaf)
        except NotFoundError:
            return False

    def __enter__(self) -> Catalog:
        """Use as a context manager; the working copy is removed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the working copy."""
        self.connection.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def sync(self) -> int:
        """Fold in every entry that is in the store and not yet here.

        Returns:
            The number of new entries.
        """
        added = 0
        shards = reader.shards(self._store)
        for shard in shards:
            if shard + 1 in shards and reader.recovery(self._store, shard) is not None:
                self._forget(shard, reader.integrated(self._store, shard))  # beyond it, nothing is evidence
            start = self.size(shard)
            for index, data in reader.entries(self._store, shard, start):
                self._apply(shard, index, data)
                added += 1
        return added

    def size(self, shard: int) -> int:
        """Entries of the shard that are in the catalog."""
        row = self.connection.execute(
            "SELECT coalesce(max(entry) + 1, 0) FROM entries WHERE shard = ?", [shard]
        ).fetchone()
        return int(row[0]) if row else 0

    def published(self) -> dict[int, int]:
        """Shard -> entries under the checkpoint with which this catalog was last published."""
        return dict(self.connection.execute("SELECT shard, size FROM log_state").fetchall())

    def tail(self, shard: int, source: str) -> Tail:
        """Where the next entry of `source` goes."""
        row = self.connection.execute(
            "SELECT count(*) FILTER (shard = $1), max(entry) FILTER (shard = $1),"
            " max_by(leaf, entry) FILTER (shard = $1), count(*) FROM entries WHERE source = $2 AND type = 'seal'",
            [shard, source],
        ).fetchone()
        count, last, leaf, everywhere = row if row else (0, None, None, 0)
        return Tail(self.size(shard), int(count), (int(last), leaf) if count else None, int(everywhere))

    def unsealed(self, drops: Sequence[Drop]) -> list[Drop]:
        """Those drops that are not sealed, as the landing place lists them, in their order.

        A drop counts as sealed when key and size and either the version id or the ETag agree. Where neither
        does (a copy with a new time stamp), the drop is read again and `known_content` decides.
        """
        frame = pl.DataFrame(
            [(i, d.source, d.key, d.size, d.etag, d.version_id) for i, d in enumerate(drops)],
            schema={"i": pl.Int64, "source": pl.String, "key": pl.String, "bytes": pl.Int64,
                    "etag": pl.String, "version_id": pl.String},
            orient="row",
        )  # fmt: skip
        rows = self._ask(
            "SELECT i FROM asked a WHERE NOT EXISTS (SELECT 1 FROM drops d WHERE d.source = a.source"
            " AND d.key = a.key AND d.bytes = a.bytes AND (d.etag = a.etag OR d.version_id = a.version_id))"
            " ORDER BY i",
            frame,
        )
        return [drops[i] for (i,) in rows]

    def known_content(self, source: str, contents: Sequence[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Those (key, SHA-256 of the stored bytes) that are sealed drops of the source."""
        frame = pl.DataFrame(contents, schema={"key": pl.String, "sha256": pl.String}, orient="row")
        rows = self._ask(
            "SELECT a.key, a.sha256 FROM asked a SEMI JOIN drops d"
            " ON d.source = ? AND d.key = a.key AND d.sha256 = a.sha256",
            frame,
            source,
        )
        return frozenset((key, digest) for key, digest in rows)

    def known_fingerprints(self, source: str, dates: Iterable[str], candidates: pl.Series) -> frozenset[str]:
        """Those of `candidates` that stand in sealed files of the source's event dates.

        Cost grows with the rows of those dates, not with the lake: one column of their files is read. What a
        file held that is not in the store any more, or cannot be read, is new.
        """
        wanted = list(dates)
        files = self.connection.execute(
            "SELECT path FROM files WHERE role = 'data' AND source = ?"
            " AND event_date::VARCHAR IN (SELECT unnest(?))",
            [source, wanted],
        ).fetchall()
        names = [path for (path,) in files]
        try:
            return self._fingerprints(names, candidates)
        except duckdb.Error:
            rows = "SELECT count(DISTINCT _fingerprint) FROM read_parquet(?, union_by_name = true)"
            lost = self._unreadable(names, rows)
            if not lost:
                raise
            return self._fingerprints([path for path in names if path not in lost], candidates)

    def _fingerprints(self, files: Sequence[str], candidates: pl.Series) -> frozenset[str]:
        if not files or candidates.is_empty():
            return frozenset()
        rows = self._ask(
            # The empty part gives the column to files from before the contract had a record key.
            "SELECT DISTINCT _fingerprint FROM (SELECT NULL::VARCHAR AS _fingerprint WHERE false"
            " UNION ALL BY NAME SELECT * FROM read_parquet(?, union_by_name = true))"
            " SEMI JOIN asked a ON _fingerprint = a.fingerprint",
            pl.DataFrame({"fingerprint": candidates}),
            [self._session.locate(path) for path in files],
        )
        return frozenset(value for (value,) in rows)

    def _ask(self, sql: str, asked: pl.DataFrame, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a query that joins with `asked`, so that a thousand questions cost one."""
        self.connection.register("asked", asked.to_arrow())
        try:
            return self.connection.execute(sql, list(parameters)).fetchall()
        finally:
            self.connection.unregister("asked")

    def locate(self, path: str) -> str:
        """What DuckDB opens for an object path."""
        return self._session.locate(path)

    def sealed_at(self, shard: int, entry: int) -> str:
        """When an entry was sealed, RFC 3339."""
        row = self.connection.execute(
            "SELECT sealed_at FROM entries WHERE shard = ? AND entry = ?", [shard, entry]
        ).fetchone()
        if row is None:
            raise NotFoundError(f"there is no entry {entry} in the log of {shard}")
        return str(row[0])

    def quarantined_raw(self, shard: int, entry: int) -> list[tuple[int, int, str]]:
        """(drop index, line, encrypted raw) of an entry's quarantined lines, in order."""
        files = self.connection.execute(
            "SELECT path FROM files WHERE role = 'quarantine' AND shard = ? AND entry = ?", [shard, entry]
        ).fetchall()
        if not files:
            return []
        rows = self.connection.execute(
            "SELECT _drop, _line, raw FROM read_parquet(?) WHERE disposition = 'quarantined'"
            " ORDER BY _drop, _line",
            [[self._session.locate(path) for (path,) in files]],
        ).fetchall()
        return [(int(drop), int(line), str(raw)) for drop, line, raw in rows]

    def rule_hits(self, shard: int, start: int, end: int) -> dict[tuple[str, str], int]:
        """(source, rule) -> quarantined lines that broke it, of entries from `start` up to and without `end`.

        Reads the quarantine files of these entries, one column of each.
        """
        files = self.connection.execute(
            "SELECT source, path FROM files WHERE role = 'quarantine' AND shard = ? AND entry >= ? AND entry < ?",
            [shard, start, end],
        ).fetchall()
        hits: dict[tuple[str, str], int] = {}
        for source in sorted({source for source, _ in files}):
            located = [self._session.locate(path) for of, path in files if of == source]
            rows = self.connection.execute(
                "SELECT rule, count(*) FROM read_parquet(?), unnest(rules) AS r(rule)"
                " WHERE disposition = 'quarantined' GROUP BY rule",
                [located],
            ).fetchall()
            hits |= {(source, str(rule)): int(lines) for rule, lines in rows}
        return hits

    def retention_class(self, source: str) -> dict[str, Any] | None:
        """The newest entry that says how long the source's records are kept."""
        row = self.connection.execute(
            "SELECT document FROM entries WHERE type = 'retention' AND (document->>'$.action') = 'class'"
            " AND (document->>'$.scope.source') = ? ORDER BY shard DESC, entry DESC LIMIT 1",
            [source],
        ).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def files_with(self, files: Iterable[str], value: str) -> frozenset[str]:
        """Those of the Parquet files in which a column of text or of lists of text holds exactly `value`."""
        digests = {path.rpartition("/")[2].removesuffix(".parquet"): path for path in files}
        if not digests:
            return frozenset()
        located = [self._session.locate(path) for path in digests.values()]
        scan = "read_parquet($1, union_by_name = true, filename = true, hive_partitioning = false)"
        described = self.connection.execute(f"DESCRIBE SELECT * EXCLUDE (filename) FROM {scan}", [located])
        types = {"VARCHAR": '"{}" = $2', "VARCHAR[]": 'list_contains("{}", $2)'}
        tests = [types[row[1]].format(row[0]) for row in described.fetchall() if row[1] in types]
        rows = self.connection.execute(
            "SELECT DISTINCT regexp_extract(filename, '([0-9a-f]{64})[.]parquet$', 1)"
            f" FROM {scan} WHERE {' OR '.join(tests) or 'false'}",
            [located, value],
        ).fetchall()
        return frozenset(digests[digest] for (digest,) in rows)

    def create_views(self, contracts: Iterable[Contract]) -> tuple[str, ...]:
        """(Re)create the views, so that they name every file sealed so far.

        Returns:
            Sealed files that are not in the store, or are no Parquet files any more. The views go on without
            them; `tasks.verify` reports them.
        """
        of_sources = tuple(contracts)
        try:
            self._session.create_views(self.connection, of_sources)
        except duckdb.Error:
            sql = "SELECT path FROM files WHERE role IN ('data', 'quarantine')"
            named = [path for (path,) in self.connection.execute(sql).fetchall()]
            lost = self._unreadable(named, "SELECT count(*) FROM parquet_schema(?)")
            if not lost:
                raise
            self._session.create_views(self.connection, of_sources, lost)
            return lost
        return ()

    def status(self) -> dict[str, Any]:
        """Sums by source and by shard, from the log alone."""
        return status(self.connection, self._store, self.size)

    def publish_to(
        self, path: Path, contracts: Iterable[Contract], checkpoints: Mapping[int, tuple[int, str]]
    ) -> tuple[bytes, tuple[str, ...]]:
        """Finish the catalog as of the newest checkpoints and write it to `path`.

        What is in no checkpoint yet is taken out: what the catalog shows can be proven.

        Args:
            path: local file; replaced atomically.
            contracts: contracts of all sources.
            checkpoints: shard -> (size, signed note).

        Returns:
            Its bytes, and what `create_views` returns.
        """
        for shard, (size, note) in checkpoints.items():
            self._forget(shard, size)
            self.connection.execute("INSERT OR REPLACE INTO log_state VALUES (?, ?, ?)", [shard, size, note])
        lost = self.create_views(contracts)
        self.connection.execute("CHECKPOINT")
        self.connection.close()
        data = self._path.read_bytes()
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(data)
        self.connection = self._session.connect(self._path)
        return data, lost

    def _unreadable(self, files: Iterable[str], probe: str) -> tuple[str, ...]:
        """Those of the files that are not in the store, or that `probe` finds damaged.

        A store that does not answer is another matter: then the error is raised, and nothing is left out.
        """
        prefixes = (paths.DATA_PREFIX, paths.QUARANTINE_PREFIX)
        there = {info.path for prefix in prefixes for info in self._store.list(prefix)}
        return tuple(sorted(p for p in files if p not in there or self._damaged(p, probe)))

    def _damaged(self, path: str, probe: str) -> bool:
        try:
            self.connection.execute(probe, [self._session.locate(path)]).fetchall()
        except duckdb.IOException:
            raise
        except duckdb.Error:  # DuckDB has no class of its own for a broken file
            return True
        return False

    def _forget(self, shard: int, size: int) -> None:
        for table in ENTRY_TABLES:
            self.connection.execute(f"DELETE FROM {table} WHERE shard = ? AND entry >= ?", [shard, size])

    def _apply(self, shard: int, index: int, data: bytes) -> None:
        entry = parse_entry(data)
        leaf = merkle.leaf_hash(data).hex()
        self.connection.execute("BEGIN")
        try:
            self.connection.execute(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [shard, index, entry["type"], entry.get("source"), entry.get("source_seq"), leaf,
                 entry.get("sealed_at"), data.decode()],
            )  # fmt: skip
            if entry["type"] == "seal":
                self._apply_seal(shard, index, entry)
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def _apply_seal(self, shard: int, index: int, entry: Mapping[str, Any]) -> None:
        sums = entry["sums"]
        self.connection.execute(
            "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [shard, index, entry["source"], entry["sealed_at"], entry["contract"]["version"],
             entry["gate"]["held"], entry["gate"]["path"], entry["ledger"]["path"], entry["retain_until"],
             *(sums[k] for k in _SUMS)],
        )  # fmt: skip
        for role, name in (("data", "files"), ("quarantine", "quarantine"), ("identities", "identities")):
            for n, file in enumerate(entry[name]):
                self.connection.execute(
                    "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [shard, index, n, role, entry["source"], file.get("event_date"), file["path"],
                     file["version_id"], file["bytes"], file["rows"], file["sha256"], file["root"],
                     file.get("min_time"), file.get("max_time")],
                )  # fmt: skip
        for table, frame in named_tables(self._store, entry).items():
            self._insert(table, [shard, index, entry["source"]], frame)

    def _insert(self, table: str, place: list[object], frame: pl.DataFrame) -> None:
        columns = ", ".join(f'"{name}"' for name in frame.columns)
        self.connection.register("named_rows", frame.to_arrow())
        self.connection.execute(
            f"INSERT INTO {table} (shard, entry, source, {columns}) SELECT ?, ?, ?, {columns} FROM named_rows",
            place,
        )
        self.connection.unregister("named_rows")
