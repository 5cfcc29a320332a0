"""The tamper catalogue: one named attack a case, each caught with its reason code and the object named.

The first half changes what was sealed. The second half is the insider: the log's own key signs a lie, so
hashes and signatures hold, and only the relations between rows, ledger, entries and checkpoints betray it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from tasks.evidence import merkle, paths
from tasks.evidence import reasons as evidence_reasons
from tasks.evidence.canonical import canonical_json
from tasks.evidence.tiles import make_bundle
from tasks.leaves import parquet_leaves
from tasks.verify import Finding, Verdict, reasons, verify
from tests.support.erasures import KEY, commit, erase, shred
from tests.support.officer_entries import approved, enrolment, reidentification
from tests.support.sealed_tree import (
    DATA_SCHEMA,
    DAY,
    PERSONAL,
    QUARANTINE_SCHEMA,
    YEAR,
    Batch,
    SealedTree,
    example_batches,
    example_tree,
    leaf_hashes,
    parquet,
    policy_text,
    signer,
)

Attack = Callable[[SealedTree, list[Batch]], str]
CASES: list[Any] = []


def attack(reason: str, verdict: Verdict = Verdict.CHANGED, **where: Any) -> Callable[[Attack], Attack]:
    """Register an attack: it changes the tree and returns the path that must be named for `reason`."""

    def register(function: Attack) -> Attack:
        CASES.append(pytest.param(function, reason, verdict, where, id=function.__name__))
        return function

    return register


@pytest.mark.parametrize(("attack_", "reason", "verdict", "where"), CASES)
def test_attack_is_caught_and_its_object_named(
    attack_: Attack, reason: str, verdict: Verdict, where: dict[str, Any]
) -> None:
    batches = example_batches()
    tree = example_tree(batches)
    trusted = tree.policy
    path = attack_(tree, batches)
    report = verify(tree, trusted)
    matching = [f for f in report.findings if f.reason == reason and f.path == path and f.verdict is verdict]
    assert matching, [(f.reason, f.path, f.verdict) for f in report.findings]
    assert any(all(getattr(finding, key) == value for key, value in where.items()) for finding in matching), (
        matching
    )
    assert report.ok == (verdict not in (Verdict.CHANGED, Verdict.MISSING))
    assert all(_is_complete(finding) for finding in report.findings)
    assert verify(tree, trusted, hasher=parquet_leaves) == report, (
        "the operator's command says something else"
    )


def test_the_tree_that_nobody_touched_holds() -> None:
    tree = example_tree()
    report = verify(tree, tree.policy)
    assert (report.ok, report.verdict, report.findings) == (True, Verdict.OK, ())
    assert report.counted["lines"] == report.counted["rows"] == 73


def test_the_catalogue_is_large_and_its_names_differ() -> None:
    names = [case.id for case in CASES]
    assert len(names) == len(set(names)) >= 20


def _is_complete(finding: Finding) -> bool:
    known = {**reasons.MEANINGS, **evidence_reasons.MEANINGS}
    return finding.reason in known and finding.sentence.endswith(".") and bool(finding.path)


# Where things stand in the example: entry 1 is the first batch (cloudtrail), entry 2 the second (gateway).


def data_path(tree: SealedTree, entry: int = 1) -> str:
    return str(tree.entries[entry]["files"][0]["path"])


def quarantine_path(tree: SealedTree, entry: int = 1) -> str:
    return str(tree.entries[entry]["quarantine"][0]["path"])


def ledger_path(tree: SealedTree, entry: int = 1) -> str:
    return str(tree.entries[entry]["ledger"]["path"])


def log_path(rest: str) -> str:
    return paths.log_prefix(YEAR) + rest


def flip(tree: SealedTree, path: str, position: int = -1) -> str:
    data = bytearray(tree.objects[path])
    data[position] ^= 1
    tree.objects[path] = bytes(data)
    return path


def rewrite(tree: SealedTree, batch: Batch, seed: bytes | None = None) -> str:
    """Replace entry 1's data file by one of the batch's rows as they are now."""
    path = data_path(tree)
    tree.objects[path] = parquet(batch.data, DATA_SCHEMA, seed or batch.seed)
    return path


# Objects


@attack(reasons.OBJECT_HASH)
def flip_one_bit_of_a_data_file(tree: SealedTree, _: list[Batch]) -> str:
    return flip(tree, data_path(tree), 100)


@attack(reasons.FILE_ROOT)
def alter_one_value(tree: SealedTree, batches: list[Batch]) -> str:
    batches[0].data[4]["status"] = 999
    return rewrite(tree, batches[0])


@attack(reasons.LINE_MISSING, drop=0, line=4)
def drop_a_row(tree: SealedTree, batches: list[Batch]) -> str:
    assert batches[0].data.pop(2)["_line"] == 4
    rewrite(tree, batches[0])
    return ledger_path(tree)


@attack(reasons.LINE_DOUBLED, drop=0, line=2)
def insert_a_row(tree: SealedTree, batches: list[Batch]) -> str:
    batches[0].data.insert(2, dict(batches[0].data[1]))
    rewrite(tree, batches[0])
    return ledger_path(tree)


@attack(reasons.ROW_ORDER, drop=0, line=1)
def swap_two_rows(tree: SealedTree, batches: list[Batch]) -> str:
    rows = batches[0].data
    rows[0], rows[1] = rows[1], rows[0]
    return rewrite(tree, batches[0])


@attack(reasons.ROW_ORDER)
def put_the_drops_in_another_order(tree: SealedTree, batches: list[Batch]) -> str:
    batches[0].data.sort(key=lambda row: -row["_drop"])
    return rewrite(tree, batches[0])


@attack(reasons.LINE_UNKNOWN, drop=0, line=77)
def renumber_a_line(tree: SealedTree, batches: list[Batch]) -> str:
    batches[0].data[3]["_line"] = 77
    rewrite(tree, batches[0])
    return ledger_path(tree)


@attack(reasons.FILE_ROOT)
def exchange_the_salt_seed(tree: SealedTree, batches: list[Batch]) -> str:
    return rewrite(tree, batches[0], bytes(32))


@attack(reasons.PARQUET)
def cut_a_data_file_short(tree: SealedTree, _: list[Batch]) -> str:
    path = data_path(tree)
    tree.objects[path] = tree.objects[path][:-50]
    return path


@attack(reasons.OBJECT_SIZE)
def append_to_a_data_file(tree: SealedTree, _: list[Batch]) -> str:
    path = data_path(tree)
    tree.objects[path] += b"PAR1"
    return path


@attack(reasons.OBJECT_SIZE)
def exchange_two_data_files(tree: SealedTree, _: list[Batch]) -> str:
    one, other = data_path(tree, 1), data_path(tree, 2)
    tree.objects[one], tree.objects[other] = tree.objects[other], tree.objects[one]
    return other


@attack(reasons.OBJECT_MISSING, Verdict.MISSING)
def remove_a_data_file(tree: SealedTree, _: list[Batch]) -> str:
    del tree.objects[path := data_path(tree)]
    return path


@attack(reasons.OBJECT_HASH)
def flip_one_bit_of_a_quarantine_file(tree: SealedTree, _: list[Batch]) -> str:
    return flip(tree, quarantine_path(tree), 40)


@attack(reasons.OBJECT_MISSING, Verdict.MISSING)
def remove_a_quarantine_file(tree: SealedTree, _: list[Batch]) -> str:
    del tree.objects[path := quarantine_path(tree)]
    return path


@attack(reasons.OBJECT_HASH)
def change_a_ledger_line(tree: SealedTree, _: list[Batch]) -> str:
    path = ledger_path(tree)
    tree.objects[path] = tree.objects[path].replace(b'"blank":1', b'"blank":0', 1)
    return path


@attack(reasons.OBJECT_SIZE)
def remove_a_ledger_line(tree: SealedTree, _: list[Batch]) -> str:
    path = ledger_path(tree)
    tree.objects[path] = tree.objects[path].split(b"\n", 1)[1]
    return path


@attack(reasons.OBJECT_HASH)
def change_the_gate_result(tree: SealedTree, _: list[Batch]) -> str:
    path = str(tree.entries[1]["gate"]["path"])
    tree.objects[path] = b'{"success":null}'
    return path


@attack(reasons.OBJECT_HASH)
def change_the_contract(tree: SealedTree, _: list[Batch]) -> str:
    path = str(tree.entries[1]["contract"]["path"])
    tree.objects[path] = b"version: 2\n"
    return path


@attack(reasons.OBJECT_MISSING, Verdict.MISSING)
def remove_the_contract(tree: SealedTree, _: list[Batch]) -> str:
    del tree.objects[path := str(tree.entries[1]["contract"]["path"])]
    return path


@attack(reasons.OBJECT_UNNAMED, Verdict.NOT_SEALED_YET)
def plant_a_data_file(tree: SealedTree, _: list[Batch]) -> str:
    path = paths.data_file("cloudtrail", DAY, "0" * 64)
    tree.objects[path] = b"PAR1"
    return path


# The log's objects


@attack(reasons.SEQUENCE_MISMATCH)
def change_an_entry_in_the_sequence(tree: SealedTree, _: list[Batch]) -> str:
    path = paths.sequence(YEAR, 2)
    tree.objects[path] = tree.objects[path].replace(b'"held":false', b'"held":true')
    return path


@attack(reasons.SEQUENCE_MISSING, Verdict.MISSING)
def remove_an_entry_from_the_sequence(tree: SealedTree, _: list[Batch]) -> str:
    del tree.objects[path := paths.sequence(YEAR, 2)]
    return path


@attack(reasons.ENTRY_BUNDLE_MISMATCH)
def change_an_entry_in_its_bundle(tree: SealedTree, _: list[Batch]) -> str:
    return flip(tree, log_path("tile/entries/000.p/5"))


@attack(reasons.TILE_MISSING, Verdict.MISSING)
def remove_an_entry_bundle(tree: SealedTree, _: list[Batch]) -> str:
    del tree.objects[path := log_path("tile/entries/000.p/5")]
    return path


@attack(reasons.TILE_MISMATCH)
def flip_one_bit_of_a_tile(tree: SealedTree, _: list[Batch]) -> str:
    return flip(tree, log_path("tile/0/000.p/5"))


@attack(reasons.TILE_MISMATCH)
def flip_one_bit_of_an_older_tile(tree: SealedTree, _: list[Batch]) -> str:
    return flip(tree, log_path("tile/0/000.p/3"))


@attack(reasons.TILE_MISSING, Verdict.MISSING)
def remove_a_tile(tree: SealedTree, _: list[Batch]) -> str:
    del tree.objects[path := log_path("tile/0/000.p/5")]
    return path


@attack(reasons.LOG_EXTRA)
def add_a_tile_outside_the_tree(tree: SealedTree, _: list[Batch]) -> str:
    tree.objects[path := log_path("tile/1/000.p/1")] = bytes(32)
    return path


@attack(reasons.LOG_EXTRA)
def add_a_file_under_log(tree: SealedTree, _: list[Batch]) -> str:
    tree.objects[path := log_path("checkpoint.old")] = b""
    return path


@attack(reasons.LOG_EXTRA)
def add_a_folder_under_log(tree: SealedTree, _: list[Batch]) -> str:
    tree.objects["log/latest"] = b""
    return "log/latest"


@attack(reasons.LOG_MISSING, Verdict.MISSING)
def remove_the_whole_log(tree: SealedTree, _: list[Batch]) -> str:
    tree.objects = {path: data for path, data in tree.objects.items() if not path.startswith("log/")}
    return "log/"


@attack(evidence_reasons.CHECKPOINT_SIGNATURE_BAD)
def flip_one_bit_of_a_signature(tree: SealedTree, _: list[Batch]) -> str:
    path = paths.checkpoint_at(YEAR, 5)
    note = tree.objects[path]
    at = len(note) - 20
    tree.objects[path] = note[:at] + (b"A" if note[at : at + 1] != b"A" else b"B") + note[at + 1 :]
    return path


@attack(evidence_reasons.CHECKPOINT_SIGNATURE_BAD)
def claim_another_root(tree: SealedTree, _: list[Batch]) -> str:
    path = paths.checkpoint_at(YEAR, 3)
    origin, size, _root, rest = tree.objects[path].split(b"\n", 3)
    tree.objects[path] = b"\n".join((origin, size, b"A" * 43 + b"=", rest))
    return path


@attack(evidence_reasons.CHECKPOINT_UNKNOWN_KEY)
def sign_with_a_foreign_key_of_the_same_name(tree: SealedTree, _: list[Batch]) -> str:
    tree.sign(5, merkle.root(_leaves(tree)), signer(seed=8))
    return paths.checkpoint_at(YEAR, 5)


@attack(evidence_reasons.MALFORMED_NOTE)
def empty_a_checkpoint(tree: SealedTree, _: list[Batch]) -> str:
    tree.objects[path := paths.checkpoint_at(YEAR, 3)] = b""
    return path


@attack(reasons.CHECKPOINT_STALE, Verdict.NOT_SEALED_YET)
def replay_an_old_checkpoint(tree: SealedTree, _: list[Batch]) -> str:
    path = paths.checkpoint(YEAR)
    tree.objects[path] = tree.objects[paths.checkpoint_at(YEAR, 3)]
    return path


@attack(reasons.SEQUENCE_PENDING, Verdict.NOT_SEALED_YET)
def roll_back_to_an_old_checkpoint(tree: SealedTree, _: list[Batch]) -> str:
    tree.objects[paths.checkpoint(YEAR)] = tree.objects[paths.checkpoint_at(YEAR, 3)]
    del tree.objects[paths.checkpoint_at(YEAR, 5)]
    return paths.sequence(YEAR, 3)


@attack(reasons.CHECKPOINT_MISSING, Verdict.MISSING)
def remove_the_newest_checkpoint(tree: SealedTree, _: list[Batch]) -> str:
    del tree.objects[path := paths.checkpoint_at(YEAR, 5)]
    return path


@attack(reasons.CHECKPOINT_MISSING, Verdict.MISSING)
def remove_the_pointer(tree: SealedTree, _: list[Batch]) -> str:
    del tree.objects[path := paths.checkpoint(YEAR)]
    return path


@attack(reasons.CHECKPOINT_NAME)
def store_a_checkpoint_under_another_size(tree: SealedTree, _: list[Batch]) -> str:
    path = paths.checkpoint_at(YEAR, 4)
    tree.objects[path] = tree.objects[paths.checkpoint_at(YEAR, 3)]
    return path


@attack(reasons.POLICY_DIFFERS)
def exchange_the_policy_in_the_copy(tree: SealedTree, _: list[Batch]) -> str:
    tree.objects[path := paths.policy(YEAR)] = policy_text(signer(seed=8)).encode()
    return path


@attack(reasons.ROOT_MISMATCH)
def forge_an_entry_in_every_place_but_the_signature(tree: SealedTree, _: list[Batch]) -> str:
    tree.entries[4]["sums"]["bytes"] += 1
    signed = {path: tree.objects[path] for path in _checkpoints()}
    tree.seal(3, 5)
    tree.objects |= signed
    return paths.checkpoint_at(YEAR, 5)


@attack(reasons.SEQUENCE_PENDING, Verdict.NOT_SEALED_YET)
def append_an_entry_without_a_checkpoint(tree: SealedTree, batches: list[Batch]) -> str:
    tree.add(batches[0])
    tree.seal(3, 5)
    return paths.sequence(YEAR, 5)


@attack(reasons.SEQUENCE_GAP)
def leave_a_gap_in_the_sequence(tree: SealedTree, _: list[Batch]) -> str:
    tree.objects[path := paths.sequence(YEAR, 6)] = tree.objects[paths.sequence(YEAR, 4)]
    return path


# The insider: what follows is signed with the log's own key


def reseal(tree: SealedTree, entry: int = 1, **facts: Any) -> str:
    """Let the data file facts of an entry say something else, and sign that."""
    tree.entries[entry]["files"][0] |= facts
    tree.seal(3, 5)
    return data_path(tree, entry)


def resealed_file(
    tree: SealedTree, batch: Batch, *, keep_root: bool, schema: pa.Schema = DATA_SCHEMA, **options: Any
) -> str:
    """Put other rows into entry 1's data file and sign that."""
    data = parquet(batch.data, schema, batch.seed, **options)
    facts = tree.put(data, lambda digest: paths.data_file(batch.source, DAY, digest))
    if not keep_root:
        facts["root"] = merkle.root(leaf_hashes(batch.data, batch.seed, PERSONAL)).hex()
    return reseal(tree, **facts)


