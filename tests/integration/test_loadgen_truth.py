"""Generated trees with every fault, delivered whole: the counts of each file are those of the generator."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

from flows import evidence, pipeline
from flows.receipts import BatchReceipt, CheckpointReceipt
from flows.wiring import Runtime
from tasks.evidence import paths
from tasks.storage.local import LocalStore
from tests.support.counts import lines
from tests.support.deployment import deployment
from tests.support.loadgen import DAMAGES, SOURCES, Tree, Truth, generate

SIZES = {"cloudtrail_mb": 3, "gateway_mb": 3, "app_mb": 2}
FAULTS = {"bad": 0.02, "bad_file": 0.1, "dup_file": 0.1, "dup_event": 0.02, "empty": 0.1, "late": 0.01}
SEEDS = ("1", "north", "77")
# What the flags of a damaged drop say in the ledger.
FLAGS = {
    "": set(),
    "bom": {"encoding.bom"},
    "gz-truncated": {"gzip.truncated"},
    "gz-two-members": set(),
    "plain-named-gz": set(),
    "zero-bytes": {"empty"},
}
# AWS writes it since event version 1.02; one of the real events says 1.02 and lacks it.
DEMANDED = "eventType"
EARLY = {"1.0", "1.01"}


@dataclass(frozen=True)
class Delivered:
    """A tree, and what delivering it gave."""

    tree: Tree
    runtime: Runtime
    receipts: dict[str, list[BatchReceipt]]
    checkpoint: CheckpointReceipt

    @cached_property
    def ledger(self) -> dict[str, dict[str, Any]]:
        """Ledger line by `<source>/<key>`, from the store."""
        found: dict[str, dict[str, Any]] = {}
        for info in self.runtime.store.list(paths.LEDGER_PREFIX):
            source = info.path.split("source=")[1].partition("/")[0]
            for text in self.runtime.store.read(info.path).splitlines():
                line = json.loads(text)
                path = f"{source}/{line['key']}"
                assert path not in found, f"{path} is in two ledgers"
                found[path] = line
        return found

    def drops(self, *damages: str) -> Iterator[tuple[Truth, dict[str, Any]]]:
        """Truth and ledger line of each file with one of the damages."""
        return ((file, self.ledger[file.path]) for file in self.tree.files if file.damage in damages)


@pytest.fixture(scope="module", params=SEEDS)
def delivered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    base = tmp_path_factory.mktemp("loadgen")
    tree = generate(base / "tree", request.param, **SIZES, **FAULTS)
    runtime = deployment(LocalStore(base / "store"), base / "state", tree.landing)
    receipts = {}
    for source in SOURCES:
        receipts[source], checkpoint = pipeline.deliver(runtime, source)
    return Delivered(tree, runtime, receipts, checkpoint)


def events(text: bytes) -> tuple[list[str], str]:
    """The whole CloudTrail events at the start of a document, and what comes after them."""
    _, found, rest = text.decode("utf-8-sig").partition('{"Records":[')
    whole = []
    while found:
        try:
            _, end = json.JSONDecoder().raw_decode(rest)
        except ValueError:
            break
        whole.append(rest[:end])
        rest = rest[end:].lstrip(",")
    return whole, rest


def is_demanded(event: str) -> bool:
    found = json.loads(event)
    return found["eventVersion"] in EARLY or DEMANDED in found


def test_every_kind_of_fault_occurs(delivered: Delivered) -> None:
    files = delivered.tree.files
    assert {f.damage for f in files if f.source == "cloudtrail"} == {"", *DAMAGES}
    assert {f.damage for f in files if f.source != "cloudtrail"} >= {"bom", "gz-truncated", "zero-bytes"}
    assert sum(f.redelivered for f in files) > 20
    assert all(sum(f.bad for f in files if f.source == source) > 10 for source in ("gateway", "app"))
    assert sum(f.blank for f in files) > 3
    assert sum(not f.records for f in files) > 10


def test_every_file_is_in_the_ledger_once_with_its_digest(delivered: Delivered) -> None:
    assert {path: line["sha256"] for path, line in delivered.ledger.items()} == {
        file.path: file.sha256 for file in delivered.tree.files
    }
    assert not any(receipt.held for receipts in delivered.receipts.values() for receipt in receipts)


def test_every_line_has_one_fate_and_undamaged_drops_have_the_true_counts(delivered: Delivered) -> None:
    for file, line in delivered.drops("", *DAMAGES):
        fates = line["accepted"] + line["quarantined"] + line["duplicate"] + line["blank"]
        assert fates == line["lines"], file
        assert set(line["flags"]) == FLAGS[file.damage], file
    for file, line in delivered.drops("", "bom", "plain-named-gz"):
        assert (line["lines"], line["raw_sha256"]) == (file.lines, file.raw_sha256), file
        if file.source != "cloudtrail":
            counts = line["accepted"], line["quarantined"], line["duplicate"], line["blank"]
            assert counts == (file.records, file.bad, 0, file.blank), file


def test_a_truncated_drop_gives_all_that_can_be_had_and_sets_its_end_aside(delivered: Delivered) -> None:
    for file, line in delivered.drops("gz-truncated"):
        text = delivered.tree.inflated(file)
        if file.source == "cloudtrail":
            whole, rest = events(text)
            refused = sum(not is_demanded(event) for event in whole)
            cut = rest != "]}"
            assert line["lines"] == len(whole) + cut, file
            assert line["quarantined"] == refused + cut, file
        else:
            assert line["lines"] == lines(text), file
            assert line["quarantined"] <= file.bad + 1, file
            assert line["accepted"] >= line["lines"] - file.bad - file.blank - 1, file


def test_an_empty_file_has_no_lines(delivered: Delivered) -> None:
    for file, line in delivered.drops("zero-bytes"):
        assert (line["lines"], line["bytes"]) == (0, 0), file


def test_a_drop_of_two_gzip_members_is_read_to_its_end(delivered: Delivered) -> None:
    for file, line in delivered.drops("gz-two-members"):
        text = delivered.tree.inflated(file)
        if file.source == "cloudtrail":
            assert line["lines"] == 2 * file.records, file
        else:
            assert line["lines"] == lines(text), file
            assert line["blank"] == 2 * file.blank, file


def test_each_cloudtrail_event_is_accepted_once_however_often_it_came(delivered: Delivered) -> None:
    sound: Counter[str] = Counter()
    refused = 0
    for file, line in delivered.drops("", *DAMAGES):
        if file.source != "cloudtrail" or file.damage == "zero-bytes":
            continue
        text = delivered.tree.inflated(file)
        whole, _ = events(text)
        whole *= 2 if file.damage == "gz-two-members" else 1
        good = [event for event in whole if is_demanded(event)]
        assert line["accepted"] + line["duplicate"] == len(good), file
        sound.update(good)
        refused += len(whole) - len(good)
    receipts = delivered.receipts["cloudtrail"]
    assert sum(r.accepted for r in receipts) == len(sound)
    assert sum(r.duplicate for r in receipts) == sound.total() - len(sound) > 0
    rules: Counter[str] = Counter()
    for receipt in receipts:
        rules.update(receipt.rules)
    truncated = rules.pop("gzip.truncated")
    assert truncated > 0
    assert rules == Counter(has_a_kind_since_1_02=refused)


def test_redelivered_files_are_duplicates_of_what_was_read_first(delivered: Delivered) -> None:
    pairs: dict[str, list[tuple[Truth, dict[str, Any]]]] = {}
    for file, line in delivered.drops(""):
        if file.source == "cloudtrail" and file.records:
            pairs.setdefault(file.raw_sha256, []).append((file, line))
    repeated = [sorted(pair, key=lambda item: item[0].path) for pair in pairs.values() if len(pair) > 1]
    assert len(repeated) > 10
    for (_, first), *others in repeated:
        assert first["accepted"] > 0
        assert {line["accepted"] for _, line in others} == {0}
        assert {line["duplicate"] for _, line in others} == {first["accepted"] + first["duplicate"]}


def test_it_verifies_and_a_second_run_changes_nothing(delivered: Delivered) -> None:
    report = evidence.verify_store(delivered.runtime)
    assert report.ok, report.findings
    assert report.counted["lines"] == sum(line["lines"] for line in delivered.ledger.values())
    before = [info.path for info in delivered.runtime.store.list()]
    for source in SOURCES:
        receipts, checkpoint = pipeline.deliver(delivered.runtime, source)
        assert receipts == []
        assert (checkpoint.size, checkpoint.root) == (delivered.checkpoint.size, delivered.checkpoint.root)
    assert [info.path for info in delivered.runtime.store.list()] == before
