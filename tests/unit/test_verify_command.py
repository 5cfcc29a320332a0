"""`indelible-verify` as an auditor meets it: exit codes, plain words, JSON, and what it does not import."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tasks.verify.command import main
from tests.support.sealed_tree import example_batches, example_tree, policy_text, signer
from tests.support.shared import REPO

HEAVY = ("polars", "duckdb", "prefect", "s3fs", "great_expectations", "typer", "rich", "pyarrow")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    batches = example_batches()
    tree = example_tree(batches)
    tree.write(tmp_path / "copy")
    (tmp_path / "policy").write_text(policy_text(tree.key))
    (tmp_path / "foreign").write_text(policy_text(signer(seed=8)))
    (tmp_path / "record.proof").write_bytes(tree.record_proof(batches[0], 1, 3))
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as out:
        for path, data in tree.objects.items():
            out.writestr(path, data)
    return tmp_path


@pytest.mark.parametrize("what", ["copy", "bundle.zip", "record.proof"])
def test_good_evidence_exits_0(place: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(place / what), "--policy", str(place / "policy")]) == 0
    out = capsys.readouterr().out
    assert out.startswith(("HOLDS", "PROVEN"))


@pytest.mark.parametrize("what", ["copy", "bundle.zip", "record.proof"])
def test_a_foreign_policy_exits_6(place: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(place / what), "--policy", str(place / "foreign")]) == 6
    assert "checkpoint-unknown-key" in capsys.readouterr().out


def test_a_removed_object_is_named_with_the_next_step(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = next((place / "copy" / "data").rglob("*.parquet"))
    lost.unlink()
    assert main([str(place / "copy"), "--policy", str(place / "policy"), "--quiet"]) == 6
    out = capsys.readouterr().out
    assert "DOES NOT HOLD: 0 changed, 1 missing." in out
    assert lost.name in out
    assert "-> Fetch the object" in out


def test_without_a_policy_the_report_says_where_the_key_came_from(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(place / "copy")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("CONSISTENT WITH ITSELF")
    assert "does not show who signed it" in " ".join(out.split())


def test_a_proof_shows_record_position_and_checkpoint(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(place / "record.proof"), "--policy", str(place / "policy"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["record"]["_line"] == 6
    assert (result["entry"], result["checkpoint"]["size"]) == (1, 5)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_proof_with_another_record_exits_6(
    place: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = place / "record.proof"
    good = path.read_bytes()
    path.write_bytes(good.replace(b"index 1\n", b"index 2\n"))
    assert main([str(path), "--policy", str(place / "policy"), *options]) == 6
    assert "entry-not-in-log" in capsys.readouterr().out


def test_json_is_the_whole_report(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(place / "copy"), "--json", "--no-rows"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["format"] == "indelible-report/1"
    assert {f["reason"] for f in report["findings"]} == {"policy-from-copy", "rows-not-measured"}


def test_quiet_says_nothing_when_all_is_well(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(place / "copy"), "--policy", str(place / "policy"), "--quiet"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize("arguments", [["nowhere"], ["record.proof"], ["copy", "--policy", "nowhere"]])
def test_usage_errors_exit_2_and_say_what_to_do(
    place: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_broken_archive_exits_6(place: Path) -> None:
    (place / "bundle.zip").write_bytes((place / "bundle.zip").read_bytes()[:1000])
    assert main([str(place / "bundle.zip")]) == 6


def test_control_characters_of_the_copy_do_not_reach_the_terminal(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "copy" / "log" / "2026" / "\x1b[2J").write_bytes(b"")
    assert main([str(place / "copy")]) == 6
    assert "\x1b" not in capsys.readouterr().out


def test_starting_imports_nothing_of_the_pipeline() -> None:
    code = f"import sys, tasks.verify.command; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_checking_rows_imports_pyarrow_and_nothing_else_of_the_pipeline(place: Path) -> None:
    code = (
        "import sys; from tasks.verify.command import main; main(sys.argv[1:]);"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(place / "copy"), "--policy", str(place / "policy"), "--quiet"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['pyarrow']"
