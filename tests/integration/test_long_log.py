"""A log of thousands of entries, grown in uneven steps across many full tiles, by the production writer.

Whoever integrates reads what is new and the right edge of the tree, whatever the log's length.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from tasks.evidence import paths
from tasks.evidence.canonical import canonical_json
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.merkle import leaf_hash, root, verify_consistency
from tasks.evidence.note import NoteSigner
from tasks.evidence.policy import parse_policy
from tasks.evidence.tiles import TileReader
from tasks.log import reader, writer
from tasks.storage.local import LocalStore
from tasks.storage.protocol import ObjectStore
from tasks.verify import DirectoryReader, verify
from tests.integration.test_outside_verifiers import VERIFIERS, go_build
from tests.support.entries import filler
from tests.support.logs import MemoryLog, private_key

YEAR = 2026
UNTIL = datetime(2034, 1, 1, tzinfo=UTC)
SIGNER = NoteSigner("audit.example/long/2026", private_key("long"))
# Ends before, on and after tile borders; one step of one entry, one over several tiles at once.
SIZES = (1, 255, 256, 257, 700, 1024, 1025, 2049, 2304, 3000)
MOST_READS = 12  # checkpoint, pointer, right edge of each level: not a matter of the log's length


@dataclass
class CountingStore:
    """A store that counts what is read from it, by kind of object."""

    inner: ObjectStore
    reads: Counter[str] = field(default_factory=Counter)

    def read(self, path: str, version_id: str | None = None) -> bytes:
        self.reads["entry" if path.startswith(paths.sequence_prefix(YEAR)) else "other"] += 1
        return self.inner.read(path, version_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def entry(index: int) -> bytes:
    return canonical_json(filler(index))


@dataclass(frozen=True)
class LongLog:
    """The log as it lies in a directory, and what each step read."""

    base: Path
    entries: list[bytes]
    checkpoints: list[Checkpoint]
    reads: list[Counter[str]]

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.base)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> LongLog:
    base = tmp_path_factory.mktemp("long")
    counting = CountingStore(LocalStore(base))
    store = cast("ObjectStore", counting)
    writer.open_shard(store, YEAR, SIGNER, UNTIL, sealed_at="2026-01-01T00:00:00Z")
    entries = [store.read(paths.sequence(YEAR, 0))]
    checkpoints, reads = [], []
    for size in SIZES:
        for index in range(len(entries), size):
            entries.append(entry(index))
            writer.append(store, YEAR, index, entries[-1], UNTIL)
        counting.reads.clear()
        made = writer.integrate(store, YEAR, SIGNER, UNTIL)
        reads.append(Counter(counting.reads))
        checkpoints.append(Checkpoint(SIGNER.verifier.name, made.size, bytes.fromhex(made.root)))
    return LongLog(base, entries, checkpoints, reads)


def test_each_step_reads_the_new_entries_once_and_a_fixed_number_of_other_objects(log: LongLog) -> None:
    new = [size - before for before, size in zip((0, *SIZES), SIZES, strict=False)]
    assert [reads["entry"] for reads in log.reads] == new
    assert max(reads["other"] for reads in log.reads) <= MOST_READS


def test_roots_are_those_of_all_leaves_and_each_checkpoint_extends_the_one_before(log: LongLog) -> None:
    leaves = [leaf_hash(data) for data in log.entries]
    assert [c.size for c in log.checkpoints] == list(SIZES)
    assert [c.root for c in log.checkpoints] == [root(leaves[:size]) for size in SIZES]
    tiles = TileReader(reader.tile_source(log.store, YEAR), SIZES[-1])
    for old in log.checkpoints[:-1]:
        proof = tiles.consistency_proof(old.size)
        verify_consistency(old.size, SIZES[-1], proof, old.root, log.checkpoints[-1].root)
    assert [data for _, data in reader.entries(log.store, YEAR, 0)] == log.entries
    assert [data for _, data in reader.entries(log.store, YEAR, 2300)] == log.entries[2300:]


def test_our_verifier_finds_nothing_and_counts_every_entry(log: LongLog) -> None:
    report = verify(DirectoryReader(log.base), parse_policy(f"log {SIGNER.vkey}\nquorum none\n"))
    assert report.findings == ()
    assert report.counted["entries"] == SIZES[-1]
    assert [(s.size, s.checkpoints, s.pending) for s in report.shards] == [(SIZES[-1], len(SIZES), 0)]


def test_go_accepts_it_with_every_older_checkpoint(log: LongLog, tmp_path: Path) -> None:
    source = (VERIFIERS / "tlog_verify.go").read_text()
    alone = source.replace("v.Name(), vs, 2)", "v.Name(), vs, 1)")
    assert alone != source
    shard, witness = log.base / paths.log_prefix(YEAR), MemoryLog().witness  # a key it asks for, and no more
    command = [str(go_build(tmp_path, alone)), str(shard), SIGNER.vkey, witness.vkey]
    verdict = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert verdict.stdout.startswith(f"OK size={SIZES[-1]} ")
    assert verdict.stdout.rstrip().endswith(f"old_checkpoints={len(SIZES)}")
