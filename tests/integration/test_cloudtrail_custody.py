"""CloudTrail's digest files: our verdicts against awscli's own validator, and the check on delivered drops."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from flows import evidence, pipeline
from flows.cli import custody as command
from flows.custody import check_custody
from flows.trust import own_policy
from flows.wiring import Runtime
from tasks.custody import is_digest
from tasks.custody.report import parse_report
from tasks.errors import UsageError
from tasks.evidence import paths
from tasks.storage.local import LocalStore
from tasks.storage.s3 import S3Store
from tasks.verify import ZipReader, verify
from tests.support.deployment import deployment
from tests.support.digests import (
    ACCOUNT,
    BUCKET,
    REGION,
    TRAIL,
    Trail,
    check_tree,
    fingerprint,
    private_key,
    public_keys,
)
from tests.support.loadgen import generate
from tests.support.s3 import S3
from tests.support.shared import REPO

JUDGE = REPO / "tests" / "support" / "awscli_judge.py"


@dataclass(frozen=True)
class Case:
    """A tree, its keys and the trail in it."""

    root: Path
    keys: bytes
    bucket: str = BUCKET
    account: str = ACCOUNT
    region: str = REGION
    trail: str = TRAIL

    def files(self, digests: bool) -> list[str]:
        found = sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*.json.gz"))
        return [key for key in found if is_digest(key) == digests]

    def judged_by_us(self) -> tuple[bool, dict[str, bool]]:
        """The same, of the files that valid digests or their links name."""
        checked = check_tree(self.root, self.keys)
        failed = {finding.key for finding in checked.findings if finding.verdict in ("changed", "missing")}
        verdicts = {item.key: item.digest is not None for item in checked.digests}
        for item in checked.digests:
            verdicts |= {log.key: log.key not in failed for log in (item.digest.logs if item.digest else ())}
        verdicts |= {f.key: False for f in checked.findings if f.code == "custody-digest-missing"}
        return checked.holds, verdicts


class Awscli:
    """One process for all: awscli takes seconds to import."""

    def __init__(self) -> None:
        line = [sys.executable, str(JUDGE)]
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, case: Case) -> tuple[bool, dict[str, bool]]:
        """Whether all holds, and of each file that awscli speaks of, whether it does."""
        keys = case.root.parent / "awscli_keys.json"
        keys.write_bytes(case.keys)
        request = {
            "root": str(case.root), "keys": str(keys), "bucket": case.bucket, "account": case.account,
            "region": case.region, "trail": case.trail,
            "start": "2026-11-01T00:00:00Z", "end": "2026-11-02T00:00:00Z",
        }  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        verdicts = {}
        for text in answer["output"].splitlines():
            parts = text.removeprefix("(backfill) ").split("\t")
            if parts[0] in ("Digest file", "Log file"):
                verdicts[parts[1].split("/", 3)[3]] = parts[2] == "valid"
        return answer["code"] == 0, verdicts

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


@pytest.fixture(scope="module")
def awscli() -> Iterator[Awscli]:
    judge = Awscli()
    yield judge
    judge.close()


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A quarter of a day by the generator, which signs with code of its own."""
    root = tmp_path_factory.mktemp("generated")
    options = {"cloudtrail_mb": 0.3, "gateway_mb": 0, "app_mb": 0, "days": 0.25, "accounts": 1}
    generate(root, "custody", clean=True, digest=True, start="2026-11-01", regions=REGION, **options)
    (account,) = [path.name for path in (root / "cloudtrail" / "AWSLogs").iterdir()]
    keys = (root / "_truth" / "public_keys.json").read_bytes()
    return Case(root / "cloudtrail", keys, "gen-cloudtrail-bucket", account, REGION, "gen-trail")


@pytest.fixture
def case(generated: Case, tmp_path: Path) -> Case:
    """A copy to break."""
    shutil.copytree(generated.root, tmp_path / "copy")
    return Case(
        tmp_path / "copy", generated.keys, generated.bucket, generated.account, REGION, generated.trail
    )