def resealed_ledger(tree: SealedTree, lines: list[bytes], **facts: Any) -> str:
    tree.entries[1]["ledger"] = tree.ledger("cloudtrail", lines) | facts
    tree.seal(3, 5)
    return ledger_path(tree)


def _ledger_lines(batch: Batch) -> list[bytes]:
    return [canonical_json(drop) for drop in batch.drops]


def _leaves(tree: SealedTree) -> bytes:
    return merkle.leaf_hashes(tree.objects[paths.sequence(YEAR, index)] for index in range(5))


def _checkpoints() -> tuple[str, ...]:
    return paths.checkpoint(YEAR), paths.checkpoint_at(YEAR, 3), paths.checkpoint_at(YEAR, 5)


@attack(reasons.FILE_ROOT)
def insider_alters_a_value_and_keeps_the_root(tree: SealedTree, batches: list[Batch]) -> str:
    batches[0].data[4]["actor"] = "somebody else"
    return resealed_file(tree, batches[0], keep_root=True)


@attack(reasons.SALT_SEED)
def insider_leaves_the_salt_seed_out(tree: SealedTree, batches: list[Batch]) -> str:
    return resealed_file(tree, batches[0], keep_root=True, metadata={})


@attack(reasons.COLUMNS)
def insider_seals_a_float(tree: SealedTree, batches: list[Batch]) -> str:
    schema = DATA_SCHEMA.set(1, pa.field("status", pa.float64()))
    return resealed_file(tree, batches[0], keep_root=True, schema=schema)


