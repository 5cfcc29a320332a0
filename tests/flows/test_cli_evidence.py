"""`indelible verify`, `prove`, `export` on what the real stages delivered; what an auditor makes of it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import pytest
import typer
from typer.testing import CliRunner, Result

from flows import evidence as order
from flows import pipeline, proving
from flows.cli import evidence
from flows.cli import prove as prove_command
from flows.wiring import Runtime
from tasks.catalog.places import entries_of
from tasks.catalog.query import run_query
from tasks.errors import NotFoundError, UsageError, VerificationError
from tasks.evidence import paths
from tasks.evidence.canonical import canonical_json
from tasks.evidence.proof import parse
from tasks.keyring import Keyring
from tasks.storage.local import LocalStore
from tasks.storage.protocol import ObjectInfo
from tasks.storage.s3 import S3Store
from tasks.verify import Verdict
from tests.support.auditor import auditor
from tests.support.deployment import deployment
from tests.support.sealed_store import SIGNER, SealedStore

SAMPLES = files("data_contracts").joinpath("sources", "gateway", "samples", "drops")


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """The bundled gateway samples, delivered by the real stages into a directory."""
    base = tmp_path_factory.mktemp("delivered")
    runtime = deployment(LocalStore(base / "store"), base / "state", {"gateway": str(SAMPLES)})
    receipts, _ = pipeline.deliver(runtime, "gateway")
    assert sum(receipt.accepted for receipt in receipts) > 0
    return runtime


@pytest.fixture
def command(delivered: Runtime, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for module in (evidence, prove_command):
        monkeypatch.setattr(module, "runtime_with", lambda **_: delivered)
    return CliRunner()


def run(command: CliRunner, *arguments: object) -> Result:
    app = typer.Typer()
    for call in (evidence.verify, prove_command.prove, evidence.export):
        app.command(call.__name__)(call)
    return command.invoke(app, [str(argument) for argument in arguments])


def a_record(runtime: Runtime) -> str:
    path = next(info.path for info in runtime.store.list(paths.DATA_PREFIX))
    return str(paths.record_id(Path(path).stem, 1))


def test_verify_says_that_everything_holds_and_whom_it_trusts(command: CliRunner) -> None:
    result = run(command, "verify")
    assert result.exit_code == 0
    assert "holds" in result.output
    assert "this keyring's own key" in result.output
    report = json.loads(run(command, "verify", "--json").stdout)
    assert report["ok"] is True
    assert report["findings"] == []
    assert report["counted"]["lines"] == report["counted"]["rows"] > 0


def test_verify_without_rows_says_that_they_were_not_measured(command: CliRunner) -> None:
    report = json.loads(run(command, "verify", "--no-rows", "--json").stdout)
    assert report["ok"] is True
    assert {finding["verdict"] for finding in report["findings"]} == {"not-measured"}


def test_a_policy_of_another_key_does_not_hold(command: CliRunner, tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    policy.write_text(f"log {SIGNER.vkey}\nquorum none\n")
    result = run(command, "verify", "--policy", policy)
    assert result.exit_code == VerificationError.exit_code
    assert "checkpoint-unknown-key" in result.output
    assert "the policy file" in result.output
    policy.write_text("nonsense\n")
    with pytest.raises(UsageError, match="no trust policy"):
        order.read_policy(policy)


def test_a_proven_record_convinces_an_auditor_and_a_changed_proof_does_not(
    command: CliRunner, delivered: Runtime, tmp_path: Path
) -> None:
    file = tmp_path / "record.proof"
    record = a_record(delivered)
    described = json.loads(run(command, "prove", record, "-o", file, "--json").stdout)
    assert described["record_id"] == record
    accepted = auditor(file, "--policy", described["policy"], "--json")
    assert accepted.returncode == 0, accepted.stderr
    assert json.loads(accepted.stdout)["record_id"] == record
    text = file.read_bytes()
    file.write_bytes(text.replace(b"\nindex ", b"\nindex 1", 1))
    assert auditor(file, "--policy", described["policy"]).returncode == VerificationError.exit_code


def test_prove_prints_what_it_proves_and_the_next_step(
    command: CliRunner, delivered: Runtime, tmp_path: Path
) -> None:
    file = tmp_path / "record.proof"
    result = run(command, "prove", a_record(delivered), "-o", file)
    assert result.exit_code == 0
    assert f"indelible-verify {file} --policy {delivered.settings.state / 'policy'}" in result.output
    assert "under the signed checkpoint of " in result.output


def all_records(runtime: Runtime) -> list[str]:
    _, rows = run_query(runtime.session(), runtime.catalog_path, "SELECT record_id FROM access_events")
    return [str(record) for (record,) in rows]


def test_all_records_of_a_real_batch_are_proven_in_one_archive_of_small_proofs(
    command: CliRunner, delivered: Runtime, tmp_path: Path
) -> None:
    records, listed, target = all_records(delivered), tmp_path / "ids", tmp_path / "proofs.zip"
    listed.write_text("\n".join(records[1:]) + "\n\n")
    result = run(command, "prove", records[0], "--ids", listed, "-o", target)
    assert result.exit_code == 0, result.output
    assert f"proves {len(records):,} records" in result.output
    with zipfile.ZipFile(target) as archive:
        assert sorted(archive.namelist()) == sorted(f"{record}.proof" for record in records)
        proofs = [archive.read(name) for name in archive.namelist()]
    beside = [len(data) - len(canonical_json(parse(data).record)) for data in proofs]
    assert max(beside) < 4_096
    accepted = auditor(target, "--policy", delivered.settings.state / "policy")
    assert accepted.returncode == 0, accepted.stdout
    assert f"Proven: {len(records):,} records." in accepted.stdout


def test_a_record_and_a_period_are_shown_without_their_persons(
    command: CliRunner, delivered: Runtime, tmp_path: Path
) -> None:
    proof, bundle = tmp_path / "record.proof", tmp_path / "public.zip"
    described = json.loads(
        run(command, "prove", a_record(delivered), "-o", proof, "--withhold-personal", "--json").stdout
    )
    days = ("--since", "2000-01-01", "--until", "2100-01-01")
    exported = json.loads(run(command, "export", *days, "-o", bundle, "--withhold-personal", "--json").stdout)
    assert exported["records"] == len(all_records(delivered))
    assert {"client_ip", "user", "path", "_extra", "_offset"} <= set(exported["withheld"])
    for file in (proof, bundle):
        accepted = auditor(file, "--policy", described["policy"])
        assert accepted.returncode == 0, accepted.stdout
        assert "client_ip" not in accepted.stdout
    _, persons = run_query(
        delivered.session(),
        delivered.catalog_path,
        "SELECT DISTINCT actor FROM access_events WHERE actor <> ''",
    )
    assert persons
    content = bundle.read_bytes()
    assert not [actor for (actor,) in persons if str(actor).encode() in content]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "no record is named"),
        ((f"{'0' * 32}-0", f"{'0' * 32}-1", "-o", "two.proof"), "do not go into one file"),
        (("--ids", "/nowhere/ids", "-o", "x.zip"), "cannot be read"),
    ],
)
def test_a_call_that_cannot_be_meant_is_refused(
    command: CliRunner, arguments: tuple[str, ...], complaint: str
) -> None:
    result = run(command, "prove", *arguments)
    assert isinstance(result.exception, UsageError)
    assert complaint in str(result.exception)


def test_a_table_of_controls_does_not_go_with_withheld_persons(command: CliRunner, tmp_path: Path) -> None:
    days = ("--since", "2026-01-01", "--until", "2026-01-02")
    result = run(command, "export", *days, "-o", tmp_path / "e", "--withhold-personal", "--framework", "gdpr")
    assert isinstance(result.exception, UsageError)


def test_the_catalog_says_where_a_record_is_sealed_and_only_that(delivered: Runtime, tmp_path: Path) -> None:
    file = a_record(delivered)[:32]
    assert entries_of(delivered.catalog_path, [file, "0" * 32]).keys() == {file}
    assert entries_of(tmp_path / "none.duckdb", [file]) == {}
    (tmp_path / "broken.duckdb").write_bytes(b"no database")
    assert entries_of(tmp_path / "broken.duckdb", [file]) == {}


def test_an_unknown_record_leaves_no_file(command: CliRunner, tmp_path: Path) -> None:
    result = run(command, "prove", f"{'0' * 32}-0", "-o", tmp_path / "record.proof")
    assert isinstance(result.exception, NotFoundError)
    assert not list(tmp_path.iterdir())


def test_an_exported_bundle_convinces_an_auditor_until_a_byte_changes(
    command: CliRunner, tmp_path: Path
) -> None:
    file = tmp_path / "evidence.zip"
    arguments = ("export", "--since", "2026-11-01", "--until", "2026-11-30", "-o", file)
    described = json.loads(run(command, *arguments, "--framework", "pci", "--json").stdout)
    assert described["locked"] is False
    assert auditor(file, "--policy", described["policy"]).returncode == 0
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 3] ^= 1
    file.write_bytes(damaged)
    assert auditor(file, "--policy", described["policy"]).returncode == VerificationError.exit_code
    text = run(command, *arguments).output
    assert "not WORM" in text
    assert "gateway:" in text


def test_dates_the_wrong_way_round_are_refused(command: CliRunner, tmp_path: Path) -> None:
    result = run(
        command, "export", "--since", "2026-11-02", "--until", "2026-11-01", "-o", tmp_path / "e.zip"
    )
    assert isinstance(result.exception, UsageError)


def test_verify_names_an_object_that_was_changed(
    command: CliRunner, delivered: Runtime, tmp_path: Path
) -> None:
    path = next(info.path for info in delivered.store.list(paths.QUARANTINE_PREFIX))
    file = Path(delivered.store.uri.removeprefix("file://")) / path
    original = file.read_bytes()
    file.chmod(0o644)
    try:
        file.write_bytes(bytes([*original[:50], original[50] ^ 1, *original[51:]]))
        result = run(command, "verify", "--json")
    finally:
        file.write_bytes(original)
    assert result.exit_code == VerificationError.exit_code
    named = {finding["path"] for finding in json.loads(result.stdout)["findings"]}
    assert path in named


class Versioned(LocalStore):
    """A directory that claims another version of what `more` says."""

    more: tuple[dict[str, Any], ...] = ()

    def list_versions(self, prefix: str = "") -> Iterator[ObjectInfo]:
        infos = list(super().list_versions(prefix))
        yield from infos
        for change in self.more:
            yield from (replace(info, **change) for info in infos if info.path == change["path"])


def test_more_than_one_version_is_a_finding_except_of_the_pointer(tmp_path: Path) -> None:
    store = Versioned(tmp_path / "store")
    made = SealedStore(store).open()
    path = made.add("gateway", date(2026, 11, 1)).entry["files"][0]["path"]
    made.sign()
    runtime = replace(deployment(store, tmp_path / "state"), keyring=cast(Keyring, _Keyring()))
    assert order.verify_store(runtime).ok
    store.more = (
        {"path": path, "version_id": "2", "is_latest": False},
        {"path": paths.sequence(2026, 1), "version_id": "3", "is_delete_marker": True, "is_latest": False},
        {"path": paths.checkpoint(2026), "version_id": "4", "is_latest": False},
    )
    found = order.verify_store(runtime)
    assert not found.ok
    assert {(f.reason, f.path) for f in found.findings} == {
        (order.EXTRA_VERSION, path),
        (order.DELETE_MARKER, paths.sequence(2026, 1)),
    }
    assert found.totals[Verdict.CHANGED] == 2


def test_what_is_put_over_a_locked_object_is_found_and_does_not_spoil_the_proof(
    worm_store: S3Store, tmp_path: Path
) -> None:
    made = SealedStore(worm_store, until=datetime.now(UTC) + timedelta(days=2)).open()
    facts = made.add("gateway", date(2026, 11, 1)).entry["files"][0]
    made.sign()
    runtime = replace(deployment(worm_store, tmp_path / "state"), keyring=cast(Keyring, _Keyring()))
    assert order.verify_store(runtime).ok
    exported, _ = order.export(runtime, date(2026, 11, 1), date(2026, 11, 1), tmp_path / "e.zip")
    assert exported.facts.retention.locked
    worm_store.replace(facts["path"], b"forged")
    worm_store.request("delete_object", Key=worm_store.key(made.sealed[0].entry["ledger"]["path"]))
    found = order.verify_store(runtime)
    assert {(f.reason, f.path) for f in found.findings} == {
        (order.EXTRA_VERSION, facts["path"]),
        (order.DELETE_MARKER, made.sealed[0].entry["ledger"]["path"]),
    }
    proven, policy = proving.prove_record(runtime, str(paths.record_id(facts["sha256"], 0)), tmp_path / "p")
    assert proven.row == 0
    assert auditor(tmp_path / "p", "--policy", policy).returncode == 0
    again = tmp_path / "again.zip"
    order.export(runtime, date(2026, 11, 1), date(2026, 11, 1), again)
    assert again.read_bytes() == (tmp_path / "e.zip").read_bytes()


class _Keyring:
    """Signs as the log that `SealedStore` writes."""

    def signers(self, name: str) -> Any:
        del name
        return (SIGNER,)