def middle(keys: list[str]) -> str:
    return keys[len(keys) // 2]


def flip_a_log(case: Case) -> None:
    file = case.root / middle(case.files(digests=False))
    content = bytearray(gzip.decompress(file.read_bytes()))
    content[len(content) // 2] ^= 1
    file.write_bytes(gzip.compress(bytes(content)))


def cut_off_a_log(case: Case) -> None:
    file = case.root / middle(case.files(digests=False))
    file.write_bytes(file.read_bytes()[:-20])


def append_to_a_log(case: Case) -> None:
    file = case.root / middle(case.files(digests=False))
    file.write_bytes(file.read_bytes() + gzip.compress(b"{}"))


def remove_a_log(case: Case) -> None:
    (case.root / middle(case.files(digests=False))).unlink()


def remove_a_digest(case: Case) -> None:
    Trail(case.root).remove(middle(case.files(digests=True)))


def alter_a_digest(case: Case) -> None:
    """As who wants to hide a log file would."""
    file = case.root / middle(case.files(digests=True))
    document = json.loads(gzip.decompress(file.read_bytes()))
    document["logFiles"] = document["logFiles"][1:]
    file.write_bytes(gzip.compress(json.dumps(document).encode()))


def swap_two_signatures(case: Case) -> None:
    first, second = (case.root / f"{key}.meta.json" for key in case.files(digests=True)[1:3])
    texts = first.read_text(), second.read_text()
    first.write_text(texts[1])
    second.write_text(texts[0])


def swap_two_digests(case: Case) -> None:
    first, second = case.files(digests=True)[1:3]
    for ending in ("", ".meta.json"):
        one, other = case.root / f"{first}{ending}", case.root / f"{second}{ending}"
        data = one.read_bytes(), other.read_bytes()
        one.write_bytes(data[1])
        other.write_bytes(data[0])


def lose_the_signature(case: Case) -> None:
    (case.root / f"{middle(case.files(digests=True))}.meta.json").unlink()


def break_the_gzip(case: Case) -> None:
    (case.root / middle(case.files(digests=True))).write_bytes(b"no gzip")


def empty_the_document(case: Case) -> None:
    (case.root / middle(case.files(digests=True))).write_bytes(gzip.compress(b"{}"))


def test_awscli_and_we_accept_what_the_generator_signed(generated: Case, awscli: Awscli) -> None:
    holds, verdicts = generated.judged_by_us()
    assert holds
    assert len(verdicts) == len(generated.files(True)) + len(generated.files(False)) > 20
    assert awscli(generated) == (holds, verdicts)


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        (flip_a_log, "custody-log-changed"),
        (cut_off_a_log, "custody-log-changed"),
        (append_to_a_log, "custody-log-changed"),
        (remove_a_log, "custody-log-missing"),
        (remove_a_digest, "custody-digest-missing"),
        (alter_a_digest, "custody-signature-bad"),
        (swap_two_signatures, "custody-signature-bad"),
        (swap_two_digests, "custody-digest-moved"),
        (lose_the_signature, "custody-signature-missing"),
        (break_the_gzip, "custody-digest-bad"),
        (empty_the_document, "custody-digest-bad"),
    ],
)
def test_awscli_and_we_refuse_the_same_files(
    case: Case, awscli: Awscli, attack: Callable[[Case], None], code: str
) -> None:
    attack(case)
    holds, verdicts = case.judged_by_us()
    assert not holds
    assert code in check_tree(case.root, case.keys).totals()
    assert awscli(case) == (holds, verdicts)


def test_a_key_that_aws_does_not_have_convinces_neither(generated: Case, awscli: Awscli) -> None:
    case = Case(
        generated.root, public_keys("foreign"), generated.bucket, generated.account, REGION, generated.trail
    )
    holds, verdicts = case.judged_by_us()
    assert (holds, set(verdicts.values())) == (False, {False})
    assert awscli(case) == (holds, verdicts)


