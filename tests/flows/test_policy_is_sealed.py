"""Which Rego policy decided is sealed with each batch: its bytes, what it was asked, and that it has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows import evidence, pipeline
from flows.wiring import Runtime
from tasks.errors import ContractError
from tasks.evidence.paths import POLICIES_PREFIX
from tasks.evidence.redaction import parse_report
from tasks.storage.local import LocalStore
from tasks.verify import reasons
from tests.support.faults import MOMENT, FaultyStore, land, seal_entries, small_runtime, write_contract

POLICIES = {
    "same": "treatment := input.treatment",
    "hides": 'treatment := "drop" if input.field == "user"\ntreatment := input.treatment if input.field != "user"',
    "shows": 'treatment := "keep"',
}


class Place:
    def __init__(self, base: Path) -> None:
        self.base, self.landing = base, base / "landing"
        self.landing.mkdir()
        write_contract(base / "contracts")
        self.store = FaultyStore(LocalStore(base / "store"))
        self.store.clock = MOMENT

    def runtime(self, name: str | None, **policy: Any) -> Runtime:
        section = {}
        if name is not None:
            path = self.base / f"{name}.rego"
            path.write_text(f"package indelible.redaction\nimport rego.v1\n{POLICIES[name]}\n")
            section = {"policy": {"file": path, **policy}}
        return small_runtime(self.store, self.base, self.landing, **section)

    def treatment(self, entry: dict[str, Any], name: str) -> str:
        report = parse_report(self.store.read(entry["redaction"]["path"]))
        return next(field["treatment"] for field in report["fields"] if field["field"] == name)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_each_entry_names_the_policy_that_decided_and_a_change_shows(place: Place) -> None:
    for number, name in enumerate((None, "same", "hides"), start=1):
        land(place.landing, number)
        asked = {"tenant": "north", "purpose": "security"} if name == "hides" else {}
        pipeline.deliver(place.runtime(name, **asked), "small")
    entries = seal_entries(place.store)
    told = [entry["rego"] and (entry["rego"]["tenant"], entry["rego"]["purpose"]) for entry in entries]
    assert told == [None, ("default", "audit"), ("north", "security")]
    assert [place.treatment(entry, "user") for entry in entries] == ["pseudonym", "pseudonym", "drop"]
    assert len({entry["contract"]["sha256"] for entry in entries}) == 1
    for entry, name in zip(entries[1:], ("same", "hides"), strict=True):
        assert place.store.read(entry["rego"]["path"]) == (place.base / f"{name}.rego").read_bytes()
    report = evidence.verify_store(place.runtime("hides"))
    assert report.ok, report.findings
    altered = place.base / "store" / entries[2]["rego"]["path"]
    altered.chmod(0o600)
    altered.write_bytes(altered.read_bytes().replace(b"user", b"time"))
    report = evidence.verify_store(place.runtime("hides"))
    assert [(f.reason, f.path) for f in report.findings] == [
        (reasons.OBJECT_HASH, entries[2]["rego"]["path"])
    ]


def test_nothing_is_delivered_under_a_policy_that_would_show_more(place: Place) -> None:
    land(place.landing, 1)
    with pytest.raises(ContractError, match=r"small\.user: says `keep`"):
        pipeline.deliver(place.runtime("shows"), "small")
    assert seal_entries(place.store) == []
    assert list(place.store.list(POLICIES_PREFIX)) == []
