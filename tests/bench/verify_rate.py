"""How many rows `indelible verify` checks in a second of one core, by source, and what each part of it costs.

    python -m tests.bench.verify_rate [--source app] [--mb 100] [--repeat 3] [--json]

Generated drops are delivered into a store in a directory, and the whole store is verified as the command does it:
signatures, history, digests, every row. What counts is CPU time of the process with all its threads, so rows/s are
of one core whatever the machine has. The fastest of the repeated runs is printed, because machines are noisy.
`width` is the mean length of a row's canonical JSON, personal columns included and salts left out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from unittest import mock

import polars as pl

from flows import evidence, pipeline
from flows.wiring import Runtime
from tasks import leaves
from tasks.evidence import merkle
from tasks.storage.local import LocalStore
from tasks.verify import objects, rows
from tests.bench.against_duckdb import SOURCES, Clock, generate
from tests.support.deployment import deployment

# What is watched; the last two are within `leads_to`.
PARTS: Final = (
    (objects, "check_ledger"),
    (rows, "_check_coordinates"),
    (rows, "leads_to"),
    (leaves, "leaf_hashes"),
    (merkle, "root"),
)


def _width(store: Path) -> tuple[int, int]:
    """Mean bytes of JSON a row, and columns, of the largest data file."""
    path = max(store.glob("data/*/*/*.parquet"), key=lambda file: file.stat().st_size)
    frame = pl.read_parquet(path, n_rows=leaves.ROW_GROUP).with_columns(pl.col(pl.Datetime).cast(pl.Int64))
    text = pl.struct(pl.all()).struct.json_encode()
    return round(frame.select(text.str.len_bytes().mean()).item()), frame.width


def _verified(runtime: Runtime) -> tuple[Clock, int]:
    """One verification of the store; its clock, and how many rows it hashed."""
    clock = Clock()
    with ExitStack() as patches:
        for module, name in PARTS:
            measured = clock.measured(name, getattr(module, name))
            patches.enter_context(mock.patch.object(module, name, measured))
        with clock.measure("verify"):
            report = evidence.verify_store(runtime)
    if not report.ok:
        raise SystemExit("The store that was just sealed does not verify.")
    return clock, report.counted["rows"]


def rate(source: str, megabytes: float, repeat: int, work: Path) -> dict[str, Any]:
    """Deliver one source and verify it several times."""
    drops = generate(source, megabytes, work / "drops")
    runtime = deployment(LocalStore(work / "store"), work / "state", {source: drops.as_uri()})
    pipeline.deliver(runtime, source)
    runs = [_verified(runtime) for _ in range(repeat)]
    clock, count = min(runs, key=lambda run: run[0].spent["verify"][1])
    width, columns = _width(work / "store")
    return {
        "source": source,
        "rows": count,
        "columns": columns,
        "width": width,
        "rows_per_cpu_s": round(count / clock.spent["verify"][1]),
        "ns_per_row": {name: round(spent[1] / count * 1e9) for name, spent in clock.spent.items()},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", choices=SOURCES, action="append")
    parser.add_argument("--mb", type=float, default=100, help="uncompressed megabytes a source")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = []
    for source in options.source or SOURCES:
        with tempfile.TemporaryDirectory(prefix="indelible-bench-") as directory:
            results.append(rate(source, options.mb, options.repeat, Path(directory)))
        if not options.json:
            _print(results[-1])
    if options.json:
        print(json.dumps(results, indent=2))


def _print(result: dict[str, Any]) -> None:
    print(
        f"{result['source']}: {result['rows_per_cpu_s']:,} rows/s a core "
        f"({result['rows']:,} rows, {result['columns']} columns, {result['width']:,} bytes of JSON a row)"
    )
    for name, spent in result["ns_per_row"].items():
        print(f"  {spent:7,} ns/row  {name}")


if __name__ == "__main__":
    main()