@attack(reasons.COLUMNS)
def insider_leaves_out_the_line_numbers(tree: SealedTree, batches: list[Batch]) -> str:
    return resealed_file(tree, batches[0], keep_root=True, schema=DATA_SCHEMA.remove(5))


@attack(evidence_reasons.UNREPRESENTABLE_VALUE)
def insider_seals_an_integer_beyond_json(tree: SealedTree, batches: list[Batch]) -> str:
    batches[0].data[4]["status"] = 2**53
    return resealed_file(tree, batches[0], keep_root=True)


@attack(reasons.PARQUET)
def insider_seals_what_is_no_parquet(tree: SealedTree, batches: list[Batch]) -> str:
    facts = tree.put(b"PAR1, not really", lambda digest: paths.data_file("cloudtrail", DAY, digest))
    return reseal(tree, **facts)


@attack(reasons.EVENT_DATE, drop=0, line=6)
def insider_files_a_row_under_another_day(tree: SealedTree, batches: list[Batch]) -> str:
    batches[0].data[3]["_time"] += 86_400_000_000
    return resealed_file(tree, batches[0], keep_root=False)


@attack(reasons.TIME_RANGE)
def insider_lies_about_the_earliest_time(tree: SealedTree, _: list[Batch]) -> str:
    return reseal(tree, min_time=0)


