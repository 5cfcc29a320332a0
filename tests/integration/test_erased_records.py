"""After an erasure nobody can try identifiers against a record of which everything else is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml
from sqlalchemy import select

from flows import erasure, evidence, pipeline
from flows.receipts import BatchReceipt
from flows.wiring import Runtime
from tasks.contracts.load import FILE_NAME, load_contract
from tasks.evidence import paths
from tasks.keyring.derived import RECORD_FINGERPRINT, encryption_key
from tasks.keyring.protocol import Purpose
from tasks.redact.keyed import keyed_hash
from tasks.storage.local import LocalStore
from tasks.subjects.schema import MONTHS, SUBJECTS
from tests.support.deployment import deployment

ALICE, BOB = "alice.smith12@corp.example", "bob.jones7@corp.example"
CANDIDATES = [
    f"{name}@corp.example" for name in ("alice.smith11", "alice.smith12", "alice.smith13", "carol.ng4")
]
SOURCE = "app"


def record(email: str, trace: str = "t-1") -> bytes:
    line = {"@timestamp": "2026-11-01T10:00:00Z", "message": "signed in", "trace.id": trace, "email": email}
    return json.dumps(line).encode()


class Place:
    """A deployment whose one source has a record key."""

    def __init__(self, base: Path) -> None:
        self.base, self.landing = base, base / "landing"
        self.landing.mkdir()
        content = yaml.safe_load(load_contract(SOURCE).document)
        for entry in content["schema"][0]["customProperties"]:
            if entry["property"] == "recordKey":
                entry["value"] = ["trace_id"]
        (base / "contracts" / SOURCE).mkdir(parents=True)
        (base / "contracts" / SOURCE / FILE_NAME).write_text(yaml.safe_dump(content))
        self.store = LocalStore(base / "store")
        self.runtime: Runtime = deployment(
            self.store, base / "state", {SOURCE: self.landing.as_uri()}, contracts=base / "contracts"
        )

    def deliver(self, name: str, *lines: bytes) -> BatchReceipt:
        (self.landing / f"{name}.ndjson").write_bytes(b"\n".join(lines) + b"\n")
        [receipt], _ = pipeline.deliver(self.runtime, SOURCE)
        return receipt

    def keys(self) -> Iterator[bytes]:
        """Every key that the tenant holds: the root, what follows from it, and all that the key table still has."""
        yield bytes.fromhex((self.base / "state" / "keys" / "root.key").read_text().strip())
        purposes: tuple[Purpose, ...] = ("index", "salt")
        yield from map(self.runtime.keyring.secret, purposes)
        table = self.runtime.key_table
        with table.database.reading() as connection:
            months = connection.execute(select(MONTHS.c.purpose, MONTHS.c.epoch)).all()
            persons = connection.scalars(select(SUBJECTS.c.subject)).all()
        yield from (table.month_key(*month) for month in months)
        yield from filter(None, (table.known_key(bytes(person).hex()) for person in persons))

    def told(self, email: str) -> set[str]:
        """What a guess of the person makes of the known record, by all ways and keys."""
        raw = record(email)
        digest = hashlib.sha256(raw).digest()
        ways = [keyed_hash(key, RECORD_FINGERPRINT) for key in self.keys()]
        ways += [keyed_hash(encryption_key(key), RECORD_FINGERPRINT) for key in self.keys()]
        return {way(text) for way in ways for text in (digest, raw)} | {digest.hex(), digest.hex()[:32]}

    def stored(self) -> str:
        """All texts of the store."""
        found = []
        for info in self.store.list():
            data = self.store.read(info.path)
            rows = pl.read_parquet(data).to_dicts() if data.startswith(b"PAR1") else data.decode("latin-1")
            found.append(str(rows))
        return "\n".join(found)

    def confirmed(self) -> list[str]:
        """Candidates of whom the store says that the known record is theirs."""
        stored = self.stored()
        return [email for email in CANDIDATES if any(text in stored for text in self.told(email))]

    def fingerprints(self) -> list[str]:
        files = [self.store.read(info.path) for info in self.store.list(paths.DATA_PREFIX)]
        return [text for data in files for text in pl.read_parquet(data)["_fingerprint"] if text]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.deliver("a", record(ALICE), record(BOB), record(BOB, "t-2"))
    return made


def test_no_key_that_is_left_confirms_whose_a_known_record_was(place: Place) -> None:
    assert place.confirmed() == [ALICE]
    made = erasure.request(place.runtime, [ALICE], "dennis", "letter 17")
    assert erasure.approve(place.runtime, made.id, [ALICE], "carla").plan.outcome == "erased"
    assert place.confirmed() == []
    assert evidence.verify_store(place.runtime).ok


def test_a_record_of_an_erased_person_counts_as_new_and_others_stay_duplicates(place: Place) -> None:
    before = set(place.fingerprints())
    again = place.deliver("b", record(ALICE), record(BOB), record(BOB))
    assert (again.accepted, again.duplicate) == (0, 3)
    made = erasure.request(place.runtime, [ALICE], "dennis", "letter 17")
    erasure.approve(place.runtime, made.id, [ALICE], "carla")
    later = place.deliver("c", record(BOB), record(ALICE), record(ALICE))
    assert (later.accepted, later.duplicate) == (1, 2)
    fingerprints = place.fingerprints()
    assert len(fingerprints) == len(set(fingerprints)) == len(before) + 1
    assert evidence.verify_store(place.runtime).ok
