"""Views over the exact sealed files: one a source, `access_events` over all, `set_aside` over quarantine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import duckdb

from tasks.catalog.log_views import LOG_VIEWS
from tasks.catalog.schema import EVENT_COLUMNS
from tasks.contracts.model import Contract

_RECORD_ID = "left(regexp_extract(filename, '([0-9a-f]{64})[.]parquet$', 1), 32) || '-' || file_row_number"
_SQL_TYPES = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
    "strings": "VARCHAR[]",
}
_EMPTY_EVENTS = (
    "SELECT NULL::TIMESTAMPTZ AS time, "
    + ", ".join(f"NULL::VARCHAR AS {name}" for name in EVENT_COLUMNS)
    + ", NULL::VARCHAR AS source, NULL::DATE AS event_date, NULL::VARCHAR AS record_id,"
    " NULL::INTEGER AS shard, NULL::BIGINT AS entry WHERE false"
)
_EMPTY_SET_ASIDE = (
    "SELECT NULL::VARCHAR AS source, NULL::INTEGER AS shard, NULL::BIGINT AS entry, NULL::VARCHAR AS key,"
    ' NULL::BIGINT AS line, NULL::BIGINT AS "offset", NULL::VARCHAR AS disposition,'
    " NULL::VARCHAR[] AS rules WHERE false"
)
# Keys that sign (announce, retire, revoke: a vkey) and keys that protect (commit, shred: a name).
_KEYS = (
    "SELECT shard, entry, sealed_at, document->>'action' AS action,"
    " coalesce(document->>'name', document->>'key') AS key, (document->>'count')::BIGINT AS count,"
    " document->>'root' AS root, document->>'commitment' AS commitment,"
    " document->>'requested_by' AS requested_by, document->>'approver' AS approver,"
    " document->>'reason' AS reason FROM entries WHERE type = 'key'"
)


def literal(text: str) -> str:
    """`text` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def create_views(
    connection: duckdb.DuckDBPyConnection,
    contracts: Iterable[Contract],
    locate: Callable[[str], str],
    lost: Collection[str] = (),
) -> None:
    """(Re)create all views.

    Args:
        connection: the catalog.
        contracts: the contracts of the sources that may have been sealed.
        locate: object path -> what DuckDB opens (`s3://...` or a file path).
        lost: files that are not in the store, and are left out.
    """
    events = []
    for contract in contracts:
        files = _paths(connection, "data", contract.source, lost)
        if files:
            _create_source_view(connection, contract, [locate(path) for path in files])
            events.append(_events_of(contract))
    connection.execute(
        "CREATE OR REPLACE VIEW access_events AS " + (" UNION ALL ".join(events) or _EMPTY_EVENTS)
    )
    connection.execute(f"CREATE OR REPLACE VIEW keys AS {_KEYS}")
    connection.execute(LOG_VIEWS)
    aside = [locate(path) for path in _paths(connection, "quarantine", None, lost)]
    connection.execute(
        "CREATE OR REPLACE VIEW set_aside AS " + (_set_aside(aside) if aside else _EMPTY_SET_ASIDE)
    )


def _paths(
    connection: duckdb.DuckDBPyConnection, role: str, source: str | None, lost: Collection[str]
) -> list[str]:
    rows = connection.execute(
        "SELECT path FROM files WHERE role = ? AND (? IS NULL OR source = ?) ORDER BY shard, entry, n",
        [role, source, source],
    ).fetchall()
    return [path for (path,) in rows if path not in lost]


def _scan(files: list[str], *, hive: bool) -> str:
    listed = ", ".join(literal(f) for f in files)
    return (
        f"read_parquet([{listed}], union_by_name = true, filename = true, file_row_number = true,"
        f" hive_partitioning = {str(hive).lower()})"
    )


def _create_source_view(connection: duckdb.DuckDBPyConnection, contract: Contract, files: list[str]) -> None:
    scan = _scan(files, hive=True)
    present = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()}
    # Numbers are sealed as their source text, so that no digit is lost; people want to compute with them.
    numbers = [f.name for f in contract.fields if f.type == "number" and f.name in present]
    casts = ", ".join(f'try_cast("{n}" AS DOUBLE) AS "{n}"' for n in numbers)
    # A field that no sealed file has yet still exists in the view, so that queries need not know the history.
    missing = "".join(
        f', NULL::{_SQL_TYPES.get(f.type, "VARCHAR")} AS "{f.name}"'
        for f in contract.fields
        if f.name not in present
    )
    replace = f" REPLACE ({casts})" if casts else ""
    connection.execute(
        f'CREATE OR REPLACE VIEW "{contract.source}" AS'
        f" SELECT s.* EXCLUDE (filename, file_row_number){replace}{missing},"
        f" {_RECORD_ID} AS record_id, f.shard, f.entry"
        f" FROM {scan} s JOIN files f"
        " ON f.sha256 = regexp_extract(s.filename, '([0-9a-f]{64})[.]parquet$', 1) AND f.role = 'data'"
    )


def _events_of(contract: Contract) -> str:
    columns = ", ".join(
        f"CAST({contract.access_events.get(name, 'NULL')} AS VARCHAR) AS {name}" for name in EVENT_COLUMNS
    )
    return (
        f"SELECT _time AS time, {columns}, source, event_date, record_id, shard, entry"
        f' FROM "{contract.source}"'
    )


def _set_aside(files: list[str]) -> str:
    return (
        'SELECT f.source, f.shard, f.entry, d.key, q._line AS line, q._offset AS "offset",'
        f" q.disposition, q.rules FROM {_scan(files, hive=False)} q"
        " JOIN files f ON f.sha256 = regexp_extract(q.filename, '([0-9a-f]{64})[.]parquet$', 1)"
        " AND f.role = 'quarantine'"
        " JOIN drops d ON d.shard = f.shard AND d.entry = f.entry AND d.index = q._drop"
    )
