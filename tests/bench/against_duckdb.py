"""The main job against a bare DuckDB conversion of the same files, in one run: ratios, and the share of each stage.

    python -m tests.bench.against_duckdb [--mb 200] [--source cloudtrail] [--tree DIRECTORY] [--json]

The peers read the same gzip files into typed, zstd Parquet and do nothing else: no validation, no redaction, no
hash, no line accounted for. `bare` infers the schema, which is what DuckDB does when it is given only the files;
`typed` is told a schema that we wrote by hand, which saves it a pass. Quote ratios: the machines are noisy.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from flows import pipeline
from tasks.storage.local import LocalStore
from tests.support.deployment import deployment
from tests.support.shared import SHARED

STAGES = ("find_new", "read_batch", "validate", "redact", "seal", "publish")
_EVENT = (
    "STRUCT(eventVersion VARCHAR, userIdentity STRUCT(type VARCHAR, principalId VARCHAR, arn VARCHAR,"
    " accountId VARCHAR, accessKeyId VARCHAR, userName VARCHAR, invokedBy VARCHAR, sessionContext JSON),"
    " eventTime TIMESTAMP, eventSource VARCHAR, eventName VARCHAR, awsRegion VARCHAR,"
    " sourceIPAddress VARCHAR, userAgent VARCHAR,"
    " errorCode VARCHAR, errorMessage VARCHAR, requestParameters JSON, responseElements JSON,"
    " additionalEventData JSON, requestID VARCHAR, eventID VARCHAR, readOnly BOOLEAN, resources JSON,"
    " eventType VARCHAR, managementEvent BOOLEAN, recipientAccountId VARCHAR, sharedEventID VARCHAR,"
    " eventCategory VARCHAR, tlsDetails JSON,"
    " sessionCredentialFromConsole VARCHAR, serviceEventDetails JSON,"
    " apiVersion VARCHAR, vpcEndpointId VARCHAR)[]"
)
_LINES = "SELECT * FROM read_ndjson({files}, union_by_name = true, ignore_errors = true)"
_DOCUMENTS = "FROM read_json({files}, maximum_object_size = 268435456,"
_PEERS = {
    "cloudtrail": {
        "bare": f"SELECT unnest(Records) {_DOCUMENTS} union_by_name = true)",
        "typed": f"SELECT unnest(Records, max_depth := 2) {_DOCUMENTS} columns = {{{{'Records': '{_EVENT}'}}}})",
    },
    "gateway": {"bare": _LINES},
    "app": {"bare": _LINES},
}
_TREE = {
    "cloudtrail": (("--cloudtrail-mb", "--gateway-mb", "--app-mb"), "cloudtrail"),
    "gateway": (("--gateway-mb", "--cloudtrail-mb", "--app-mb"), "gateway/nginx-json"),
    "app": (("--app-mb", "--cloudtrail-mb", "--gateway-mb"), "app/svc-ndjson"),
}
SOURCES = tuple(sorted(_PEERS))


class Clock:
    """Wall and CPU seconds of this process and its threads."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the block's time to `name`."""
        before = _now()
        yield
        after = _now()
        spent = self.spent.setdefault(name, [0.0, 0.0])
        spent[0] += after[0] - before[0]
        spent[1] += after[1] - before[1]

    def wrap(self, module: Any, name: str) -> None:
        """Measure every call of a function of `module`."""
        setattr(module, name, self.measured(name, getattr(module, name)))

    def measured(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose calls are measured."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.measure(name):
                return function(*args, **kwargs)

        return call


def _now() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def generate(source: str, megabytes: float, directory: Path) -> Path:
    """Drops of one source by the load generator; the folder that they lie in."""
    (wanted, *others), part = _TREE[source]
    share = {"cloudtrail": 1.0, "gateway": 5.0, "app": 4.0}[
        source
    ]  # the generator divides these among services
    command = [
        sys.executable,
        str(SHARED / "tools" / "loadgen.py"),
        str(directory),
        "--clean",
        "--workers",
        "2",
    ]
    command += [wanted, str(megabytes * share), *(x for other in others for x in (other, "0"))]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return directory / part


def _convert(query: str, files: list[str], target: Path) -> None:
    listed = "[" + ", ".join(f"'{f}'" for f in files) + "]"
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    connection.execute(
        f"COPY ({query.format(files=listed)}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
    )


def run(source: str, tree: Path, work: Path) -> dict[str, Any]:
    """One comparison over the drops in `tree`."""
    files = sorted(str(path) for path in tree.rglob("*") if path.is_file() and "_truth" not in path.parts)
    text = sum(
        len(gzip.decompress(Path(f).read_bytes())) if f.endswith(".gz") else Path(f).stat().st_size
        for f in files
    )
    clock = Clock()
    import great_expectations  # noqa: F401  seconds that a process pays once, whatever it delivers

    for name, query in _PEERS[source].items():
        with clock.measure(name):
            _convert(query, files, work / f"{name}.parquet")
    for stage in STAGES:
        clock.wrap(pipeline, stage)
    runtime = deployment(LocalStore(work / "store"), work / "state", {source: tree.as_uri()})
    with clock.measure("indelible"):
        receipts, _ = pipeline.deliver(runtime, source)
    ours = clock.spent["indelible"]
    return {
        "source": source,
        "files": len(files),
        "megabytes": round(text / 1e6, 1),
        "lines": sum(r.lines for r in receipts),
        "accepted": sum(r.accepted for r in receipts),
        "runs": {
            name: {
                "wall_s": round(clock.spent[name][0], 2),
                "cpu_s": round(clock.spent[name][1], 2),
                "mb_per_cpu_s": round(text / 1e6 / clock.spent[name][1], 1),
                "ratio_cpu": round(clock.spent[name][1] / ours[1], 2),
                "ratio_wall": round(clock.spent[name][0] / ours[0], 2),
            }
            for name in (*_PEERS[source], "indelible")
        },
        "stages_cpu_share": {
            stage: round(clock.spent[stage][1] / ours[1], 3) for stage in STAGES if stage in clock.spent
        },
    }


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mb", type=float, default=200, help="uncompressed megabytes to generate")
    parser.add_argument("--source", choices=SOURCES, default="cloudtrail")
    parser.add_argument("--tree", type=Path, help="an existing directory of drops, instead of generating one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="indelible-bench-") as directory:
        work = Path(directory)
        tree = options.tree or generate(options.source, options.mb, work / "tree")
        result = run(options.source, tree.resolve(), work)
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(
        f"{result['source']}: {result['megabytes']} MB of text in {result['files']} files, {result['lines']:,} lines"
    )
    for name, spent in result["runs"].items():
        times = f"wall {spent['wall_s']:7.2f} s   cpu {spent['cpu_s']:7.2f} s   {spent['mb_per_cpu_s']:6.1f} MB/cpu s"
        ratio = (
            ""
            if name == "indelible"
            else f"   we: {spent['ratio_cpu']:.2f}x cpu, {spent['ratio_wall']:.2f}x wall"
        )
        print(f"  {name:10} {times}{ratio}")
    for stage, share in result["stages_cpu_share"].items():
        print(f"  {share:6.1%}  {stage}")


if __name__ == "__main__":
    main()