@attack(reasons.ROW_COUNT)
def insider_lies_about_the_number_of_rows(tree: SealedTree, _: list[Batch]) -> str:
    return reseal(tree, rows=11)


@attack(reasons.LINE_MISSING, drop=0, line=4)
def insider_withholds_a_line(tree: SealedTree, batches: list[Batch]) -> str:
    batches[0].data.pop(2)
    resealed_file(tree, batches[0], keep_root=False)
    return ledger_path(tree)


@attack(reasons.LINE_DOUBLED, drop=1, line=2)
def insider_seals_a_line_twice(tree: SealedTree, batches: list[Batch]) -> str:
    batches[0].data.insert(8, dict(batches[0].data[7]))
    resealed_file(tree, batches[0], keep_root=False)
    return ledger_path(tree)


@attack(reasons.LINE_UNKNOWN, drop=9)
def insider_seals_rows_of_no_drop(tree: SealedTree, batches: list[Batch]) -> str:
    batches[0].data[-1]["_drop"] = 9
    resealed_file(tree, batches[0], keep_root=False)
    return ledger_path(tree)


@attack(reasons.OUTCOME_COUNTS, drop=0)
def insider_calls_a_quarantined_line_blank(tree: SealedTree, batches: list[Batch]) -> str:
    batch = batches[0]
    batch.aside[0]["disposition"] = "blank"
    data = parquet(batch.aside, QUARANTINE_SCHEMA, batch.seed)
    facts = tree.put(data, lambda digest: paths.quarantine_file(batch.source, digest))
    root = merkle.root(leaf_hashes(batch.aside, batch.seed)).hex()
    tree.entries[1]["quarantine"][0] |= facts | {"root": root}
    tree.seal(3, 5)
    return ledger_path(tree)


