"""Persons' keys and encrypted identities through the whole main job: sealed, verified, re-identified, forgotten."""

from __future__ import annotations

import json
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from flows import evidence, pipeline
from flows.wiring import Runtime
from tasks.contracts.load import FILE_NAME, load_contract
from tasks.errors import KeyUnavailableError
from tasks.evidence import paths
from tasks.keyring.derived import subject_key_id
from tasks.redact import decrypt_identity
from tasks.storage.local import LocalStore
from tasks.subjects.destruction import Cause, destroy_subject
from tests.support.deployment import deployment

ALICE, BOB = "alice.smith12@corp.example", "bob.jones7@corp.example"
LINE = {"@timestamp": "2026-11-01T10:00:00Z", "message": "signed in", "client_ip": "203.0.113.9"}
DAY = date(2026, 11, 1)


def contracts(directory: Path) -> Path:
    """The shipped contract of `app`, with persons encrypted and addresses as prefix-preserving pseudonyms."""
    content = yaml.safe_load(load_contract("app").document)
    for field in content["schema"][0]["properties"]:
        for entry in list(field.get("customProperties", ())):
            if entry["value"] == "pseudonym":
                entry["value"] = "encrypt"
            elif entry["value"] == "truncate_ip":
                entry["value"] = "prefix_pseudonym"
                field["customProperties"].append({"property": "domain", "value": "client"})
    (directory / "app").mkdir(parents=True)
    (directory / "app" / FILE_NAME).write_text(yaml.safe_dump(content))
    return directory


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    landing = tmp_path / "landing"
    landing.mkdir()
    lines: list[dict[str, Any]] = [
        LINE | {"user_name": "alice", "email": ALICE.title()},
        LINE | {"email": BOB, "@timestamp": "2026-12-01T10:00:00Z"},
        LINE | {"email": ALICE, "@timestamp": "2026-12-01T11:00:00Z", "client_ip": "203.0.113.200"},
        LINE,
    ]
    (landing / "a.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    made = deployment(
        LocalStore(tmp_path / "store"), tmp_path / "state", {"app": landing.as_uri()},
        contracts=contracts(tmp_path / "contracts"),
    )  # fmt: skip
    pipeline.deliver(made, "app")
    return made


def rows(runtime: Runtime, prefix: str) -> pl.DataFrame:
    found = [runtime.store.read(info.path) for info in runtime.store.list(prefix)]
    return pl.concat(pl.read_parquet(data) for data in found)


def subject(runtime: Runtime, identifier: str) -> str:
    return runtime.keyring.subject_ids([identifier])[0]


def test_what_is_sealed_verifies_and_names_keys_but_no_person(runtime: Runtime) -> None:
    report = evidence.verify_store(runtime)
    assert report.ok, report.findings
    data = rows(runtime, paths.DATA_PREFIX).sort("_line")
    emails = data["user_email"].to_list()
    assert emails[0] == emails[2] != emails[1]
    assert all(text.startswith("s_") for text in emails[:3])
    assert data["user"][0].startswith("s_")
    addresses = data["client_ip"].to_list()
    assert addresses[0] == addresses[3] != "203.0.113.9"
    assert addresses[1] != addresses[0], "keys of addresses change with the month"
    assert addresses[1].rsplit(".", 1)[0] == addresses[2].rsplit(".", 1)[0]
    with runtime.catalog() as catalog:
        [(keys,)] = catalog.connection.execute(
            "SELECT document->'$.keys' FROM entries WHERE type = 'seal'"
        ).fetchall()
    assert json.loads(keys) == ["pseudonym/2026-11", "pseudonym/2026-12", "subject"]


def test_persons_are_noted_where_they_occur(runtime: Runtime) -> None:
    places = runtime.key_table.places(subject(runtime, ALICE))
    assert [(place.source, place.rows) for place in places] == [("app", 1), ("app", 1)]
    assert {place.path for place in places} == {info.path for info in runtime.store.list(paths.DATA_PREFIX)}
    assert len(runtime.key_table.places(subject(runtime, BOB))) == 1
    lines = [
        pl.read_parquet(runtime.store.read(place.path))["_line"].gather(numbers).to_list()
        for place, numbers in runtime.key_table.row_numbers(subject(runtime, ALICE))
    ]
    assert sorted(lines) == [[1], [3]]


def test_a_pseudonym_is_turned_back_with_its_key_until_the_person_is_forgotten(runtime: Runtime) -> None:
    table = rows(runtime, paths.IDENTITIES_PREFIX)
    [pseudonym] = set(rows(runtime, paths.DATA_PREFIX).filter(_line=3)["user_email"])
    [row] = table.filter(pseudonym=pseudonym).to_dicts()
    key = runtime.key_table.known_key(subject(runtime, ALICE))
    assert key is not None
    assert row["kid"] == subject_key_id(key)
    assert decrypt_identity("app", row["field"], pseudonym, row["ciphertext"], key) == ALICE

    before = evidence.verify_store(runtime)
    destroy_subject(runtime.key_table, subject(runtime, ALICE), Cause("anna", "otto", "Art. 17"))
    assert runtime.key_table.known_key(subject(runtime, ALICE)) is None
    [new] = runtime.keyring.subject_keys([ALICE])
    with pytest.raises(KeyUnavailableError):
        decrypt_identity("app", row["field"], pseudonym, row["ciphertext"], new)
    after = evidence.verify_store(runtime)
    assert after.ok
    assert [shard.root for shard in before.shards] == [shard.root for shard in after.shards]


def test_identities_go_with_whole_evidence_and_never_with_what_withholds_persons(
    runtime: Runtime, tmp_path: Path
) -> None:
    whole, withheld = tmp_path / "whole.zip", tmp_path / "withheld.zip"
    evidence.export(runtime, DAY, DAY, whole)
    evidence.export_public(runtime, DAY, DAY, withheld)
    members = [zipfile.ZipFile(bundle).namelist() for bundle in (whole, withheld)]
    found = [{name for name in names if name.startswith(paths.IDENTITIES_PREFIX)} for names in members]
    assert found == [{info.path for info in runtime.store.list(paths.IDENTITIES_PREFIX)}, set()]


def test_identities_are_in_no_view(runtime: Runtime) -> None:
    with runtime.catalog() as catalog:
        views = catalog.connection.execute("SELECT sql FROM duckdb_views() WHERE NOT internal").fetchall()
        roles = catalog.connection.execute("SELECT role FROM files ORDER BY ALL").fetchall()
    assert ("identities",) in roles
    assert not [sql for (sql,) in views if "identities/" in sql]