def test_a_forger_who_puts_his_key_under_the_right_fingerprint_is_refused_by_both(
    generated: Case, awscli: Awscli
) -> None:
    listed = json.loads(generated.keys)["PublicKeyList"][0]
    forged = {**json.loads(public_keys("foreign"))["PublicKeyList"][0], "Fingerprint": listed["Fingerprint"]}
    keys = json.dumps({"PublicKeyList": [forged]}).encode()
    case = Case(generated.root, keys, generated.bucket, generated.account, REGION, generated.trail)
    holds, verdicts = case.judged_by_us()
    assert (holds, set(verdicts.values())) == (False, {False})
    assert awscli(case) == (holds, verdicts)


def test_both_follow_a_rotated_key_a_pause_an_empty_hour_and_digests_delivered_afterwards(
    tmp_path: Path, awscli: Awscli
) -> None:
    trail = Trail(tmp_path / "tree")
    trail.digest(0, [trail.log(20), trail.log(40)])
    trail.digest(1)
    trail.key = "second"
    trail.digest(2, [trail.log(150)])
    trail.last.clear()  # logging was switched off, and on again three hours later
    trail.digest(5, [trail.log(330)])
    trail.backfill = True
    trail.digest(3, [trail.log(200)])
    trail.digest(4, [trail.log(260)])
    case = Case(tmp_path / "tree", public_keys("first", "second"))
    holds, verdicts = case.judged_by_us()
    assert holds
    assert set(verdicts.values()) == {True}
    assert awscli(case) == (holds, verdicts)
    assert list(check_tree(case.root, case.keys).totals()) == ["custody-gap"]
    assert fingerprint("first") != fingerprint("second")
    assert private_key("first").key_size == 2048


@dataclass(frozen=True)
class Delivered:
    """A deployment; `files` are what was done to one log file each."""

    runtime: Runtime
    base: Path
    files: dict[str, str]