@attack(reasons.ENTRY_SUMS)
def insider_lies_in_the_sums(tree: SealedTree, _: list[Batch]) -> str:
    tree.entries[1]["sums"] |= {"quarantined": 0, "accepted": 14}
    tree.seal(3, 5)
    return ledger_path(tree)


@attack(reasons.LEDGER_SUMS, drop=1)
def insider_lies_about_a_drop(tree: SealedTree, batches: list[Batch]) -> str:
    batches[0].drops[1]["lines"] = 8
    return resealed_ledger(tree, _ledger_lines(batches[0]))


@attack(reasons.LEDGER_RANGES)
def insider_lets_row_ranges_overlap(tree: SealedTree, batches: list[Batch]) -> str:
    batches[0].drops[1]["rows"] = [[0, 5, 6]]
    return resealed_ledger(tree, _ledger_lines(batches[0]))


@attack(reasons.LEDGER_RANGES, drop=0)
def insider_gives_a_drop_the_rows_of_another(tree: SealedTree, batches: list[Batch]) -> str:
    one, other = batches[0].drops
    one["rows"], other["rows"] = other["rows"], one["rows"]
    return resealed_ledger(tree, _ledger_lines(batches[0]))


@attack(reasons.LEDGER_SYNTAX, drop=0)
def insider_writes_a_ledger_line_in_another_spelling(tree: SealedTree, batches: list[Batch]) -> str:
    loose = json.dumps(batches[0].drops[0]).encode()
    return resealed_ledger(tree, [loose, *_ledger_lines(batches[0])[1:]])


