"""Evidence bundles: they verify, they are complete for their period, and they always have the same bytes."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tasks.errors import IndelibleError, NotFoundError, StoreRefusedError, UsageError, VerificationError
from tasks.evidence import paths
from tasks.evidence.note import make_note, open_note
from tasks.evidence.policy import Policy, parse_policy
from tasks.export.bundle import Exported, export_bundle
from tasks.export.controls import FRAMEWORKS, PLACES, framework
from tasks.export.report import render_report
from tasks.storage.local import LocalStore
from tasks.verify import Verdict, ZipReader, verify
from tests.support.auditor import auditor
from tests.support.sealed_store import SEALED_AT, SIGNER, YEAR, SealedStore, verifiers_of
from tests.support.shared import SHARED
from tests.support.witnesses import witness_signer

POLICY = Policy((SIGNER.verifier,), {}, {}, "none")
NODE_VERIFIER = SHARED / "verifiers" / "tlog_proof_verify.mjs"
MONTH = date(2026, 11, 1), date(2026, 11, 30)
EVIL_RULE = "<script>alert(1)</script>"


class NextYear(LocalStore):
    """A directory whose clock is in the year after that of the other tests."""

    def now(self) -> datetime:
        return datetime(YEAR + 1, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> SealedStore:
    """October, November (with a batch that has no record), December; one entry under no checkpoint yet."""
    made = SealedStore(LocalStore(tmp_path_factory.mktemp("store"))).open()
    made.add("gateway", date(2026, 10, 31), 4)
    made.add("cloudtrail", date(2026, 11, 1), 5, rules=("json.syntax", EVIL_RULE))
    made.add("gateway", date(2026, 11, 30), 3)
    made.sign()
    made.add("app", None)
    made.add("gateway", date(2026, 12, 1), 2)
    made.sign()
    made.add("gateway", date(2026, 11, 7), 9)
    return made


def export(sealed: SealedStore, target: Path, framework: str | None = None) -> Exported:
    return export_bundle(sealed.store, target, *MONTH, verifiers_of, framework_name=framework)


@pytest.fixture(scope="module")
def exported(sealed: SealedStore, tmp_path_factory: pytest.TempPathFactory) -> tuple[Exported, Path]:
    target = tmp_path_factory.mktemp("bundle") / "evidence.zip"
    return export(sealed, target, "soc2"), target


@pytest.fixture(scope="module")
def bundle(exported: tuple[Exported, Path]) -> Path:
    return exported[1]


@pytest.fixture
def content(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def report(content: dict[str, bytes]) -> str:
    return content["report.html"].decode()


def test_the_bundle_holds_under_a_policy_from_outside(bundle: Path) -> None:
    result = verify(ZipReader(bundle), POLICY)
    assert result.ok
    assert {f.verdict for f in result.findings} == {Verdict.NOT_MEASURED}
    assert {f.reason for f in result.findings} == {"outside-bundle"}
    assert result.counted["drops"] == 3
    assert result.counted["lines"] == 5 + 2 + 3 + 1 + 1


def test_the_period_includes_both_days_and_batches_without_records(content: dict[str, bytes]) -> None:
    manifest = json.loads(content["bundle.json"])
    assert (manifest["since"], manifest["until"]) == ("2026-11-01", "2026-11-30")
    assert manifest["sources"] == ["app", "cloudtrail", "gateway"]
    proofs = sorted(name for name in content if name.startswith("proofs/"))
    assert proofs == [f"proofs/{YEAR}-{index}.tlog-proof" for index in (2, 3, 4)]
    assert sum(name.startswith("data/") for name in content) == 2


def test_the_policy_in_a_bundle_asks_for_the_witnesses_that_came_after_the_log_was_opened(
    tmp_path: Path,
) -> None:
    sealed = SealedStore(LocalStore(tmp_path / "store")).open()
    for day in (1, 2):
        sealed.add("gateway", date(2026, 11, day))
        sealed.sign()
    assert not parse_policy(sealed.store.read(paths.policy(YEAR))).asks_for_witnesses
    text = open_note(sealed.store.read(paths.checkpoint(YEAR)), [SIGNER.verifier]).text
    cosigned = make_note(text, SIGNER.sign(text), witness_signer().sign(text, 1_795_000_000))
    sealed.store.create(paths.cosigned_at(YEAR, 3), cosigned, retain_until=None)
    now = parse_policy(f"log {SIGNER.vkey}\nwitness w1 {witness_signer().vkey}\nquorum w1\n")
    target = tmp_path / "evidence.zip"
    export_bundle(sealed.store, target, *MONTH, verifiers_of, witnesses=now)
    assert parse_policy(ZipReader(target).read(paths.policy(YEAR))) == now
    result = verify(ZipReader(target), now)
    assert (result.findings, result.shards[0].checkpoints) == ((), 2)


def test_an_entry_that_no_checkpoint_covers_is_left_out(content: dict[str, bytes]) -> None:
    assert paths.sequence(YEAR, 5) in content
    assert paths.sequence(YEAR, 6) not in content


def test_the_manifest_lists_every_other_member(content: dict[str, bytes]) -> None:
    listed = {item["path"]: item["bytes"] for item in json.loads(content["bundle.json"])["objects"]}
    assert listed == {name: len(data) for name, data in content.items() if name != "bundle.json"}


def test_the_same_evidence_gives_the_same_bytes(sealed: SealedStore, bundle: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    export(sealed, again, "soc2")
    assert again.read_bytes() == bundle.read_bytes()
    with zipfile.ZipFile(bundle) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert json.loads(zipfile.ZipFile(bundle).read("bundle.json"))["created_at"] == "2026-11-24T10:05:00Z"


def test_a_flipped_byte_in_any_member_is_rejected(bundle: Path, tmp_path: Path) -> None:
    original = bundle.read_bytes()
    changed = tmp_path / "changed.zip"
    for name, place in _places(bundle):
        data = bytearray(original)
        data[place] ^= 1
        changed.write_bytes(data)
        with suppress(StoreRefusedError):
            assert not verify(ZipReader(changed), POLICY).ok, name


def test_a_member_changed_with_its_checksum_is_rejected(content: dict[str, bytes], tmp_path: Path) -> None:
    changed = tmp_path / "changed.zip"
    for name in content:
        if name != "bundle.json":
            _pack(changed, content | {name: content[name][:-1] + bytes([content[name][-1] ^ 1])})
            result = verify(ZipReader(changed), POLICY)
            assert not result.ok, name
            assert name in {finding.path for finding in result.findings}


def test_a_member_taken_away_is_missing(content: dict[str, bytes], tmp_path: Path) -> None:
    changed = tmp_path / "changed.zip"
    name = next(name for name in content if name.startswith("ledger/"))
    _pack(changed, {path: data for path, data in content.items() if path != name})
    result = verify(ZipReader(changed), POLICY)
    assert result.totals[Verdict.MISSING] >= 1
    assert name in {finding.path for finding in result.findings}


def test_the_verifier_in_the_bundle_runs_alone(
    bundle: Path, content: dict[str, bytes], tmp_path: Path
) -> None:
    verifier, policy = tmp_path / "v.pyz", tmp_path / "policy"
    verifier.write_bytes(content["verifier/indelible-verify.pyz"])
    policy.write_text(f"log {SIGNER.vkey}\nquorum none\n")
    run = auditor(bundle, "--policy", policy, "--json", verifier=verifier, directory=tmp_path)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["counted"]["drops"] == 3


def test_an_outside_verifier_accepts_each_entry_proof(content: dict[str, bytes], tmp_path: Path) -> None:
    proof, entry = tmp_path / "p", tmp_path / "e"
    for index in (2, 3, 4):
        proof.write_bytes(content[f"proofs/{YEAR}-{index}.tlog-proof"])
        data = content[paths.sequence(YEAR, index)]
        for candidate, accepted in ((data, True), (data[:-1] + b" ", False)):
            entry.write_bytes(candidate)
            run = subprocess.run(
                ["node", NODE_VERIFIER, proof, entry, SIGNER.vkey], capture_output=True, check=False
            )
            assert (run.returncode == 0) is accepted, run.stderr


def test_a_store_that_was_changed_is_not_exported(tmp_path: Path) -> None:
    made = SealedStore(LocalStore(tmp_path / "store")).open()
    entry = made.add("gateway", MONTH[0], 3).entry
    made.sign()
    for path in (entry["files"][0]["path"], entry["gate"]["path"], f"log/{YEAR}/tile/entries/000.p/2"):
        file = tmp_path / "store" / path
        original = file.read_bytes()
        file.chmod(0o644)
        file.write_bytes(original.replace(original[-9:], bytes(9)))
        with pytest.raises(VerificationError):
            export(made, tmp_path / "evidence.zip")
        file.write_bytes(original)
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


def test_a_period_that_spans_two_logs_brings_both_and_their_chain(tmp_path: Path) -> None:
    store = NextYear(tmp_path / "store")
    for year, day in ((2026, date(2026, 12, 31)), (2027, date(2027, 1, 1))):
        sealed = SealedStore(store, year, clock=SEALED_AT.replace(year=year)).open()
        sealed.add("gateway", day)
        sealed.sign()
    target = tmp_path / "evidence.zip"
    export_bundle(store, target, date(2026, 12, 31), date(2027, 1, 1), verifiers_of)
    policy = parse_policy("".join(f"log {verifiers_of(y)[0].vkey}\n" for y in (2026, 2027)) + "quorum none\n")
    result = verify(ZipReader(target), policy)
    assert result.ok
    assert not result.findings
    assert [(shard.year, shard.size) for shard in result.shards] == [("2026", 2), ("2027", 2)]


def test_a_period_without_evidence_is_said_and_writes_nothing(sealed: SealedStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="2020-01-01") as caught:
        export_bundle(sealed.store, tmp_path / "e.zip", date(2020, 1, 1), date(2020, 1, 2), verifiers_of)
    assert caught.value.next_step
    assert not list(tmp_path.iterdir())


def test_a_target_that_cannot_be_written_is_the_operators_matter(sealed: SealedStore, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        export(sealed, tmp_path / "absent" / "e.zip")


def test_the_report_asks_nothing_of_a_network_and_every_link_leads_somewhere(
    report: str, content: dict[str, bytes]
) -> None:
    assert "://" not in re.sub(r"<code>file://[^<]*</code>", "", report)
    assert "default-src 'none'" in report
    anchors = set(re.findall(r'id="([^"]+)"', report))
    links = re.findall(r'(?:href|src)="([^"]+)"', report)
    assert len(links) > 20
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors
        elif link.endswith("/"):
            assert any(name.startswith(link) for name in content)
        else:
            assert link in content


def test_the_report_escapes_what_a_batch_contains(report: str) -> None:
    assert EVIL_RULE not in report
    assert "&lt;script&gt;" in report


def test_the_report_shows_sums_checkpoint_and_what_is_not_so(report: str, content: dict[str, bytes]) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", report))
    assert "12 lines in 3 drops = 8 accepted + 4 quarantined + 0 duplicate + 0 blank" in text
    assert "not WORM" in text
    assert "No witness" in text
    assert "No trusted time stamp" in text
    assert SIGNER.vkey in report.replace("&#43;", "+")
    assert content[paths.checkpoint(YEAR)].decode().splitlines()[2] in report.replace("&#43;", "+")


def test_the_summary_has_one_line_a_batch(content: dict[str, bytes]) -> None:
    rows = list(csv.DictReader(io.StringIO(content["summary.csv"].decode(), newline="")))
    assert [(row["entry"], row["source"], row["lines"]) for row in rows] == [
        ("2", "cloudtrail", "7"), ("3", "gateway", "4"), ("4", "app", "1"),
    ]  # fmt: skip


def test_the_record_of_processing_activities_is_made_from_the_sealed_contracts(
    content: dict[str, bytes],
) -> None:
    told = json.loads(content["registers/processing.json"])["activities"]
    assert [one["source"] for one in told] == ["app", "cloudtrail", "gateway"]
    for one in told:
        assert f"contracts/{one['source']}/{one['contract_sha256']}.yaml" in content
    page = content["registers/processing.html"].decode()
    assert all(one["title"] in page for one in told)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_framework_points_to_evidence_or_says_not_measured(
    exported: tuple[Exported, Path], name: str
) -> None:
    made = exported[0]
    page = render_report(made.scope, made.facts, "s3://bucket", framework(name)).decode()
    assert f"Evidence for {FRAMEWORKS[name].name}" in page
    controls = FRAMEWORKS[name].controls
    assert all(place in PLACES for control in controls for place in control.places)
    assert page.count('<span class="warn">not measured</span>') == sum(not c.places for c in controls) > 0
    assert not re.search("compl(y|ies|iant)", page)


def test_an_unknown_framework_names_the_known_ones(sealed: SealedStore, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        export(sealed, tmp_path / "e.zip", "sox")
    assert isinstance(caught.value, IndelibleError)
    assert "soc2" in caught.value.next_step


def _places(bundle: Path) -> Iterator[tuple[str, int]]:
    """A byte in the middle of each member."""
    with zipfile.ZipFile(bundle) as archive:
        for info in archive.infolist():
            yield info.filename, info.header_offset + 30 + len(info.filename.encode()) + info.file_size // 2


def _pack(target: Path, content: dict[str, bytes]) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
