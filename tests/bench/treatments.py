"""The main job with treatments against the same job with none: throughput as a ratio, and where time goes.

    python -m tests.bench.treatments [--tree DIRECTORY] [--source cloudtrail] [--repeat 3] [--json]

All runs are in one process and deliver the same drops of the load generator. `none` seals what was validated and
leaves the redact stage out (keeping every field by contract would not do: the re-scan sets aside what it then
finds). `shipped` is the contract as it is. `all` is the same contract with persons' fields encrypted (`encrypt`,
with the keys of persons) and addresses as prefix-preserving pseudonyms (`prefix_pseudonym`). Runs alternate and the
median counts, because machines are noisy. A ratio below 0.7 ends the command with 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

import polars as pl
import yaml

from flows import pipeline
from tasks.batch import DROP, LENGTH, LINE, OFFSET, RedactedBatch, ValidatedBatch
from tasks.contracts.load import FILE_NAME, load_contract
from tasks.contracts.model import Contract
from tasks.redact import holders, redact, stage
from tasks.redact.canaries import rehearse
from tasks.redact.report import redaction_report
from tasks.redact.scan import Scanner
from tasks.redact.treatments import Treatments
from tasks.storage.local import LocalStore
from tests.bench.against_duckdb import Clock
from tests.support.deployment import deployment
from tests.support.shared import SHARED

RUNS: Final = ("none", "shipped", "all")
TARGET: Final = 0.7
PARTS: Final = {
    "cloudtrail": ("cloudtrail", 60.0),
    "gateway": ("gateway/nginx-json", 300.0),
    "app": ("app/svc-ndjson", 240.0),
}
STAGES: Final = ("read_batch", "validate", "redact", "seal", "publish")
Swap = tuple[Any, str, Callable[..., Any]]


def write_contracts(source: str, directory: Path) -> dict[str, Path]:
    """A directory with the contract of each kind of run."""
    shipped = load_contract(source).document
    found = {}
    for name in RUNS:
        content = yaml.safe_load(shipped)
        if name == "all":
            _treat_everything(content["schema"][0])
        found[name] = directory / name
        target = found[name] / source / FILE_NAME
        target.parent.mkdir(parents=True)
        target.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return found


def _treat_everything(schema: dict[str, Any]) -> None:
    stronger = {"pseudonym": "encrypt", "truncate_ip": "prefix_pseudonym"}
    for field in schema["properties"]:
        for entry in list(field.get("customProperties", ())):
            if entry["property"] == "treatment" and entry["value"] in stronger:
                entry["value"] = stronger[entry["value"]]
                if entry["value"] == "prefix_pseudonym":
                    field["customProperties"].append({"property": "domain", "value": "address"})


def unredacted(batch: ValidatedBatch, contract: Contract, _: object) -> RedactedBatch:
    """The batch as if nothing had to be redacted; quarantined lines are left out of the comparison."""
    raw = pl.lit(None, dtype=pl.String).alias("raw")
    return RedactedBatch(
        source=batch.source,
        drops=stage._ledger(batch),
        frame=batch.frame.drop(LENGTH),
        set_aside=batch.set_aside.select(DROP, LINE, OFFSET, "disposition", "rules", raw),
        gate=batch.gate,
        violations=batch.violations,
        unknown_fields=batch.unknown_fields,
        keys=(),
        report=redaction_report(
            batch.frame, contract, contract.fields, Counter(), (), rehearse(contract.sha256)
        ),
    )


@contextmanager
def _watched(clock: Clock, run: str) -> Iterator[None]:
    """Stages, and parts of the redact stage, report their time; and `none` has no redact stage."""
    parts: list[tuple[Any, str]] = [(pipeline, name) for name in (*STAGES, "record_fingerprints")]
    parts += [(stage, name) for name in ("known_persons", "search_again", "encrypt_identities")]
    parts += [(holders, "find_subjects")]
    parts += [(Scanner, "scan"), (Treatments, "_pseudonyms"), (Treatments, "_prefix_pseudonyms")]
    with mock.patch.object(pipeline, "redact", unredacted if run == "none" else redact):
        swaps = [mock.patch.object(o, n, clock.measured(n, getattr(o, n))) for o, n in parts]
        for swap in swaps:
            swap.start()
        try:
            yield
        finally:
            for swap in swaps:
                swap.stop()


def deliver(run: str, source: str, tree: Path, contracts: Path, work: Path) -> tuple[Clock, int]:
    """One delivery into a fresh store; its clock, and how many records were accepted."""
    clock = Clock()
    runtime = deployment(
        LocalStore(work / "store"), work / "state", {source: tree.as_uri()}, contracts=contracts
    )
    with _watched(clock, run), clock.measure("deliver"):
        receipts, _ = pipeline.deliver(runtime, source)
    return clock, sum(receipt.accepted for receipt in receipts)


def compare(source: str, tree: Path, repeat: int, work: Path) -> dict[str, Any]:
    """All runs of one source, alternating; a first one that is not counted pays for imports."""
    contracts = write_contracts(source, work / "contracts")
    spent: defaultdict[str, list[Clock]] = defaultdict(list)
    accepted = {}
    for number in range(-1, repeat):
        for name in RUNS if number >= 0 else RUNS[:1]:
            with tempfile.TemporaryDirectory(dir=work) as place:
                clock, accepted[name] = deliver(name, source, tree, contracts[name], Path(place))
            if number >= 0:
                spent[name].append(clock)
    seconds = {name: _median(spent[name], "deliver") for name in RUNS}
    parts = sorted({part for clock in spent["all"] for part in clock.spent} - {"deliver"})
    return {
        "source": source,
        "accepted": accepted,
        "cpu_s": {name: round(seconds[name], 2) for name in RUNS},
        "ratio": {name: round(seconds["none"] / seconds[name], 3) for name in RUNS[1:]},
        "share_of_all": {part: round(_median(spent["all"], part) / seconds["all"], 3) for part in parts},
    }


def _median(clocks: Sequence[Clock], part: str) -> float:
    return statistics.median(clock.spent.get(part, [0.0, 0.0])[1] for clock in clocks)


def _generate(directory: Path) -> Path:
    sizes = [text for source, (_, mb) in PARTS.items() for text in (f"--{source}-mb", str(mb))]
    generator = str(SHARED / "tools" / "loadgen.py")
    command = [sys.executable, generator, str(directory), "--clean", "--workers", "2", *sizes]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return directory


def main() -> None:
    """Run the comparisons and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=Path, help="a tree of the load generator, instead of making one")
    parser.add_argument("--source", choices=sorted(PARTS), action="append")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="indelible-bench-") as directory:
        tree = (options.tree or _generate(Path(directory) / "tree")).resolve()
        for source in options.source or sorted(PARTS):
            work = Path(directory) / source
            work.mkdir()
            results.append(compare(source, tree / PARTS[source][0], options.repeat, work))
            if not options.json:
                _print(results[-1])
    if options.json:
        print(json.dumps(results, indent=2))
    if any(min(result["ratio"].values()) < TARGET for result in results):
        sys.exit(1)


def _print(result: dict[str, Any]) -> None:
    print(f"{result['source']}: {result['accepted']['all']:,} records")
    for name in RUNS:
        ratio = f"   {result['ratio'][name]:.2f}x of none" if name in result["ratio"] else ""
        print(f"  {name:8} {result['cpu_s'][name]:7.2f} cpu s{ratio}")
    for part, share in sorted(result["share_of_all"].items(), key=lambda item: -item[1]):
        print(f"  {share:6.1%}  {part}")


if __name__ == "__main__":
    main()