@attack(reasons.LEDGER_ROOT)
def insider_lies_about_the_ledger_root(tree: SealedTree, batches: list[Batch]) -> str:
    return resealed_ledger(tree, _ledger_lines(batches[0]), root="0" * 64)


@attack(reasons.CHAIN)
def insider_takes_an_entry_out_of_its_chain(tree: SealedTree, _: list[Batch]) -> str:
    tree.entries[3] |= {"source_seq": 2}
    tree.seal(3, 5)
    return paths.sequence(YEAR, 3)


@attack(reasons.CHAIN)
def insider_points_to_another_entry_before(tree: SealedTree, _: list[Batch]) -> str:
    tree.entries[4] |= {"previous": {"entry": 2, "leaf": "0" * 64}}
    tree.seal(3, 5)
    return paths.sequence(YEAR, 4)


@attack(reasons.GENESIS)
def insider_starts_the_log_twice(tree: SealedTree, _: list[Batch]) -> str:
    tree.entries[2] = dict(tree.entries[0])
    tree.seal(3, 5)
    return paths.sequence(YEAR, 2)


@attack(reasons.GENESIS)
def insider_starts_the_log_of_another_origin(tree: SealedTree, _: list[Batch]) -> str:
    tree.entries[0]["origin"] = "audit.example/other"
    tree.seal(3, 5)
    return paths.sequence(YEAR, 0)


