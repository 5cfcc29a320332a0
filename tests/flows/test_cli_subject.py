"""`indelible subject export` and `reidentify`, as people call them."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows import evidence
from flows.cli.app import app
from tests.integration.test_identities import ALICE
from tests.integration.test_subject_access import accesses, make
from tests.support.command import at_terminal

CLI = CliRunner()


def call(*arguments: str, stdin: str | None = None) -> Result:
    return CLI.invoke(app, ["subject", *arguments], input=stdin)


def officer(*arguments: str, stdin: str | None = None) -> str:
    result = CLI.invoke(app, ["officer", *arguments], input=stdin)
    assert result.exit_code == 0, result.output
    return result.output


def done(*arguments: str, stdin: str | None = None) -> str:
    result = call(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_steps_that_the_runbooks_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, store = make(tmp_path / "a", 0)
    for name, value in {
        "STORE__URI": store.uri,
        "STATE": str(tmp_path / "a" / "state"),
        "CONTRACTS": str(tmp_path / "a" / "contracts"),
        "LOG__ORIGIN": "audit.example/test",
    }.items():
        monkeypatch.setenv(f"INDELIBLE_{name}", value)
    monkeypatch.chdir(tmp_path)

    text = done("export", "--ids", "-", "-o", "me.zip", "--requested-by", "ida", stdin=f"{ALICE}\n")
    assert "3 records (3 of app)" in text.replace("\n", " ")
    assert ALICE not in text
    archive = zipfile.ZipFile(io.BytesIO(Path("me.zip").read_bytes()))
    line = json.loads(archive.read("records/app-0001.jsonl").splitlines()[0])
    pseudonym = line["record"]["user_email"]

    Path("secret").write_text("correct horse\n")
    assert "nobody is enrolled" in officer("list")
    for name in ("anna", "otto"):
        shown = officer("keys", name, "-o", f"{name}.pem", "--passphrase-file", "secret", "--json")
        keys = {key: json.loads(shown)[key] for key in ("sign_key", "open_key")}
        public = ("--sign-key", keys["sign_key"], "--open-key", keys["open_key"])
        officer("request", name, *public, "--reason", "board 3", "--requested-by", "ida")
        if name == "otto":
            refused = CLI.invoke(app, ["officer", "enrol", "officer.json", "--approver", "carla"])
            assert refused.exit_code != 0
            assert "one of them must sign" in str(refused.exception)
            signed = officer(
                "sign", "officer.json", "--key", "anna.pem", "--passphrase-file", "secret", stdin="y\n"
            )
            assert keys["sign_key"] in signed.replace("\n", "")
            officer("enrol", "officer.json")
        else:
            officer("enrol", "officer.json", "--approver", "carla")
        assert Path(f"{name}.pem").stat().st_mode & 0o777 == 0o600
        assert b"ENCRYPTED" in Path(f"{name}.pem").read_bytes()
    listed = json.loads(officer("list", "--json"))
    assert [(one["name"], one["approver"], one["signed"]) for one in listed] == [
        ("anna", "carla", False),
        ("otto", "anna", True),
    ]

    asked = ("--source", "app", "--pseudonym", pseudonym, "--purpose", "fraud", "--case", "17")
    done("reidentify", "request", *asked, "--expires", soon(), "--requested-by", "ida")
    refused = call("reidentify", "release", "reidentify.json")
    assert refused.exit_code != 0
    declined = call("reidentify", "sign", "reidentify.json", "--key", "anna.pem", stdin="n\n")
    assert declined.exit_code != 0
    for name in ("anna", "otto"):
        key = ("--key", f"{name}.pem", "--passphrase-file", "secret")
        shown = done("reidentify", "sign", "reidentify.json", *key, stdin="y\n")
        assert pseudonym in shown
    done("reidentify", "release", "reidentify.json")
    first = done("reidentify", "open", "release.json", "--key", "anna.pem", "--passphrase-file", "secret")
    assert ALICE not in first
    last = done(
        "reidentify", "open", "release-2.json", "--key", "otto.pem", "--passphrase-file", "secret", "--json"
    )
    assert json.loads(last) == [{"column": "user_email", "pseudonym": pseudonym, "value": ALICE}]
    assert [entry["action"] for entry in accesses(runtime)] == ["subject-export", "reidentify"]

    shown = done(
        "erase", "request", "--reason", "letter 17", "--ids", "-", "--requested-by", "dennis", "--json",
        stdin=f"{ALICE}\n",
    )  # fmt: skip
    made = json.loads(shown)["request"]
    refused = call("erase", "approve", made, "--ids", "-", "--approver", "carla", stdin=f"{ALICE}\n")
    assert refused.exit_code != 0
    assert "one of them must sign" in str(refused.exception)
    officer("sign", "erasure.json", "--key", "otto.pem", "--passphrase-file", "secret", "--yes")
    text = done("erase", "approve", made, "--ids", "-", "--approval", "erasure.json", stdin=f"{ALICE}\n")
    assert "erased: keys 1" in text
    officer("withdraw", "otto", "--approver", "carla", "--reason", "left", "--requested-by", "ida")
    assert json.loads(officer("list", "--json"))[1]["withdrawn_at"]
    assert evidence.verify_store(runtime).ok


def test_a_name_is_typed_unseen_and_is_no_argument(tmp_path: Path) -> None:
    runtime, store = make(tmp_path / "a", 0)
    environment = {
        "INDELIBLE_STORE__URI": store.uri,
        "INDELIBLE_STATE": str(tmp_path / "a" / "state"),
        "INDELIBLE_CONTRACTS": str(tmp_path / "a" / "contracts"),
        "INDELIBLE_LOG__ORIGIN": "audit.example/test",
    }
    code, shown = at_terminal(
        "subject", "export", "-o", "me.zip", "--requested-by", "ida",
        directory=tmp_path, environment=environment, typed=(ALICE, ""),
    )  # fmt: skip
    assert code == 0, shown
    assert "not shown" in shown
    assert "3 records" in shown
    assert ALICE not in shown

    refused = call("export", "--id", ALICE, "-o", "you.zip")
    assert (refused.exit_code, Path("you.zip").exists()) == (2, False)
    nobody = call("export", "-o", "you.zip")
    assert "nobody is named" in str(nobody.exception)
    assert [entry["action"] for entry in accesses(runtime)] == ["subject-export"]


def soon() -> str:
    return (datetime.now(UTC) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M")
