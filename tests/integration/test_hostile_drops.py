"""Hostile drops through all stages: nothing crashes, nothing is lost, and what is sealed verifies."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from flows import evidence, pipeline
from flows.receipts import BatchReceipt
from flows.wiring import Runtime
from tasks.batch import DROP, LINE, OFFSET
from tasks.evidence import paths
from tasks.redact import decrypt_lines
from tasks.storage.local import LocalStore
from tests.support.counts import lines, salvage
from tests.support.deployment import deployment
from tests.support.hostile import hostile_drops, naughty_strings

HELD_WHOLE = {"encoding.utf16", "gzip.bomb", "gzip.corrupt", "gzip.crc"}


@dataclass(frozen=True)
class Outcome:
    """What became of all hostile drops of a source."""

    source: str
    runtime: Runtime
    receipts: list[BatchReceipt]
    drops: Mapping[str, bytes]
    ledger: list[dict[str, Any]]
    accepted: pl.DataFrame
    aside: pl.DataFrame

    def by_key(self) -> dict[str, dict[str, Any]]:
        return {line["key"]: line for line in self.ledger}


def contracts_with_threshold(directory: Path, percent: int) -> Path:
    """A copy of the contracts that holds no batch below `percent` of failed rows."""
    with as_file(files("data_contracts")) as place:
        shutil.copytree(place / "sources", directory)
    for path in directory.glob("*/contract.odcs.yaml"):
        document = yaml.safe_load(path.read_text())
        for item in document["customProperties"]:
            if item["property"] == "quarantineThresholdPct":
                item["value"] = percent
        path.write_text(yaml.safe_dump(document, sort_keys=False))
    return directory


def parquet(runtime: Runtime, prefix: str, columns: list[str]) -> pl.DataFrame:
    frames = [
        pl.read_parquet(io.BytesIO(runtime.store.read(info.path)), columns=columns)
        for info in runtime.store.list(prefix)
    ]
    return pl.concat(frames)


@pytest.fixture(
    scope="module",
    params=[("cloudtrail", 100), ("gateway", 100), ("app", 100), ("app", 20)],
    ids=lambda param: f"{param[0]}-{param[1]}",
)
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    source, percent = request.param
    base = tmp_path_factory.mktemp("hostile")
    drops = hostile_drops()
    for name, content in drops.items():
        path = base / "landing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    runtime = deployment(
        LocalStore(base / "store"),
        base / "state",
        {source: (base / "landing").as_uri()},
        contracts=contracts_with_threshold(base / "contracts", percent),
    )
    receipts, _ = pipeline.deliver(runtime, source)
    (ledger,) = runtime.store.list(paths.LEDGER_PREFIX)
    held = any(receipt.held for receipt in receipts)
    accepted = pl.DataFrame(schema={DROP: pl.Int32, LINE: pl.Int64, OFFSET: pl.Int64})
    return Outcome(
        source,
        runtime,
        receipts,
        drops,
        [json.loads(line) for line in runtime.store.read(ledger.path).splitlines()],
        accepted if held else parquet(runtime, paths.DATA_PREFIX, [DROP, LINE, OFFSET]),
        parquet(runtime, paths.QUARANTINE_PREFIX, [DROP, LINE, OFFSET, "disposition", "rules", "raw"]),
    )


def is_held_whole(entry: dict[str, Any]) -> bool:
    """Whether a drop is in quarantine as one piece, as it was stored."""
    return not HELD_WHOLE.isdisjoint(entry["flags"])


def between(source: str, gap: bytes) -> bool:
    """Whether `gap` can stand between what two places of a drop hold, or behind the last."""
    if source == "cloudtrail":
        return not gap.strip(b" \t\r\n,]}")
    return gap in {b"", b"\n", b"\r\n"}


def test_every_drop_and_every_line_is_accounted_for(outcome: Outcome) -> None:
    names = {line["key"]: line["bytes"] for line in outcome.ledger}
    assert len(outcome.ledger) == len(names)
    assert names == {name: len(content) for name, content in outcome.drops.items()}
    assert len(names) > 380
    places = pl.concat([outcome.accepted.select(DROP, LINE), outcome.aside.select(DROP, LINE)])
    found: dict[int, list[int]] = {}
    for drop, line in places.rows():
        found.setdefault(drop, []).append(line)
    for entry in outcome.ledger:
        fates = entry["accepted"] + entry["quarantined"] + entry["duplicate"] + entry["blank"]
        assert fates == entry["lines"], entry["key"]
        assert sorted(found.get(entry["index"], [])) == list(range(1, entry["lines"] + 1)), entry["key"]


def test_lines_are_those_of_an_independent_count(outcome: Outcome) -> None:
    if outcome.source == "cloudtrail":
        counted = {key: line["lines"] for key, line in outcome.by_key().items()}
        assert counted["naughty/events.json"] == len(naughty_strings())
        assert counted["documents/mixed.json"] == 7
        assert counted["documents/none.json"] == 0
        return
    for entry in outcome.ledger:
        if is_held_whole(entry):
            expected = 1
        else:
            junk = "gzip.trailing_junk" in entry["flags"]  # a line of its own
            expected = lines(salvage(outcome.drops[entry["key"]]).removeprefix(b"\xef\xbb\xbf")) + junk
        assert entry["lines"] == expected, (entry["key"], entry["flags"])


def test_quarantined_bytes_come_back_as_they_were(outcome: Outcome) -> None:
    places = pl.concat([outcome.accepted, outcome.aside.select(DROP, LINE, OFFSET)]).sort(DROP, LINE)
    following = places.with_columns(pl.col(OFFSET).shift(-1).over(DROP).alias("next"))
    rows = outcome.aside.filter(disposition="quarantined").join(following, on=[DROP, LINE, OFFSET])
    assert rows.height > 300
    for (index,), lines_of in rows.sort(LINE).group_by(DROP):
        entry = outcome.ledger[index]
        stored = outcome.drops[entry["key"]]
        text = stored if is_held_whole(entry) else salvage(stored)
        raw = dict(lines_of.select(LINE, "raw").iter_rows())
        found = decrypt_lines(raw, entry["sha256"], outcome.runtime.keyring)
        for line, offset, end in lines_of.select(LINE, OFFSET, "next").iter_rows():
            data = found[line]
            assert data is not None
            assert text.startswith(data, offset), (entry["key"], line)
            assert between(outcome.source, text[offset + len(data) : end]), (entry["key"], line)


def test_each_quarantined_line_says_why(outcome: Outcome) -> None:
    rows = outcome.aside.filter(disposition="quarantined")
    assert (rows["rules"].list.len() > 0).all()


def test_it_verifies_and_a_second_run_changes_nothing(outcome: Outcome) -> None:
    report = evidence.verify_store(outcome.runtime)
    assert report.ok, report.findings
    receipts, _ = pipeline.deliver(outcome.runtime, outcome.source)
    assert receipts == []