@attack(evidence_reasons.MALFORMED_ENTRY)
def insider_hides_a_key_in_an_entry(tree: SealedTree, _: list[Batch]) -> str:
    tree.entries[2]["note"] = "hidden"
    tree.seal(3, 5)
    return paths.sequence(YEAR, 2)


@attack(reasons.CHECKPOINT_INCONSISTENT)
def insider_rewrites_history_under_an_old_checkpoint(tree: SealedTree, _: list[Batch]) -> str:
    path = paths.checkpoint_at(YEAR, 3)
    old = tree.objects[path]
    tree.entries[2]["sealed_at"] = "2026-11-24T10:00:01Z"
    tree.seal(3, 5)
    tree.objects[path] = old
    return path


@attack(reasons.CHECKPOINT_INCONSISTENT)
def insider_shows_two_logs_of_one_size(tree: SealedTree, _: list[Batch]) -> str:
    path = paths.checkpoint(YEAR)
    tree.objects[path] = tree.note(5, bytes(32))
    return path


@attack(reasons.TILE_MISSING, Verdict.MISSING)
def insider_signs_a_size_that_is_not_there(tree: SealedTree, _: list[Batch]) -> str:
    tree.sign(2**60, bytes(32))
    return log_path("tile/")


@attack(reasons.SHARD_MISSING, Verdict.MISSING)
def insider_removes_the_log_of_the_year_before(tree: SealedTree, _: list[Batch]) -> str:
    tree.entries[0]["previous_shard"] = tree.note(5, bytes(32)).decode()
    tree.seal(3, 5)
    return paths.checkpoint(YEAR - 1)


@attack(reasons.SHARD_MISMATCH)
def insider_rewrites_the_log_of_the_year_before(tree: SealedTree, batches: list[Batch]) -> str:
    before = SealedTree(year=YEAR - 1)
    before.genesis()
    before.seal()
    tree.entries[0]["previous_shard"] = before.note(1, bytes(32)).decode()
    tree.seal(3, 5)
    tree.objects |= before.objects
    return paths.sequence(YEAR, 0)


def sealed_after(tree: SealedTree, *entries: dict[str, Any]) -> str:
    """Sign a log that goes on with these entries; the path of the last."""
    tree.entries += entries
    tree.seal(3, 5, len(tree.entries))
    return paths.sequence(YEAR, len(tree.entries) - 1)


@attack(reasons.ERASURE_KEY)
def insider_says_that_a_person_was_erased_and_keeps_the_key(tree: SealedTree, _: list[Batch]) -> str:
    return sealed_after(tree, commit(), erase(KEY))


