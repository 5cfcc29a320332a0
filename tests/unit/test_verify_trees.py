"""What `verify` says of whole trees: large logs, several years, copies without a policy, limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.evidence import paths
from tasks.verify import DirectoryReader, Verdict, reasons, verify
from tasks.verify.report import MAX_FINDINGS
from tests.support.entries import filler
from tests.support.sealed_tree import YEAR, SealedTree, example_batch, example_tree, policy_text


def fillers(count: int) -> SealedTree:
    tree = SealedTree()
    tree.genesis()
    tree.entries += [filler(i) for i in range(count - 1)]
    return tree


def reasons_of(tree: SealedTree) -> set[str]:
    return {finding.reason for finding in verify(tree, tree.policy).findings}


@pytest.mark.parametrize("sizes", [(256,), (1, 255, 256, 257, 512), (100, 300, 700), (512, 513)])
def test_logs_of_several_tiles_hold(sizes: tuple[int, ...]) -> None:
    tree = fillers(sizes[-1]).seal(*sizes)
    report = verify(tree, tree.policy)
    assert report.findings == ()
    assert (report.shards[0].size, report.shards[0].checkpoints) == (sizes[-1], len(sizes))


def test_a_partial_tile_may_have_been_replaced_by_the_full_one() -> None:
    tree = fillers(300).seal(200, 300)
    for path in [path for path in tree.objects if path.endswith(".p/200")]:
        del tree.objects[path]
    assert reasons_of(tree) == set()


def test_damage_to_one_place_is_repaired_from_the_others() -> None:
    tree = fillers(600).seal(600)
    tree.objects[paths.log_prefix(YEAR) + "tile/entries/000"] = b""
    tree.objects[paths.log_prefix(YEAR) + "tile/0/001"] = bytes(8192)
    del tree.objects[paths.sequence(YEAR, 550)]
    report = verify(tree, tree.policy)
    assert report.shards[0].signed
    assert {finding.reason for finding in report.findings} == {
        reasons.ENTRY_BUNDLE_MISMATCH,
        reasons.TILE_MISMATCH,
        reasons.SEQUENCE_MISSING,
    }


def test_an_entry_that_is_lost_everywhere_is_named() -> None:
    tree = fillers(5).seal()
    del tree.objects[paths.sequence(YEAR, 3)]
    del tree.objects[paths.log_prefix(YEAR) + "tile/entries/000.p/5"]
    missing = [f.path for f in verify(tree, tree.policy).findings if f.reason == reasons.ENTRY_MISSING]
    assert missing == [paths.sequence(YEAR, 3)]


def test_tiles_that_were_written_before_their_checkpoint_are_no_finding() -> None:
    tree = example_tree()
    tree.objects = {
        path: data for path, data in tree.objects.items() if not path.endswith("checkpoints/" + f"{5:020d}")
    }
    tree.objects[paths.checkpoint(YEAR)] = tree.objects[paths.checkpoint_at(YEAR, 3)]
    report = verify(tree, tree.policy)
    assert report.ok
    assert {finding.reason for finding in report.findings} == {reasons.SEQUENCE_PENDING}
    assert report.verdict is Verdict.NOT_SEALED_YET


def test_objects_of_an_entry_that_waits_for_its_checkpoint_are_not_called_unnamed() -> None:
    tree = example_tree()
    tree.add(example_batch("gateway", 9))
    tree.seal(3, 5)
    assert reasons_of(tree) == {reasons.SEQUENCE_PENDING}


def test_years_form_one_chain() -> None:
    before = SealedTree(year=YEAR - 1)
    before.genesis()
    before.seal()
    tree = SealedTree()
    tree.genesis(before.objects[paths.checkpoint(YEAR - 1)].decode())
    tree.add(example_batch("gateway", 0))
    tree.seal()
    tree.objects |= before.objects
    report = verify(tree, tree.policy)
    assert report.findings == ()
    assert [shard.year for shard in report.shards] == ["2025", "2026"]


def test_without_a_policy_only_self_consistency_is_claimed() -> None:
    report = verify(example_tree(), None)
    assert report.ok
    assert report.key_source == "copy"
    assert [(f.reason, f.verdict) for f in report.findings] == [
        (reasons.POLICY_FROM_COPY, Verdict.NOT_MEASURED)
    ]


def test_without_any_policy_nothing_is_proven() -> None:
    tree = example_tree()
    del tree.objects[paths.policy(YEAR)]
    report = verify(tree, None)
    assert not report.ok
    assert not report.shards[0].signed


def test_rows_that_were_not_opened_are_said_not_to_be_measured() -> None:
    tree = example_tree()
    report = verify(tree, tree.policy, rows=False)
    assert (report.ok, report.counted.get("rows", 0)) == (True, 0)
    assert [finding.reason for finding in report.findings] == [reasons.ROWS_SKIPPED]


def test_a_file_that_was_only_encoded_anew_keeps_its_records() -> None:
    from tests.support.sealed_tree import DATA_SCHEMA, example_batches, parquet

    batches = example_batches()
    tree = example_tree(batches)
    path = tree.entries[1]["files"][0]["path"]
    tree.objects[path] = parquet(batches[0].data, DATA_SCHEMA, batches[0].seed, group=100)
    report = verify(tree, tree.policy)
    assert not report.ok
    assert reasons.RECORDS_INTACT in {finding.reason for finding in report.findings}
    assert reasons.FILE_ROOT not in {finding.reason for finding in report.findings}


def test_findings_are_bounded_and_counted() -> None:
    tree = fillers(2)
    tree.seal()
    for i in range(MAX_FINDINGS + 5):
        tree.objects[f"log/{YEAR}/stray/{i}"] = b""
    del tree.objects[paths.sequence(YEAR, 1)]
    report = verify(tree, tree.policy)
    assert report.totals[Verdict.CHANGED] == MAX_FINDINGS + 5
    assert sum(finding.verdict is Verdict.CHANGED for finding in report.findings) == MAX_FINDINGS
    assert report.totals[Verdict.MISSING] == 1


def test_progress_reaches_the_number_of_entries() -> None:
    tree = example_tree()
    seen: list[tuple[str, int, int]] = []
    verify(tree, tree.policy, progress=lambda stage, done, total: seen.append((stage, done, total)))
    assert seen[0] == ("log 2026", 0, 5)
    assert seen[-1] == ("log 2026", 5, 5)


def test_a_directory_copy_gives_the_same_report_as_memory(tmp_path: Path) -> None:
    tree = example_tree()
    tree.objects[paths.sequence(YEAR, 1)] += b" "
    (tree.write(tmp_path) / ".DS_Store").write_bytes(b"")
    assert verify(DirectoryReader(tmp_path), tree.policy) == verify(tree, tree.policy)


def test_the_version_that_the_entry_names_is_read() -> None:
    tree = example_tree()
    tree.entries[1]["files"][0]["version_id"] = "v7"
    tree.seal()
    asked: list[tuple[str, str | None]] = []
    read = tree.read
    tree.read = lambda path, version_id=None: asked.append((path, version_id)) or read(path)  # type: ignore[method-assign, func-returns-value]
    assert verify(tree, tree.policy).ok
    assert (tree.entries[1]["files"][0]["path"], "v7") in asked


def test_the_policy_text_of_the_copy_is_the_one_that_outsiders_use() -> None:
    tree = example_tree()
    assert tree.objects[paths.policy(YEAR)] == policy_text(tree.key).encode()
