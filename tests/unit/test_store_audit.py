"""An audit's sample can be drawn again, is unbiased and worth what it says; slots come round in time."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise
from math import comb
from typing import Any

import jsonschema
import pytest

from tasks.audit.confidence import altered, found_ppm, in_words
from tasks.audit.findings import Found, Result
from tasks.audit.report import render
from tasks.audit.schedule import due, overdue, within
from tasks.errors import VerificationError
from tasks.evidence import merkle, paths
from tasks.evidence.audit_entry import EVERY, SLOTS, drawn, sample_seed
from tasks.evidence.canonical import canonical_json
from tasks.evidence.completeness_entry import encode_lines
from tasks.evidence.entry import encode_entry, parse_entry
from tasks.verify.reasons import AUDIT_REPORT
from tasks.verify.tree import verify
from tests.support.sealed_tree import SEALED_AT, SealedTree
from tests.support.shared import REPO

SCHEMA = json.loads((REPO / "data_contracts/delivered/entry.schema.json").read_text())
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PERIOD = timedelta(days=28)
CLEAN = Result("log", "All entries.").lines()
BROKEN = Result(
    "objects", "Some.", [Found("object-hash", "changed", "It differs.", "Compare.", "data/x")]
).lines()


def body(lines: list[Any], root: str = "00" * 32, size: int = 1, population: int = 0) -> dict[str, Any]:
    """A consistent entry over these lines; its report is named and not stored."""
    data, facts = encode_lines(lines)
    digest = hashlib.sha256(data).hexdigest()
    found = [line for line in lines if line["type"] == "finding"]
    checks = [line for line in lines if line["type"] == "check"]
    return {
        "began_at": SEALED_AT,
        "checkpoint": {"root": root, "shard": 2026, "size": size},
        "checks": [{"name": line["name"], "state": line["state"]} for line in checks],
        "counts": dict.fromkeys(("bytes", "entries", "objects", "rows"), 0),
        "findings": [{key: line[key] for key in ("check", "code", "count", "verdict")} for line in found],
        "format": "indelible/1",
        "holds": not found,
        "kind": "store-audit",
        "mode": "sample",
        "period_days": 28,
        "report": {**facts, "path": paths.object_list(digest), "sha256": digest, "version_id": ""},
        "sample": {
            "altered_ppm": 1000,
            "found_ppm": 0,
            "population": population,
            "records": 0,
            "seed": sample_seed(root, SEALED_AT),
        },
        "sealed_at": SEALED_AT,
        "slots": [0, 255],
        "software": "test",
        "type": "audit",
    }


@pytest.mark.parametrize("lines", [CLEAN, [*CLEAN, *BROKEN]], ids=["holds", "fails"])
def test_an_audit_is_an_entry_and_fits_the_schema(lines: list[Any]) -> None:
    entry: Any = body(lines)
    assert parse_entry(encode_entry(entry)) == entry
    jsonschema.validate(entry, SCHEMA)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"holds": True}, "holds"),
        ({"checks": [{"name": "objects", "state": "holds"}]}, "checks"),
        ({"slots": [1, 1]}, "slots"),
        ({"slots": [256]}, "slots"),
        ({"began_at": "2026-11-24T10:00:01Z"}, "seed"),
        ({"mode": "lucky"}, "mode"),
    ],
    ids=["holds", "state", "doubled-slot", "no-slot", "other-time", "mode"],
)
def test_an_audit_that_contradicts_itself_is_no_entry(changes: dict[str, Any], message: str) -> None:
    entry: Any = body([*CLEAN, *BROKEN]) | changes
    with pytest.raises(VerificationError, match=message):
        encode_entry(entry)


def test_a_sample_is_drawn_as_the_format_says() -> None:
    seed = sample_seed("ab" * 32, SEALED_AT)
    assert seed == hashlib.sha256(f"indelible/1/audit-sample/{'ab' * 32}/{SEALED_AT}".encode()).hexdigest()
    stream = b"".join(hashlib.sha256(bytes.fromhex(seed) + i.to_bytes(8, "big")).digest() for i in range(50))
    words = (int.from_bytes(stream[i : i + 8], "big") % 1_000 for i in range(0, len(stream), 8))
    first = list(dict.fromkeys(words))[:20]
    assert drawn(seed, 1_000, 20) == sorted(first)
    assert drawn(seed, 5, 9) == [0, 1, 2, 3, 4]
    assert drawn(seed, 5, 0) == drawn(seed, 0, 5) == []


def test_every_set_of_records_is_as_likely_as_any_other() -> None:
    """Chi-square over the 10 pairs of 5 records; 27.9 is its 99.9th percentile at 9 degrees of freedom."""
    draws = 3_000
    seen = Counter(tuple(drawn(sample_seed("00" * 32, str(i)), 5, 2)) for i in range(draws))
    pairs = list(combinations(range(5), 2))
    expected = draws / len(pairs)
    assert sum((seen[pair] - expected) ** 2 / expected for pair in pairs) < 27.9


@pytest.mark.parametrize(("population", "records"), [(10_000, 500), (10_000, 4_000), (700, 1), (50, 49)])
def test_a_sample_is_worth_what_counting_says(population: int, records: int) -> None:
    bad = altered(population, 1_000)
    exact = 1 - comb(population - bad, records) / comb(population, records)
    assert abs(found_ppm(population, records) - exact * 1_000_000) <= 1.01


def test_confidence_is_said_in_words_and_never_rounded_up() -> None:
    sample: Any = {
        "altered_ppm": 1_000,
        "found_ppm": 999_999,
        "population": 10**6,
        "records": 4_960,
        "seed": "",
    }
    assert "If 0.1 % of all records were altered, this sample would have found it with 99.9 %." in in_words(
        sample
    )
    assert found_ppm(100, 100) == 1_000_000
    assert found_ppm(100, 0) == 0


def test_weekly_audits_read_each_slot_once_in_a_period_and_spread_the_work() -> None:
    done: dict[int, datetime] = {}
    read: dict[int, list[datetime]] = {slot: [] for slot in range(SLOTS)}
    for week in range(1, 30):
        now = BEGAN + week * EVERY
        taken = due(done, BEGAN, now, PERIOD)
        assert len(taken) == SLOTS // 4
        done |= dict.fromkeys(taken, now)
        for slot in taken:
            read[slot].append(now)
    for times in read.values():
        assert all(later - earlier <= PERIOD for earlier, later in pairwise([BEGAN, *times]))


def test_after_a_pause_everything_overdue_is_due_at_once_and_a_budget_leaves_the_newest() -> None:
    now = BEGAN + 3 * PERIOD
    done = {slot: now - timedelta(days=1) for slot in range(10)}
    taken = due(done, BEGAN, now, PERIOD)
    assert sorted(taken) == list(range(10, SLOTS))
    kept = within(taken, dict.fromkeys(range(SLOTS), 100), 350)
    assert kept == [10, 11, 12]
    assert overdue(done, BEGAN, now, PERIOD, kept) == list(range(13, SLOTS))


def test_text_of_findings_is_escaped_in_the_page() -> None:
    lines = Result("objects", "S.", [Found("c", "changed", "<script>x</script>", "Do.", "data/<b>")]).lines()
    page = render(body(lines), lines, store="s3://b", place=(2026, 7)).decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "does not hold" in page


def verified(lines: list[Any], **changes: Any) -> set[str]:
    """Reasons that the verifier gives for a log whose second entry is an audit of the first, with this report."""
    tree = SealedTree()
    tree.genesis()
    root = merkle.root(merkle.leaf_hashes([canonical_json(tree.entries[0])])).hex()
    entry = body(CLEAN, root, **changes)
    data, facts = encode_lines(lines)
    entry["report"] = {**facts, **tree.put(data, paths.object_list)}
    tree.entries.append(entry)
    tree.seal()
    return {finding.reason for finding in verify(tree, tree.policy).findings}


def test_the_verifier_accepts_a_sealed_audit_that_is_what_its_report_and_the_log_say() -> None:
    assert verified(CLEAN) <= {"policy-missing"}


@pytest.mark.parametrize(
    ("lines", "changes"),
    [([*CLEAN, *BROKEN], {}), (CLEAN, {"population": 7}), (CLEAN, {"size": 0})],
    ids=["other-report", "other-population", "other-tree"],
)
def test_the_verifier_finds_an_audit_that_says_other_things(
    lines: list[Any], changes: dict[str, Any]
) -> None:
    assert AUDIT_REPORT in verified(lines, **changes)
