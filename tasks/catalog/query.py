"""Read-only SQL over a published catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from tasks.catalog.session import Session
from tasks.errors import NotFoundError, StoreUnavailableError, UsageError


def run_query(session: Session, catalog: Path, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of one statement.

    Raises:
        UsageError: the statement is wrong, or would write.
        NotFoundError: nothing was published yet, or a sealed file is gone.
        StoreUnavailableError: the sealed files cannot be reached.
    """
    if not catalog.exists():
        raise NotFoundError("no catalog was published here yet", next_step="Run `indelible deliver`.")
    connection = session.connect(catalog, read_only=True)
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise UsageError(
                "the query is not one SELECT statement", next_step="Give one SELECT, WITH or FROM statement."
            )
        result = connection.execute(statements[0])
        return [column[0] for column in result.description or []], result.fetchall()
    except (duckdb.IOException, duckdb.HTTPException) as error:
        if "404" in str(error) or "No files found" in str(error):
            raise NotFoundError(
                "a sealed file that the catalog names is not in the store",
                next_step="Run `indelible verify`.",
            ) from error
        raise StoreUnavailableError(
            "the sealed files cannot be read", next_step="Is the store running?"
        ) from error
    except duckdb.Error as error:
        raise UsageError(
            f"DuckDB: {error}", next_step="Correct the SQL; `DESCRIBE access_events` shows columns."
        ) from error
    finally:
        connection.close()
