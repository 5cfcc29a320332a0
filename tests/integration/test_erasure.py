"""A person is forgotten under WORM: nothing that is sealed changes, and nothing leads to the person any more."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import yaml
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from flows import approvals, erasure, erasure_survey, evidence, key_backups, pipeline, quarantine
from flows.entries import append_entry, append_made
from flows.holding import Order, Scope
from flows.holds import place as place_hold
from flows.holds import release
from flows.officers import withdraw
from flows.shards import log_keys
from flows.trust import own_policy, write_policy
from flows.wiring import Runtime
from tasks.catalog.query import run_query
from tasks.contracts.load import FILE_NAME, load_contract
from tasks.errors import UsageError
from tasks.evidence import merkle, paths
from tasks.evidence.officer_entry import Approval
from tasks.evidence.tlog_proof import parse_tlog_proof
from tasks.keyring import officers as officer_keys
from tasks.keyring.derived import encryption_key
from tasks.redact.identities import _nonce, _place
from tasks.redact.pseudonyms import _namer
from tasks.storage.local import LocalStore
from tests.support.auditor import auditor
from tests.support.deployment import deployment
from tests.support.officers import enrol

if TYPE_CHECKING:
    from tasks.storage.protocol import ObjectStore
    from tasks.storage.s3 import S3Store
    from tests.support.postgres import Postgres
    from tests.support.s3 import S3

ALICE, BOB = "alice.smith12@corp.example", "bob.jones7@corp.example"
LINE: dict[str, Any] = {"@timestamp": "2026-11-01T10:00:00Z", "message": "signed in"}
ORDER = Order("carla", "dennis", "letter 17")


class Killed(Exception):
    """Stands for the end of the process at one moment."""


class Place:
    """A deployment on an S3 server, with its key table in SQLite or PostgreSQL."""

    def __init__(self, base: Path, store: ObjectStore, /, **sections: Any) -> None:
        self.base, self.store, self.landing = base, store, base / "landing"
        self.sections = sections
        if not self.landing.exists():
            self._begin()
        self.runtime = self.open()

    def _begin(self) -> None:
        self.landing.mkdir()
        content = yaml.safe_load(load_contract("app").document)
        for field in content["schema"][0]["properties"]:
            for entry in field.get("customProperties", ()):
                entry["value"] = "encrypt" if entry["value"] == "pseudonym" else entry["value"]
        (self.base / "contracts" / "app").mkdir(parents=True)
        (self.base / "contracts" / "app" / FILE_NAME).write_text(yaml.safe_dump(content))

    def open(self) -> Runtime:
        return deployment(
            self.store, self.base / "state", {"app": self.landing.as_uri()},
            contracts=self.base / "contracts", **self.sections,
        )  # fmt: skip

    def deliver(self, name: str, *lines: dict[str, Any] | str) -> None:
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (self.landing / f"{name}.ndjson").write_text("\n".join(texts) + "\n")
        pipeline.deliver(self.runtime, "app")

    def fill(self) -> None:
        """Rows of two persons, and a broken line of each."""
        people = [
            LINE | {"email": ALICE.title(), "n": 1},
            LINE | {"email": BOB},
            LINE | {"email": ALICE, "n": 2},
        ]
        broken = [f'{{"mail":"{BOB}', f'{{"mail":"{ALICE}"', '{"nobody']
        self.deliver("a", *people, *people[1:2], *[LINE | {"n": n} for n in range(20)], *broken)

    def objects(self) -> dict[str, bytes]:
        return {i.path: self.store.read(i.path) for i in self.store.list() if not i.path.startswith("log/")}

    def rows(self, prefix: str = paths.DATA_PREFIX) -> pl.DataFrame:
        found = [self.store.read(info.path) for info in self.store.list(prefix)]
        return pl.concat([pl.read_parquet(data) for data in found], how="diagonal")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return run_query(self.runtime.session(), self.runtime.catalog_path, sql)[1]

    def erase(self, *names: str, directory: Path | None = None) -> erasure.Outcome:
        made = erasure.request(self.runtime, names, "dennis", "letter 17")
        return erasure.approve(self.runtime, made.id, names, "carla", directory=directory)

    def digest(self) -> str:
        return hashlib.sha256((self.landing / "a.ndjson").read_bytes()).hexdigest()

    def entry(self) -> int:
        """The first seal entry."""
        [(entry,)] = self.query("SELECT min(entry) FROM batches")
        return int(entry)

    def lines(self) -> dict[int, str]:
        with self.runtime.catalog() as catalog:
            catalog.create_views(self.runtime.contracts())
            return {item["line"]: item["state"] for item in quarantine.show(catalog, self.entry())}


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, s3: S3, worm_store: S3Store) -> Place:
    if request.param == "sqlite":
        return Place(tmp_path, worm_store, store=s3.section())
    postgres: Postgres = request.getfixturevalue("postgres")
    return Place(tmp_path, worm_store, store=s3.section(), key_table={"url": postgres.fresh()})


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment in a directory, made once: those who change it take a copy."""
    base = tmp_path_factory.mktemp("filled")
    Place(base, LocalStore(base / "store")).fill()
    return base


