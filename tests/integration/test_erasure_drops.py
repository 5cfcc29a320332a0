"""A certificate counts the drops that are about nobody but the person, since a whole drop can be guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from flows import erasure, pipeline
from flows.erasure_papers import statement
from flows.wiring import Runtime
from tasks.errors import VerificationError
from tasks.evidence import paths
from tasks.storage.local import LocalStore
from tests.support.deployment import deployment

ALICE, BOB, NAME = "alice.smith12@corp.example", "bob.jones7@corp.example", "asmith"


def record(n: int, **fields: str) -> str:
    return json.dumps({"@timestamp": "2026-11-01T10:00:00Z", "message": "signed in", "n": n} | fields)


def broken(email: str) -> str:
    return f'{{"mail":"{email}"'


ALONE: Final = {
    "one-record": [record(1, email=ALICE)],
    "two-names": [record(2, email=ALICE), record(3, user_name=NAME), record(4, email=ALICE, user_name=NAME)],
    "beside-a-blank-line": [record(5, email=ALICE), ""],
    "beside-a-line-of-another-set-aside": [record(6, email=ALICE), broken(BOB)],
    "set-aside": [broken(ALICE), broken(ALICE) + ","],
}
NOT_ALONE: Final = {
    "beside-another": [record(11, email=ALICE), record(12, email=BOB)],
    "under-both-names-beside-another": [record(13, email=ALICE, user_name=NAME), record(14, email=BOB)],
    "beside-nobody": [record(15, email=ALICE), record(16)],
    "of-another": [record(17, email=BOB)],
    "set-aside-beside-another": [broken(ALICE), broken(BOB)],
    "set-aside-beside-a-record-of-another": [broken(ALICE), record(18, email=BOB)],
}


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    (tmp_path / "landing").mkdir()
    return deployment(
        LocalStore(tmp_path / "store"), tmp_path / "state", {"app": (tmp_path / "landing").as_uri()}
    )


def deliver(runtime: Runtime, tmp_path: Path, **drops: list[str]) -> None:
    """One batch of these drops, and of one with so many records of nobody that the gate lets the batch through."""
    others = {f"others-{min(drops)}": [record(n, of=min(drops)) for n in range(100, 400)]}
    for name, lines in (drops | others).items():
        (tmp_path / "landing" / f"{name}.ndjson").write_text("\n".join(lines) + "\n")
    pipeline.deliver(runtime, "app")


def places(runtime: Runtime, tmp_path: Path, *names: str) -> tuple[dict[str, Any], str]:
    made = erasure.request(runtime, names, "dennis", "letter 17")
    papers = tmp_path / "papers"
    done = erasure.approve(runtime, made.id, names, "carla", directory=papers)
    document = json.loads((papers / "certificate.json").read_bytes())
    assert document == statement(made, done.plan)
    return document["places"], (papers / "certificate.md").read_text()


def test_a_drop_is_counted_when_all_of_it_is_about_the_person(runtime: Runtime, tmp_path: Path) -> None:
    for name, lines in (ALONE | NOT_ALONE).items():
        deliver(runtime, tmp_path, **{name: lines})
    found, _ = places(runtime, tmp_path, ALICE, NAME)
    with runtime.catalog() as catalog:
        rows = catalog.connection.execute("SELECT shard || '-' || entry, key FROM drops").fetchall()
    names = {entry: key.removesuffix(".ndjson") for entry, key in rows if not key.startswith("others")}
    assert {names[item["entry"]]: item["drops"] for item in found["drops_alone"]} == dict.fromkeys(ALONE, 1)


def test_drops_are_counted_by_entry_whatever_else_is_in_their_batch(runtime: Runtime, tmp_path: Path) -> None:
    deliver(runtime, tmp_path, **ALONE, **NOT_ALONE)
    deliver(runtime, tmp_path, later=[record(21, email=ALICE)], other=[record(22, email=BOB)])
    found, text = places(runtime, tmp_path, ALICE, NAME)
    counted = found["drops_alone"]
    assert [(item["source"], item["drops"]) for item in counted] == [("app", len(ALONE)), ("app", 1)]
    assert [item["entry"] for item in counted] == sorted({row["entry"] for row in found["rows"]})
    assert f"| Drops about this person alone | {len(ALONE) + 1} in 2 entries |" in text


def test_nothing_is_destroyed_when_a_ledger_is_not_what_was_sealed(runtime: Runtime, tmp_path: Path) -> None:
    deliver(runtime, tmp_path, drop=[record(1, email=ALICE)])
    [ledger] = [info.path for info in runtime.store.list(paths.LEDGER_PREFIX)]
    (tmp_path / "store" / ledger).write_bytes(b"{}\n")
    with pytest.raises(VerificationError, match="not what its entry names"):
        places(runtime, tmp_path, ALICE)
    [subject] = runtime.key_table.subject_ids([ALICE])
    assert runtime.key_table.known_key(subject)
