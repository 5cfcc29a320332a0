"""`indelible query`: SQL over what is sealed."""

from __future__ import annotations

import csv
import sys
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from flows.cli.common import AsJson, Endpoint, Store, err, out, print_json, runtime_with
from tasks.errors import UsageError

_SHOWN_ROWS = 1000


def query(
    sql: Annotated[
        str,
        typer.Argument(
            help="DuckDB SQL. Views: access_events, one a source, set_aside; tables: drops, files, batches, entries."
        ),
    ],
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, all rows.")] = False,
) -> None:
    """Answer one SQL query over the published catalog. Read-only."""
    from tasks.catalog.query import run_query

    runtime = runtime_with(store=store, endpoint=endpoint)
    if not runtime.catalog_path.exists():
        with runtime.catalog() as catalog:
            from flows import pipeline

            for path in pipeline.restore_catalog(runtime, catalog):
                err.print(
                    f"[red]missing[/] {path}: it is sealed and not in the store; run `indelible verify`"
                )
    names, rows = run_query(runtime.session(), runtime.catalog_path, sql)
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other", next_step="Give one of them.")
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
        return
    table = Table(*names, box=None, pad_edge=False)
    for row in rows[:_SHOWN_ROWS]:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    out.print(table, soft_wrap=False)
    if len(rows) > _SHOWN_ROWS:
        err.print(f"{len(rows) - _SHOWN_ROWS:,} more rows; use --csv or --json for all")