@pytest.fixture
def small(filled: Path, tmp_path: Path) -> Place:
    base = tmp_path / "copy"
    shutil.copytree(filled, base)
    return Place(base, LocalStore(base / "store"))


def test_all_that_is_sealed_stays_and_nothing_leads_to_the_person(place: Place, tmp_path: Path) -> None:
    place.fill()
    before, rows = place.objects(), place.rows().sort("_line")
    secrets = secrets_that_name(place, rows["user_email"][0])
    done = place.erase(ALICE)
    assert done.plan.outcome == "erased"
    assert [(file["source"], file["rows"]) for file in done.plan.files] == [("app", 2)]
    assert [item["lines"] for item in done.plan.lines] == [[26]]
    after = place.objects()
    assert {path: after[path] for path in before} == before
    report = evidence.verify_store(place.runtime)
    assert report.ok, report.findings
    assert {finding.reason for finding in report.findings} <= {"completeness-not-measured"}

    # Whoever has the root key, the index key, all keys of months and all of other persons cannot name the
    # pseudonym. That they confirm no guess of a whole record either is shown in test_erased_records.py.
    assert secrets == {"subject"}
    assert secrets_that_name(place, rows["user_email"][0]) == set()
    assert secrets_that_name(place, rows["user_email"][1], BOB) == {"subject"}
    place.deliver("b", LINE | {"email": ALICE, "n": 3})
    names = {row["n"]: row["user_email"] for row in extras(place.rows())}
    assert names[1] == names[2] == rows["user_email"][0]
    assert names[3].startswith("s_")
    assert names[3] != names[1]
    assert place.lines() == {25: "encrypted", 26: "erased", 27: "encrypted"}


def secrets_that_name(place: Place, pseudonym: str, identifier: str = ALICE) -> set[str]:
    """Which of all keys that are left make the pseudonym of the identifier, or open what was kept of it."""
    table, keyring = place.runtime.key_table, place.runtime.keyring
    root = (place.base / "state" / "keys" / "root.key").read_text().strip()
    keys = {"root": bytes.fromhex(root), "index": keyring.secret("index"), "salt": keyring.secret("salt")}
    keys |= {month: keyring.secret(month, "2026-11") for month in ("pseudonym", "quarantine")}
    people = [table.known_key(subject) for subject in table.subject_ids([ALICE, BOB])]
    candidates = [*keys.items(), *(("subject", key) for key in people if key is not None)]
    identities = place.rows(paths.IDENTITIES_PREFIX).filter(pseudonym=pseudonym).to_dicts()
    found = set()
    for name, key in candidates:
        for domain in ("person", "email", "user_email", "user"):
            if pseudonym == _namer(key, domain, "s_")(identifier):
                found.add(name)
        for row in identities:
            spot = _place("app", row["field"], pseudonym)
            try:
                AESGCMSIV(encryption_key(key)).decrypt(
                    _nonce(spot), base64.b64decode(row["ciphertext"]), spot
                )
                found.add(name)
            except InvalidTag:
                pass
    assert identities
    return found