@attack(reasons.ERASURE_KEY_FOREIGN)
def insider_answers_a_request_with_a_key_destroyed_for_another(tree: SealedTree, _: list[Batch]) -> str:
    return sealed_after(tree, commit(), shred(reason="letter 16"), erase(KEY))


@attack(reasons.ERASURE_CLAIMED)
def insider_claims_one_destroyed_key_for_two_requests(tree: SealedTree, _: list[Batch]) -> str:
    return sealed_after(tree, commit(), shred(), erase(KEY), erase(KEY, request=2))


@attack(reasons.ERASURE_CLAIMED)
def insider_claims_one_erased_line_for_two_requests(tree: SealedTree, _: list[Batch]) -> str:
    return sealed_after(tree, erase(lines=(3, 12)), erase(request=2, lines=(12,)))


@attack(reasons.ERASURE_PARTS)
def insider_leaves_out_a_part_of_an_erasure(tree: SealedTree, _: list[Batch]) -> str:
    return sealed_after(tree, erase(part=1, parts=3, lines=(3,)), erase(part=3, parts=3, lines=(12,)))


@attack(reasons.ERASURE_PARTS)
def insider_gives_the_parts_of_an_erasure_two_certificates(tree: SealedTree, _: list[Batch]) -> str:
    return sealed_after(tree, erase(part=1, parts=2), erase(part=2, parts=2, certificate="d" * 64))


@attack(reasons.ERASURE_UNFINISHED, Verdict.NOT_SEALED_YET)
def insider_stops_in_the_middle_of_an_erasure(tree: SealedTree, _: list[Batch]) -> str:
    return sealed_after(tree, erase(part=1, parts=2, lines=(3,)))


@attack(reasons.ERASURE_LINES)
def insider_says_that_lines_were_erased_which_nobody_set_aside(tree: SealedTree, _: list[Batch]) -> str:
    return sealed_after(tree, erase(lines=(3, 4, 12)))


@attack(reasons.SHRED_UNCLAIMED, Verdict.NOT_SEALED_YET)
def insider_destroys_a_person_s_key_without_a_request(tree: SealedTree, _: list[Batch]) -> str:
    return sealed_after(tree, commit(), shred())


@attack(reasons.OFFICER_NOT_ENROLLED)
def insider_turns_a_pseudonym_back_with_an_officer_of_their_own(tree: SealedTree, _: list[Batch]) -> str:
    return sealed_after(tree, enrolment("anna"), reidentification("anna", "mallory"))


@attack(reasons.APPROVAL_MISSING)
def insider_enrols_an_officer_without_the_others(tree: SealedTree, _: list[Batch]) -> str:
    return sealed_after(tree, enrolment("anna"), enrolment("mallory"))


@attack(reasons.APPROVAL_MISSING)
def insider_approves_an_erasure_in_an_officer_s_name(tree: SealedTree, _: list[Batch]) -> str:
    return sealed_after(tree, enrolment("anna"), erase(approver="anna"))


@attack(reasons.APPROVAL_SIGNATURE)
def insider_uses_an_approval_for_another_request(tree: SealedTree, _: list[Batch]) -> str:
    other = approved(erase(), "anna") | {"request": "2" * 32}
    return sealed_after(tree, enrolment("anna"), other)


@attack(reasons.OFFICER_ENROLMENT)
def insider_gives_an_officer_s_key_to_another_name(tree: SealedTree, _: list[Batch]) -> str:
    twin = approved(enrolment("mallory", keys="anna"), "anna")
    return sealed_after(tree, enrolment("anna"), twin)


def test_an_entry_bundle_of_another_spelling_is_refused() -> None:
    tree = example_tree()
    path = log_path("tile/entries/000.p/5")
    tree.objects[path] += make_bundle([b""])
    assert [f.reason for f in verify(tree, tree.policy).findings] == [reasons.ENTRY_BUNDLE_MISMATCH]