@pytest.fixture(scope="module")
def delivered(generated: Case, tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    """The generated trail, delivered after an attacker was at its bucket; then one more file lands."""
    base = tmp_path_factory.mktemp("delivered")
    landing = base / "landing"
    shutil.copytree(generated.root, landing)
    (base / "keys.json").write_bytes(generated.keys)
    gone, changed, waits, *_ = generated.files(digests=False)
    shutil.move(landing / waits, base / "waits")
    (landing / gone).unlink()
    content = gzip.decompress((landing / changed).read_bytes())
    (landing / changed).write_bytes(gzip.compress(content.replace(b'"eventVersion"', b'"eventversion"', 1)))
    planted = changed.replace(".json.gz", "").rsplit("_", 1)[0] + "_PLANTEDPLANTED00.json.gz"
    (landing / planted).write_bytes(gzip.compress(b'{"Records":[]}'))
    runtime = deployment(LocalStore(base / "store"), base / "state", {"cloudtrail": landing.as_uri()})
    pipeline.deliver(runtime, "cloudtrail")
    shutil.move(base / "waits", landing / waits)
    return Delivered(
        runtime, base, {"missing": gone, "changed": changed, "pending": waits, "unlisted": planted}
    )


def test_what_aws_lists_is_compared_with_what_is_sealed_and_the_result_is_sealed_too(
    delivered: Delivered,
) -> None:
    runtime, files = delivered.runtime, delivered.files
    sealed = check_custody(runtime, "cloudtrail", [delivered.base / "keys.json"])
    assert {finding.code: finding.key for finding in sealed.checked.findings} == {
        f"custody-log-{what}": key for what, key in files.items()
    }
    year, index = sealed.place
    entry = json.loads(runtime.store.read(paths.sequence(year, index)))
    assert (entry["type"], entry["kind"], entry["holds"]) == ("audit", "cloudtrail-custody", False)
    assert entry["counts"]["digests"] == entry["counts"]["valid"] == 6
    assert {item["code"]: item["verdict"] for item in entry["findings"]} == {
        "custody-log-changed": "changed",
        "custody-log-missing": "missing",
        "custody-log-pending": "not-sealed-yet",
        "custody-log-unlisted": "changed",
    }
    report = runtime.store.read(entry["report"]["path"])
    assert [line["state"] for line in parse_report(report).digests] == ["valid"] * 6
    for line in parse_report(report).digests:
        landed = delivered.base / "landing" / line["key"]
        assert runtime.store.read(line["archived"]["path"]) == landed.read_bytes()


def test_the_next_check_needs_no_key_file_for_the_log_names_the_one_that_was_archived(
    delivered: Delivered,
) -> None:
    runtime = delivered.runtime
    check_custody(runtime, "cloudtrail", [delivered.base / "keys.json"])
    again = check_custody(runtime, "cloudtrail")
    assert again.checked.counts["valid"] == 6
    foreign = paths.custody("cloudtrail", "0" * 64, "json")
    runtime.store.create(foreign, public_keys("foreign"), retain_until=None)
    assert check_custody(runtime, "cloudtrail").checked.totals() == again.checked.totals()


def test_the_sealed_result_is_verified_with_the_rest(delivered: Delivered) -> None:
    check_custody(delivered.runtime, "cloudtrail", [delivered.base / "keys.json"])
    report = evidence.verify_store(delivered.runtime)
    assert report.ok, report.findings


def test_a_bundle_holds_what_the_check_archived_and_its_result_can_be_made_again(
    delivered: Delivered, tmp_path: Path
) -> None:
    check_custody(delivered.runtime, "cloudtrail", [delivered.base / "keys.json"])
    target = tmp_path / "evidence.zip"
    evidence.export(delivered.runtime, date(2026, 11, 1), date(2026, 11, 30), target)
    bundle = ZipReader(target)
    stored = {info.path for info in delivered.runtime.store.list("custody/") if "/0000" not in info.path}
    assert set(bundle.list("custody/")) == stored
    report = verify(bundle, own_policy(delivered.runtime))
    assert report.ok, report.findings
    assert not [finding for finding in report.findings if finding.reason.startswith("custody")]


def test_the_command_says_what_is_wrong_and_where_it_is_sealed(
    delivered: Delivered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "runtime_with", lambda **_: delivered.runtime)
    keys = ["--keys", str(delivered.base / "keys.json")]
    app = typer.Typer()
    app.add_typer(command.app, name="custody")
    run = CliRunner().invoke(app, ["custody", "check", "cloudtrail", *keys, "--json"])
    assert run.exit_code == 6, run.output
    document = json.loads(run.stdout)
    assert document["holds"] is False
    assert document["totals"] == {f"custody-log-{what}": 1 for what in sorted(delivered.files)}
    assert all(finding["next_step"] for finding in document["findings"])
    text = CliRunner().invoke(app, ["custody", "check", "cloudtrail"])
    assert text.exit_code == 6
    assert "6 of 6 digest files hold" in text.output
    assert "does not hold" in text.output
    outside = CliRunner().invoke(app, ["custody", "check", "cloudtrail", "--since", "2026-11-05"])
    assert isinstance(outside.exception, UsageError)
    assert "no digest files" in str(outside.exception)


def test_signatures_in_object_metadata_count_and_what_is_archived_is_locked(
    generated: Case, s3: S3, landing_store: S3Store, tmp_path: Path
) -> None:
    for key in (*generated.files(digests=True), *generated.files(digests=False)):
        sidecar = generated.root / f"{key}.meta.json"
        metadata = json.loads(sidecar.read_text()) if sidecar.exists() else {}
        data = (generated.root / key).read_bytes()
        landing_store.request("put_object", Key=landing_store.key(key), Body=data, Metadata=metadata)
    (tmp_path / "keys.json").write_bytes(generated.keys)
    landing = {"uris": {"cloudtrail": landing_store.uri}, **s3.section()}
    store = s3.fresh("indelible", "writer")
    runtime = deployment(store, tmp_path / "state", landing, store=s3.section("writer"))
    for _ in range(2):  # the second check finds everything archived
        sealed = check_custody(runtime, "cloudtrail", [tmp_path / "keys.json"])
        assert sealed.checked.counts["valid"] == 6
        assert set(sealed.checked.totals()) == {"custody-log-pending"}
        assert sealed.checked.holds
    archived = list(store.list(paths.custody_prefix("cloudtrail")))
    assert len(archived) == 6 + 1 + 1
    for info in archived:
        head = store.head(info.path)
        assert head.retain_until is not None
        assert head.retain_until > head.modified + timedelta(days=365)