def extras(rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    for row in rows.to_dicts():
        extra = json.loads(row["_extra"] or "{}")
        if "n" in extra and row["user_email"]:
            yield row | {"n": extra["n"]}


def test_the_certificate_is_what_the_log_binds(small: Place, tmp_path: Path) -> None:
    small.fill()
    key_backups.back_up(small.runtime, tmp_path / "table.backup")
    (tmp_path / "papers").mkdir()
    done = small.erase(ALICE, "alice", directory=tmp_path / "papers")
    assert {file.stat().st_mode & 0o777 for file in done.directory.iterdir()} == {0o600}
    data = (tmp_path / "papers" / "certificate.json").read_bytes()
    document = json.loads(data)
    [(year, index)] = done.entries
    entry = (tmp_path / "papers" / f"entry-{year}-{index}.json").read_bytes()
    sealed = json.loads(entry)
    assert sealed["certificate"] == hashlib.sha256(data).hexdigest()
    assert sealed["keys"] == document["keys"] == done.plan.keys
    proof = parse_tlog_proof((tmp_path / "papers" / f"entry-{year}-{index}.tlog-proof").read_bytes())
    checkpoint = own_policy(small.runtime).open_checkpoint(proof.checkpoint)
    merkle.verify_inclusion(
        merkle.leaf_hash(entry), index, checkpoint.size, list(proof.path), checkpoint.root
    )
    assert any("byte by byte" in limit for limit in document["limits"])
    places = document["places"]
    assert [(item["source"], item["rows"]) for item in places["rows"]] == [("app", 2)]
    assert places["identities"][0]["ciphertexts"] == 1
    assert places["quarantined_lines"]["searched"] == 3
    assert len(places["key_table_backups"]) == 1
    text = (tmp_path / "papers" / "certificate.md").read_text()
    assert "| Rows of app | 2 in 1 files |" in text
    assert f"`{sealed['certificate']}`" in text
    everything = [data, text.encode(), entry, *(small.store.read(i.path) for i in small.store.list())]
    subjects = small.runtime.key_table.subject_ids([ALICE])
    assert not [word for word in (ALICE, *subjects) if any(word.encode() in one for one in everything)]
    assert small.query("SELECT action, keys, lines, approver FROM erasures") == [("erase", 1, 1, "carla")]


@pytest.mark.parametrize(
    "step", ["shred_subject", "destroy_lines", "_seal", "write_papers", "forget_request"]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_step_and_approved_again_it_ends_alike(
    small: Place, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    small.fill()
    made = erasure.request(small.runtime, [ALICE], "dennis", "letter 17")
    approve: Callable[[], erasure.Outcome] = lambda: erasure.approve(  # noqa: E731
        small.open(), made.id, [ALICE], "carla"
    )
    real = getattr(erasure, step)

    def killed(*args: Any) -> None:
        if when == "after":
            real(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(erasure, step, killed)
        with pytest.raises(Killed):
            approve()
    if (step, when) == ("forget_request", "after"):
        with pytest.raises(UsageError, match="no such open request"):
            approve()
    else:
        assert len(approve().entries) == 1
    shreds = small.query("SELECT count(*) FROM keys WHERE action = 'shred' AND key = 'subject'")
    assert shreds == [(1,)]
    assert small.query("SELECT request, keys, lines FROM erasures") == [(made.id, 1, 1)]
    assert small.lines() == {25: "encrypted", 26: "erased", 27: "encrypted"}
    papers = small.base / "state" / "erasures" / made.id
    [(digest,)] = small.query("SELECT certificate FROM erasures")
    assert hashlib.sha256((papers / "certificate.json").read_bytes()).hexdigest() == digest
    assert len(json.loads((papers / "certificate.json").read_bytes())["places"]["rows"]) == 1
    assert evidence.verify_store(small.runtime).ok


def test_records_that_a_hold_keeps_are_refused_until_it_is_released(
    tmp_path: Path, s3: S3, worm_store: S3Store
) -> None:
    held = Place(tmp_path, worm_store, store=s3.section())
    held.fill()
    elsewhere = Scope("app", since=date(2026, 11, 2))
    place_hold(held.runtime, elsewhere, ORDER)
    hold, _ = place_hold(held.runtime, Scope("app", until=date(2026, 11, 1)), ORDER, "case 9")
    refused = held.erase(ALICE)
    assert (refused.plan.outcome, refused.plan.holds) == ("refused", [hold.id])
    [(year, index)] = refused.entries
    sealed = json.loads((refused.directory / f"entry-{year}-{index}.json").read_bytes())
    assert (sealed["action"], sealed["basis"], sealed["holds"]) == ("refuse", "GDPR 17(3)(e)", [hold.id])
    assert "Refusal" in (refused.directory / "certificate.md").read_text()
    assert held.runtime.key_table.known_key(held.runtime.key_table.subject_ids([ALICE])[0])
    release(held.runtime, hold.id, replace(ORDER, reason="case closed"))
    assert held.erase(ALICE).plan.outcome == "erased"
    report = evidence.verify_store(held.runtime)
    assert report.ok, report.findings


def killed_once(place: Place, monkeypatch: pytest.MonkeyPatch, step: str) -> str:
    """A request that was approved by a process that ended before a step."""
    made = erasure.request(place.runtime, [ALICE], "dennis", "letter 17")

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(erasure, step, killed)
        with pytest.raises(Killed):
            erasure.approve(place.runtime, made.id, [ALICE], "carla")
    return made.id


@pytest.mark.parametrize(("step", "outcome"), [("_destroy", "refused"), ("destroy_lines", "erased")])
def test_a_hold_that_is_placed_before_anything_is_destroyed_is_kept(
    tmp_path: Path, s3: S3, worm_store: S3Store, monkeypatch: pytest.MonkeyPatch, step: str, outcome: str
) -> None:
    held = Place(tmp_path, worm_store, store=s3.section())
    held.fill()
    interrupted = killed_once(held, monkeypatch, step)
    place_hold(held.runtime, Scope("app"), ORDER, "case 9")
    assert erasure.approve(held.runtime, interrupted, [ALICE], "carla").plan.outcome == outcome
    table = held.runtime.key_table
    assert (table.known_key(table.subject_ids([ALICE])[0]) is not None) == (outcome == "refused")
    assert held.query("SELECT action FROM erasures") == [("refuse" if outcome == "refused" else "erase",)]
    assert evidence.verify_store(held.runtime).ok


def test_a_key_of_records_that_came_after_the_decision_is_left_alone(
    small: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = killed_once(small, monkeypatch, "destroy_lines")
    small.deliver("b", LINE | {"email": ALICE})
    done = erasure.approve(small.runtime, interrupted, [ALICE], "carla")
    table = small.runtime.key_table
    assert table.known_key(table.subject_ids([ALICE])[0])
    shredded = small.query("SELECT commitment FROM keys WHERE action = 'shred'")
    assert shredded == [(key,) for key in done.plan.keys]


def test_a_bundle_shows_it_and_an_auditor_accepts_it(small: Place, tmp_path: Path) -> None:
    small.erase(ALICE)
    small.erase("nobody@corp.example")
    evidence.export(small.runtime, date(2026, 11, 1), date(2026, 11, 1), tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        page = archive.read("report.html").decode()
    digests = [digest for (digest,) in small.query("SELECT certificate FROM erasures ORDER BY entry")]
    assert [page.count(digest) for digest in digests] == [1, 1]
    assert ">erased</span>" in page
    assert "nothing found" in page
    policy = write_policy(small.runtime, [k.vkey for k in log_keys(small.runtime, small.store.now().year)])
    for evidence_of in (small.base / "store", tmp_path / "bundle.zip"):
        checked = auditor(evidence_of, "--policy", policy)
        assert checked.returncode == 0, checked.stdout


def test_who_is_not_there_gets_a_certificate_as_well(small: Place) -> None:
    done = small.erase("nobody@corp.example")
    assert done.plan.outcome == "nothing found"
    assert "nothing to destroy" in (done.directory / "certificate.md").read_text()
    assert small.query("SELECT action, keys, lines FROM erasures") == [("erase", 0, 0)]
    assert evidence.verify_store(small.runtime).ok


@pytest.mark.parametrize("step", ["_destroy", "destroy_lines", "_seal"])
def test_two_requests_of_one_person_claim_the_key_and_the_line_once(
    small: Place, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    interrupted = killed_once(small, monkeypatch, step)
    again = erasure.request(small.runtime, [ALICE], "dennis", "letter 18")
    erasure.approve(small.runtime, again.id, [ALICE], "carla")
    erasure.approve(small.runtime, interrupted, [ALICE], "carla")
    told = small.query("SELECT reason, keys, lines FROM erasures ORDER BY reason")
    assert [sum(row[at] for row in told) for at in (1, 2)] == [1, 1]
    [(words,)] = small.query("SELECT reason FROM keys WHERE action = 'shred'")
    assert [reason for reason, keys, _ in told if keys] == [words]
    report = evidence.verify_store(small.runtime)
    assert report.ok, report.findings


def test_an_erasure_of_many_lines_is_sealed_in_parts_and_goes_on_where_it_stopped(
    small: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "_LINES_AN_ENTRY", 2)
    small.deliver("b", *[f'{{"mail":"{ALICE}"' + " " * n for n in range(4)])
    made = erasure.request(small.runtime, [ALICE], "dennis", "letter 17")
    parts: list[Any] = []

    def killed(*args: Any) -> None:
        if len(parts) == 2:
            raise Killed
        parts.append(append_made(*args))
        pipeline.publish(args[0], args[1])

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "append_made", killed)
        with pytest.raises(Killed):
            erasure.approve(small.runtime, made.id, [ALICE], "carla")
    [unfinished] = [f for f in evidence.verify_store(small.runtime).findings if "erasure" in f.reason]
    assert (unfinished.reason, unfinished.verdict) == ("erasure-unfinished", "not-sealed-yet")
    assert len(erasure.approve(small.runtime, made.id, [ALICE], "carla").entries) == 3
    assert small.query("SELECT request, keys, lines FROM erasures") == [(made.id, 1, 5)]
    report = evidence.verify_store(small.runtime)
    assert not [finding for finding in report.findings if "erasure" in finding.reason], report.findings


def test_a_backup_brings_nothing_back_and_a_replay_leaves_it_out(small: Place, tmp_path: Path) -> None:
    file = tmp_path / "table.backup"
    key_backups.back_up(small.runtime, file)
    small.erase(ALICE)
    for lost in (small.base / "state" / "keys").glob("table.db*"):
        lost.unlink()
    small.runtime = small.open()
    restored = key_backups.restore(small.runtime, file)
    assert restored.destroyed == 2
    table = small.runtime.key_table
    assert [table.known_key(subject) is None for subject in table.subject_ids([ALICE, BOB])] == [True, False]
    left_out: list[str] = []
    quarantine.replay(small.runtime, "app", progress=left_out.append)
    assert left_out == [f"entry 2026-{small.entry()}: 1 erased lines are left out"]
    assert small.erase(BOB).plan.numbers.keys() == {small.digest()}


def test_a_request_needs_two_people_and_the_same_person_twice(small: Place) -> None:
    made = erasure.request(small.runtime, [ALICE, "Alice"], "dennis", "letter 17")
    with pytest.raises(UsageError, match="cannot approve"):
        erasure.approve(small.runtime, made.id, [ALICE, "Alice"], "Dennis")
    for others in ([ALICE], [ALICE, "Alice", BOB], [BOB]):
        with pytest.raises(UsageError, match="are not those of request"):
            erasure.approve(small.runtime, made.id, others, "carla")
    with pytest.raises(UsageError, match="no such open request"):
        erasure.approve(small.runtime, "0" * 32, [ALICE], "carla")
    for who, why in ((ALICE, "letter 17"), ("dennis", f"asked by {ALICE.upper()}")):
        with pytest.raises(UsageError, match="holds an identifier of the person"):
            erasure.request(small.runtime, [ALICE], who, why)
    stored = b"".join(file.read_bytes() for file in (small.base / "state" / "keys").glob("table.db*"))
    assert b"letter 17" in stored
    assert ALICE.encode() not in stored


def test_once_officers_are_enrolled_one_of_them_signs(
    small: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("anna", "otto", "uma")
    keys = {name: officer_keys.create(tmp_path / name, name, None) for name in names}
    interrupted = killed_once(small, monkeypatch, "_destroy")
    for name in ("anna", "otto"):
        enrol(small.runtime, keys, name)
    made = erasure.request(small.runtime, [ALICE], "dennis", "letter 18")
    asked = approvals.parse_ask(erasure.ask(small.runtime, made).encode())
    assert ALICE.encode() not in asked.encode()

    def refused(approver: str, signature: Approval | None, why: str) -> None:
        with pytest.raises(UsageError, match=why):
            erasure.approve(small.runtime, made.id, [ALICE], approver, approval=signature)
        table = small.runtime.key_table
        assert table.known_key(table.subject_ids([ALICE])[0])
        assert small.query("SELECT count(*) FROM erasures") == [(0,)]

    refused("carla", None, "one of them must sign")
    refused("anna", None, "one of them must sign")
    refused("uma", asked.sign(keys["uma"]).approval, "who is enrolled")
    refused("anna", asked.sign(keys["otto"]).approval, "over something else")
    other = erasure.request(small.runtime, [BOB], "dennis", "letter 19")
    refused("anna", erasure.ask(small.runtime, other).sign(keys["anna"]).approval, "over something else")
    with pytest.raises(UsageError, match="has signed already"):
        asked.sign(keys["anna"]).sign(keys["otto"])
    mine = replace(asked, statement={**asked.statement, "requested_by": "Anna"})
    with pytest.raises(UsageError, match="cannot approve what they ask for"):
        mine.sign(keys["anna"])
    with pytest.raises(UsageError, match="one of them must sign"):
        erasure.approve(small.runtime, interrupted, [ALICE], "carla")

    signature = asked.sign(keys["otto"]).approval
    with monkeypatch.context() as patch:
        # Withdrawn after it was looked at, and before it is sealed.
        patch.setattr(erasure, "_destroy", lambda *_: withdraw(small.runtime, ORDER, "otto"))
        refused("otto", signature, "who is enrolled")
    keys["otto"] = officer_keys.create(tmp_path / "new", "otto", None)
    enrol(small.runtime, keys, "otto")
    signature = asked.sign(keys["otto"]).approval
    assert (
        erasure.approve(small.runtime, made.id, [ALICE], "otto", approval=signature).plan.outcome == "erased"
    )
    told = small.query("SELECT approver, approval_key, keys FROM erasures")
    assert told == [("otto", keys["otto"].sign_key, 1)]
    report = evidence.verify_store(small.runtime)
    assert report.ok, report.findings


def test_what_only_says_that_somebody_was_erased_is_found(small: Place) -> None:
    common = {
        "approval": None,
        "approver": "carla",
        "certificate": "c" * 64,
        "reason": "r",
        "request": "1" * 32,
        "requested_by": "d",
    }
    lies: list[dict[str, Any]] = [
        {"action": "erase", "keys": ["d" * 64], "lines": [], "part": 1, "parts": 1},
        {"action": "refuse", "basis": "GDPR 17(3)(b)", "holds": ["2026-1"], "request": "2" * 32},
    ]
    with small.runtime.catalog() as catalog:
        for lie in lies:
            append_entry(small.runtime, catalog, "erasure", common | lie)
        pipeline.publish(small.runtime, catalog)
    found = [
        f.reason for f in evidence.verify_store(small.runtime).findings if f.reason.startswith("erasure")
    ]
    assert found == ["erasure-key-not-destroyed", "erasure-hold-unknown"]


def test_who_approves_second_is_told_that_it_is_done(small: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    made = erasure.request(small.runtime, [ALICE], "dennis", "letter 17")
    looked = erasure_survey.survey

    def overtaken(*args: Any) -> erasure_survey.Plan:
        plan = looked(*args)
        monkeypatch.setattr(erasure, "survey", looked)
        erasure.approve(small.open(), made.id, [ALICE], "carla")
        return plan

    monkeypatch.setattr(erasure, "survey", overtaken)
    with pytest.raises(UsageError, match="by another approval meanwhile") as second:
        erasure.approve(small.runtime, made.id, [ALICE], "ellen")
    assert "erasures" in second.value.next_step
    assert small.query("SELECT action, approver FROM erasures") == [("erase", "carla")]


def test_a_backup_that_is_made_after_somebody_looked_is_named(
    small: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = erasure._destroy

    def beside(*args: Any) -> None:
        key_backups.back_up(small.runtime, tmp_path / "table.backup", 3)
        real(*args)

    monkeypatch.setattr(erasure, "_destroy", beside)
    done = small.erase(ALICE)
    [[_, expires]] = done.plan.backups
    named = json.loads((done.directory / "certificate.json").read_bytes())["places"]["key_table_backups"]
    assert [backup["expires_at"] for backup in named] == [expires]


def test_lines_whose_keys_came_after_the_backup_are_counted_and_stand_in_nobodys_way(
    small: Place, tmp_path: Path
) -> None:
    file = tmp_path / "table.backup"
    key_backups.back_up(small.runtime, file)
    small.deliver("b", LINE | {"email": BOB}, f'{{"mail":"{ALICE}"')
    for lost in (small.base / "state" / "keys").glob("table.db*"):
        lost.unlink()
    small.runtime = small.open()
    assert key_backups.restore(small.runtime, file).unreadable_drops == 1
    done = small.erase(ALICE)
    assert (done.plan.outcome, done.plan.searched, done.plan.unreadable) == ("erased", 3, 2)
    assert len(done.plan.backups) == 1, "the lost table had noted it"
    assert evidence.verify_store(small.runtime).ok
