"""A person gets what is sealed about them: readable, proven, on record, at a cost that does not grow with the rest."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flows import evidence, pipeline, subject_access
from flows.wiring import Runtime
from tasks.errors import StoreRefusedError, UsageError
from tasks.evidence.policy import parse_policy
from tasks.evidence.proof import check, parse
from tasks.export.person import PAGE
from tasks.storage.local import LocalStore
from tasks.subjects.destruction import Cause, destroy_subject
from tests.integration.test_identities import ALICE, BOB, LINE, contracts
from tests.support.deployment import deployment

NAME = "alice.smith12@CORP.example"
"""Another spelling of Alice's address."""


class CountingStore(LocalStore):
    """Counts what is read of sealed files."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.objects: set[str] = set()
        self.bytes = 0
        self.refused = ""

    def create(self, path: str, *args: Any, **kwargs: Any) -> Any:
        if self.refused and self.refused in path:
            raise StoreRefusedError("the disk is full", next_step="")
        return super().create(path, *args, **kwargs)

    def read(self, path: str, version_id: str | None = None) -> bytes:
        return self._count(path, super().read(path, version_id))

    def read_range(self, path: str, *args: Any, **kwargs: Any) -> bytes:
        return self._count(path, super().read_range(path, *args, **kwargs))

    def _count(self, path: str, data: bytes) -> bytes:
        if not path.startswith("log/"):
            self.objects.add(path)
            self.bytes += len(data)
        return data


def make(base: Path, others: int = 2) -> tuple[Runtime, CountingStore]:
    """A deployment in which Alice has three records on two days, among those of `others` days of others."""
    base.mkdir(exist_ok=True)
    (base / "landing").mkdir()
    store = CountingStore(base / "store")
    runtime = deployment(
        store, base / "state", {"app": (base / "landing").as_uri()}, contracts=contracts(base / "contracts")
    )
    deliver(runtime, base, "a", [
        LINE | {"user_name": "alice", "email": ALICE.title(), "message": "=1+1"},
        LINE | {"email": ALICE, "@timestamp": "2026-11-02T10:00:00Z"},
        LINE | {"email": BOB},
        LINE | {"email": ALICE, "@timestamp": "2026-11-02T11:00:00Z"},
        {"email": ALICE, "message": "it has no time"},
    ])  # fmt: skip
    if others:
        deliver(runtime, base, "b", [
            LINE | {"email": f"p{n}@corp.example", "@timestamp": f"2026-12-{1 + n % others:02d}T10:00:{n % 60:02d}Z"}
            for n in range(others * 40)
        ])  # fmt: skip
    return runtime, store


def deliver(runtime: Runtime, base: Path, name: str, lines: list[dict[str, Any]]) -> None:
    (base / "landing" / f"{name}.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    pipeline.deliver(runtime, "app")


def export(runtime: Runtime, target: Path, *names: str) -> Mapping[str, bytes]:
    subject_access.export_subject(runtime, subject_access.read_identifiers(names or [NAME]), target, "ida")
    with zipfile.ZipFile(target) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def accesses(runtime: Runtime) -> list[dict[str, Any]]:
    with runtime.catalog() as catalog:
        rows = catalog.connection.execute(
            "SELECT document FROM entries WHERE type = 'access' ORDER BY shard, entry"
        ).fetchall()
    return [json.loads(document) for (document,) in rows]


Deployed = tuple[Runtime, CountingStore]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return make(tmp_path_factory.mktemp("small") / "a")


def test_a_person_gets_their_records_with_their_own_values_and_proofs(
    small: Deployed, tmp_path: Path
) -> None:
    runtime, _ = small
    members = export(runtime, tmp_path / "me.zip")
    policy = parse_policy(members["policy"].decode())
    proofs = [parse(data) for name, data in members.items() if name.endswith(".proof")]
    assert sorted(check(proof, policy)["_line"] for proof in proofs) == [1, 2, 4]
    rows = list(csv.DictReader(io.StringIO(members["records/app-0001.csv"].decode())))
    assert [row["time"][:16] for row in rows] == ["2026-11-01 10:00", "2026-11-02 10:00", "2026-11-02 11:00"]
    assert {row["user_email"] for row in rows} == {ALICE}
    assert rows[0]["user"] == "alice"
    assert rows[0]["message"] == "'=1+1", "a spreadsheet would compute it"
    lines = [json.loads(line) for line in members["records/app-0001.jsonl"].splitlines()]
    assert lines[0]["record"]["message"] == "=1+1"
    assert lines[0]["record"]["user_email"].startswith("s_")
    assert {f"proofs/{line['record_id']}.proof" for line in lines} == {
        n for n in members if n.endswith(".proof")
    }
    page = members[PAGE].decode()
    assert "Your names occur in 1 of <b>app</b>" in page
    assert not [name for name, data in members.items() if b"it has no time" in data]
    assert "3 records from 1 source" in page
    assert ALICE in page
    assert not [name for name, data in members.items() if b"bob.jones7" in data or b"p1@corp" in data]
    assert (tmp_path / "me.zip").stat().st_mode & 0o777 == 0o600
    assert evidence.verify_store(runtime).ok


def test_the_access_is_on_record_and_says_nothing_of_the_person(small: Deployed, tmp_path: Path) -> None:
    runtime, _ = small
    export(runtime, tmp_path / "me.zip")
    entry = accesses(runtime)[-1]
    assert entry.pop("sealed_at")
    assert entry == {
        "action": "subject-export",
        "format": "indelible/1",
        "purpose": "subject access",
        "records": 4,
        "requested_by": "ida",
        "type": "access",
    }


def test_an_export_is_not_sealed_in_the_name_of_the_person(small: Deployed, tmp_path: Path) -> None:
    runtime, _ = small
    before = accesses(runtime)
    for who in (NAME, f"desk for {ALICE}", "two\nlines"):
        with pytest.raises(UsageError) as error:
            subject_access.export_subject(runtime, [ALICE], tmp_path / "me.zip", who)
        assert ALICE not in str(error.value)
    assert accesses(runtime) == before
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_does_not_grow_with_the_records_of_others(small: Deployed, tmp_path: Path) -> None:
    read = []
    for others, (runtime, store) in ((2, small), (20, make(tmp_path / "20", 20))):
        store.objects.clear()
        store.bytes = 0
        assert len(export(runtime, tmp_path / f"{others}.zip")) == 3 + 5
        read.append(
            (
                len([path for path in store.objects if path.startswith("data/")]),
                len(store.objects),
                store.bytes,
            )
        )
    (files, objects, size), larger = read
    assert (files, objects) == larger[:2] == (2, 3), "two data files, and the identities of their batch"
    assert larger[2] == pytest.approx(size, rel=0.02)


@pytest.mark.parametrize("refused", ["/seq/", "/checkpoints/"], ids=["entry", "checkpoint"])
def test_nothing_is_handed_out_that_could_not_be_sealed(
    small: Deployed, tmp_path: Path, refused: str
) -> None:
    runtime, store = small
    store.refused = refused
    try:
        with pytest.raises(StoreRefusedError):
            export(runtime, tmp_path / "me.zip")
    finally:
        store.refused = ""
    assert list(tmp_path.glob("*.zip")) == list(tmp_path.glob(".me*")) == []


def test_who_was_erased_or_never_known_gets_an_answer_with_no_record(tmp_path: Path) -> None:
    runtime, _ = make(tmp_path / "a", 0)
    [subject] = runtime.keyring.subject_ids([ALICE])
    destroy_subject(runtime.key_table, subject, Cause("anna", "otto", "Art. 17"))
    for number, name in enumerate([NAME, "nobody@corp.example"]):
        members = export(runtime, tmp_path / f"{number}.zip", name)
        assert set(members) == {"policy", "verifier/indelible-verify.pyz", PAGE}
        assert b"Nothing, under the names that were given" in members[PAGE]
    assert [entry["records"] for entry in accesses(runtime)] == [0, 0]


def test_names_are_those_of_one_person() -> None:
    assert subject_access.read_identifiers([" Ada@Example.org ", "", "ada@example.ORG", "ada"]) == [
        "ada",
        "ada@example.org",
    ]
    with pytest.raises(UsageError, match="nobody is named"):
        subject_access.read_identifiers([" "])
    with pytest.raises(UsageError, match="more than 100"):
        subject_access.read_identifiers(map(str, range(101)))
