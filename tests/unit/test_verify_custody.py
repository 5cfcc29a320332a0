"""A sealed result of a custody check is made again from a copy, and cannot leave anything out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tasks.custody import Drops, check, read_keys
from tasks.custody.findings import CODES
from tasks.custody.report import encode_report
from tasks.evidence import paths
from tasks.verify import Verdict
from tasks.verify.report import Report
from tasks.verify.tree import verify
from tests.support.digests import Trail, drops, public_keys, stored_digests
from tests.support.sealed_tree import SEALED_AT, Batch, SealedTree, example_batch

SOURCE = "cloudtrail"
KEYS = public_keys("first")
SCHEMA = Draft202012Validator(
    json.loads(files("data_contracts").joinpath("delivered", "entry.schema.json").read_text(encoding="utf-8"))
)


@dataclass
class Scene:
    """A trail of three hours whose logs are sealed, but for one; and the result of a check, not yet sealed."""

    trail: Trail
    tree: SealedTree = field(default_factory=SealedTree)
    hide: str = ""

    def batch(self) -> Batch:
        sealed = drops(self.trail.root)[1:]
        batch = example_batch(SOURCE, 0, drops=len(sealed))
        for line, (key, digest) in zip(batch.drops, sealed, strict=True):
            line |= {"key": key, "raw_sha256": digest}
        return batch

    def put(self, data: bytes, ending: str) -> dict[str, Any]:
        return self.tree.put(data, lambda digest: paths.custody(SOURCE, digest, ending))

    def seal(self, **changes: Any) -> SealedTree:
        """Seal the result, without the findings of code `hide`."""
        self.tree.genesis()
        self.tree.add(self.batch())
        digests = list(stored_digests(self.trail.root))
        archived = {stored.key: self.put(stored.data, "json.gz") for stored in digests}
        checked = check(digests, read_keys(KEYS), Drops(drops(self.trail.root)[1:]))
        lines = encode_report(checked, archived).split(b"\n")
        report = b"\n".join(line for line in lines if not self.hide or self.hide.encode() not in line)
        counted = Counter(finding.code for finding in checked.findings if finding.code != self.hide)
        findings = [{"code": c, "count": n, "verdict": CODES[c][0]} for c, n in sorted(counted.items())]
        counts = dict.fromkeys(("digests", "listed", "matched", "uncovered", "unlisted", "valid"), 0)
        entry = {
            "counts": counts | dict(checked.counts),
            "findings": findings,
            "format": "indelible/1",
            "holds": not any(item["verdict"] in ("changed", "missing") for item in findings),
            "keys": [self.put(KEYS, "json")],
            "kind": "cloudtrail-custody",
            "report": self.put(report, "jsonl"),
            "scope": {"since": None, "source": SOURCE, "subject": None, "until": None},
            "sealed_at": SEALED_AT,
            "software": "test/1",
            "type": "audit",
        }
        self.tree.entries.append(entry | changes)
        return self.tree.seal()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    trail = Trail(tmp_path)
    for hour in range(3):
        trail.digest(hour, [trail.log(60 * hour + 30)])
    return Scene(trail)


def codes(tree: SealedTree) -> dict[str, Verdict]:
    report: Report = verify(tree, tree.policy)
    return {finding.reason: finding.verdict for finding in report.findings}


def test_a_result_that_says_what_is_broken_is_good_evidence(scene: Scene) -> None:
    tree = scene.seal()
    assert tree.entries[-1]["holds"] is False
    assert [finding["code"] for finding in tree.entries[-1]["findings"]] == ["custody-log-missing"]
    assert codes(tree) == {}
    assert SCHEMA.is_valid(tree.entries[-1])


def test_a_result_that_leaves_a_missing_drop_out_is_changed(scene: Scene) -> None:
    scene.hide = "custody-log-missing"
    tree = scene.seal()
    assert tree.entries[-1]["holds"] is True
    assert codes(tree) == {"custody-report": Verdict.CHANGED}


def test_a_result_that_leaves_out_a_digest_file_is_changed(scene: Scene) -> None:
    scene.hide = sorted(stored.key for stored in stored_digests(scene.trail.root))[1]
    assert codes(scene.seal())["custody-report"] is Verdict.CHANGED


def test_an_entry_that_counts_otherwise_than_its_report_is_changed(scene: Scene) -> None:
    findings = [{"code": "custody-log-missing", "count": 2, "verdict": "missing"}]
    assert codes(scene.seal(findings=findings)) == {"custody-report": Verdict.CHANGED}


def test_a_result_for_which_a_bad_digest_held_is_changed(scene: Scene) -> None:
    tree = scene.seal()
    report = tree.objects[tree.entries[-1]["report"]["path"]]
    forged = report.replace(b'"state":"valid"', b'"state":"custody-signature-bad"', 1)
    tree.entries[-1]["report"] = scene.put(forged, "jsonl")
    assert codes(tree.seal())["custody-report"] is Verdict.CHANGED


@pytest.mark.parametrize("data", [b"", b"x", b"{}\n", b'{"type":"digest"}\n', b"\xff\n"])
def test_what_is_no_report_is_changed(scene: Scene, data: bytes) -> None:
    tree = scene.seal()
    tree.entries[-1]["report"] = scene.put(data, "jsonl")
    assert codes(tree.seal())["custody-report"] is Verdict.CHANGED


def test_what_is_archived_is_evidence_like_the_rest(scene: Scene) -> None:
    tree = scene.seal()
    path = next(path for path in tree.objects if path.endswith(".json.gz"))
    tree.objects[path] = tree.objects[path][:-1] + b"\xff"
    assert codes(tree) == {"object-hash": Verdict.CHANGED, "custody-not-measured": Verdict.NOT_MEASURED}
    del tree.objects[path]
    assert codes(tree) == {"object-missing": Verdict.MISSING, "custody-not-measured": Verdict.NOT_MEASURED}


def test_an_archived_object_that_no_result_names_is_pointed_out(scene: Scene) -> None:
    tree = scene.seal()
    tree.objects[paths.custody(SOURCE, hashlib.sha256(b"x").hexdigest(), "json")] = b"x"
    assert codes(tree) == {"object-not-named": Verdict.NOT_SEALED_YET}


@pytest.mark.parametrize(
    "changes",
    [
        {"holds": True},
        {"kind": "other"},
        {"keys": [{"bytes": 1, "path": "custody/x", "sha256": "00" * 32, "version_id": ""}]},
        {"findings": [{"code": "x", "count": 1, "verdict": "fine"}]},
        {"enforced": True},
    ],
)
def test_an_entry_of_another_form_is_refused(scene: Scene, changes: dict[str, Any]) -> None:
    tree = scene.seal(**changes)
    assert codes(tree)["malformed-entry"] is Verdict.CHANGED
    in_the_schema = {"holds", "keys"}  # whose rules are beyond it
    assert SCHEMA.is_valid(tree.entries[-1]) == bool(in_the_schema & changes.keys())
