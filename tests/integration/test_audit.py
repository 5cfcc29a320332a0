"""An audit of a real WORM store: what is whole passes; what is wrong is found by its code, with a next step."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from flows import evidence
from flows.audit import Audited as Result
from flows.audit import audit
from flows.audit_plan import Order, make_plan
from flows.heartbeats import seal_heartbeats
from flows.shards import log_keys
from flows.trust import own_policy
from tasks.catalog.query import run_query
from tasks.evidence import paths
from tasks.evidence.audit_entry import FAILING, CheckLine, FindingLine
from tasks.evidence.completeness_entry import parse_lines
from tasks.evidence.entry import parse_entry
from tasks.log import reader
from tasks.metrics.facts import facts
from tasks.metrics.families import AUDIT_OK
from tasks.storage.local import LocalStore
from tasks.verify import ZipReader, verify
from tests.support.audits import VANISHING_DAY, Audited, document, open_gate
from tests.support.faults import SOURCE, drop_text, write_contract
from tests.support.s3 import S3
from tests.support.seaweed_filer import Filer
from tests.support.witnesses import make_witness, serving, witness_signer


@pytest.fixture(scope="module", autouse=True)
def gate() -> Iterator[None]:
    with open_gate():
        yield


def states(result: Result) -> dict[str, str]:
    return {check["name"]: check["state"] for check in result.entry["checks"]}


def findings(result: Result) -> dict[tuple[str, str], Any]:
    return {(line["check"], line["code"]): line for line in result.lines if line["type"] == "finding"}


def test_a_whole_store_passes_and_the_result_is_evidence(s3: S3, tmp_path: Path) -> None:
    place = Audited.on(s3, tmp_path)
    place.deliver(1, 2)
    told: list[str] = []
    result = audit(place.runtime(), Order(), progress=told.append)
    assert {key for key, line in findings(result).items() if line["verdict"] in FAILING} == set()
    assert result.holds
    unmeasured = {name for name, state in states(result).items() if state == "not-measured"}
    assert unmeasured == {"witnesses", "canaries"}
    assert len(set(told)) > 10

    entry: Any = place.entries("audit")[-1]
    assert entry == parse_entry(place.store.read(paths.sequence(*result.place or (0, 0))))
    assert entry.items() >= result.entry.items()
    seals = place.entries("seal")
    records = sum(seal["sums"]["accepted"] for seal in seals)
    assert entry["sample"] | {"seed": ""} == {
        "altered_ppm": 1000, "found_ppm": 1_000_000, "population": records, "records": records, "seed": "",
    }  # fmt: skip
    assert len(entry["slots"]) == 64  # a quarter of the files: the period is four weeks
    report = entry["report"]
    stored = place.store.read(report["path"], report["version_id"])
    lines = parse_lines(stored, report, CheckLine | FindingLine)
    assert sorted(map(str, lines)) == sorted(map(str, result.lines))
    assert place.s3.head(report["path"]).retain_until is not None
    runtime = place.runtime()
    sql = "SELECT kind, holds, failed, sampled, slots FROM audits WHERE kind = 'store-audit'"
    _, answer = run_query(runtime.session(), runtime.catalog_path, sql)
    assert answer == [("store-audit", True, [], records, 64)]
    page = result.page.read_text()
    assert "The evidence holds" in page
    assert "not measured" in page

    with place.runtime().catalog() as catalog:
        later = make_plan(place.runtime(), catalog, Order())
    assert len(later.slots) == 64
    assert not set(later.slots) & set(
        entry["slots"]
    )  # which were read is in the log, and the others are due now
    assert evidence.verify_store(runtime).ok

    first, today = date(2026, 11, 1), datetime.now(UTC).date()
    bundle = tmp_path / "bundle.zip"
    evidence.export(runtime, first, today, bundle)
    with zipfile.ZipFile(bundle) as members:
        assert report["path"] in members.namelist()
        assert "what was due" in members.read("report.html").decode()
    assert verify(ZipReader(bundle), own_policy(runtime)).ok


@pytest.fixture(scope="module")
def damaged(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> tuple[Audited, dict[str, str], Result]:
    """One store to which everything was done: the deployment, the objects by what was done, a whole audit."""
    base = tmp_path_factory.mktemp("damaged")
    witness = {
        "members": {"w1": {"url": "http://127.0.0.1:1", "vkey": witness_signer().vkey}},
        "timeout_s": 2,
    }
    place = Audited.on(s3, base, witness=witness)
    keys: list[Any] = []
    with serving(make_witness(base, lambda: keys, clock=time.time)) as server:
        witness["members"]["w1"]["url"] = server.url  # type: ignore[index]
        place.settings["witness"] = witness
        place.deliver(1, unlocked=lambda path: path.startswith("ledger/"))
        keys.extend(key for y in reader.shards(place.store) for key in log_keys(place.runtime(), y))
        place.deliver(2)
    gone = place.landing / f"{VANISHING_DAY}/009.ndjson"
    gone.parent.mkdir(parents=True, exist_ok=True)
    gone.write_bytes(drop_text(9))
    seal_heartbeats(place.runtime(), SOURCE, datetime.combine(VANISHING_DAY, datetime.min.time(), UTC))
    gone.unlink()
    (first, second) = place.entries("seal")
    hit = {
        "altered": first["quarantine"][0]["path"],
        "version": second["gate"]["path"],
        "marker": second["quarantine"][0]["path"],
        "unlocked": first["ledger"]["path"],
        "vanished": f"{VANISHING_DAY}/009.ndjson",
        "contract": SOURCE,
        "witness": "w1",
    }
    Filer(s3, place.s3).flip(hit["altered"])
    hand = s3.store("indelible", place.s3.uri.removeprefix("s3://indelible/"), "admin")
    hand.replace(hit["version"], b"another result")
    hand.delete(hit["marker"], "")
    changed = document()
    changed["status"] = "draft"
    write_contract(base / "contracts", changed)
    order = Order(whole=True, without=frozenset({"probe", "canaries"}))
    return place, hit, audit(place.runtime(), order)


@pytest.mark.parametrize(
    ("what", "check", "code", "verdict", "step"),
    [
        ("altered", "objects", "object-hash", "changed", "fetch the object again"),
        ("version", "versions", "extra-version", "changed", "Compare the versions"),
        ("marker", "versions", "delete-marker", "changed", "Compare the versions"),
        # The bucket's own rule locks for a day what a deliverer does not lock.
        ("unlocked", "locks", "lock-short", "changed", "indelible retention extend"),
        ("vanished", "completeness", "drop-vanished", "missing", "put it back and deliver"),
        ("contract", "contracts", "contract-drift", "changed", "Give it a new version"),
        ("witness", "witnesses", "witness-silent", "missing", "witnesses.md"),
    ],
)
def test_what_is_wrong_is_found_with_its_code_and_a_next_step(
    damaged: tuple[Audited, dict[str, str], Result], what: str, check: str, code: str, verdict: str, step: str
) -> None:
    _, hit, result = damaged
    line = findings(result)[check, code]
    assert line["verdict"] == verdict
    assert hit[what] in line["paths"]
    assert step in line["next_step"]
    assert states(result)[check] == "fails"
    page = result.page.read_text()
    assert code in page
    assert hit[what] in page


def test_a_failed_audit_is_sealed_and_says_what_it_did_not_find(
    damaged: tuple[Audited, dict[str, str], Result],
) -> None:
    place, _, result = damaged
    assert not result.holds
    assert place.entries("audit")[-1]["holds"] is False
    assert evidence.verify_store(place.runtime()).shards[-1].pending == 0  # it is signed, whatever is damaged
    with place.runtime().catalog() as catalog:
        exported = {sample.labels: sample.value for sample in facts(catalog, 0) if sample.metric is AUDIT_OK}
    assert exported == {("store-audit", ""): 0}  # which is what the alert goes by
    assert states(result)["log"] == "holds"
    assert states(result)["probe"] == states(result)["canaries"] == "not-measured"
    assert result.entry["slots"] == list(range(256))
    assert "audit-report" not in {f.reason for f in evidence.verify_store(place.runtime()).findings}


def test_a_sample_meets_an_altered_record_and_a_budget_is_kept(s3: S3, tmp_path: Path) -> None:
    place = Audited.on(s3, tmp_path)
    place.deliver(3)
    hit = place.entries("seal")[0]["files"][0]
    Filer(s3, place.s3).flip(hit["path"])
    light = frozenset({"locks", "probe", "canaries", "drill"})
    result = audit(place.runtime(), Order(budget=0, without=light))
    assert ("records", "file-root-mismatch") in findings(result)
    sizes = [file["bytes"] for name in ("files", "quarantine") for file in place.entries("seal")[0][name]]
    assert result.entry["counts"]["bytes"] < min(sizes)


KILLED = """
import os, signal, sys
from pathlib import Path
from flows.audit import audit
from flows.audit_plan import Order
from tasks.storage.local import LocalStore
from tasks.verify import ZipReader, verify
from tests.support.audits import Audited

def progress(text):
    if text.startswith("reading "):
        os.kill(os.getpid(), signal.SIGKILL)

base = Path(sys.argv[1])
audit(Audited(base, LocalStore(base / "store"), {}).runtime(), Order(sample=3), progress=progress)
"""


def test_a_killed_audit_goes_on_with_the_same_sample_and_is_sealed_once(tmp_path: Path) -> None:
    place = Audited(tmp_path, LocalStore(tmp_path / "store"), {})
    place.deliver(1)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert place.entries("audit") == []
    kept = tmp_path / "state" / "audit.json"
    left = kept.read_bytes()
    begun = json.loads(left)["plan"]

    result = audit(place.runtime(), Order(whole=True), resume=True)  # it goes on as it was ordered at first
    assert result.resumed >= 10
    (entry,) = place.entries("audit")
    assert (entry["mode"], entry["began_at"], entry["slots"]) == ("sample", begun["began_at"], begun["slots"])
    assert entry["sample"]["records"] == 3
    assert not kept.exists()

    kept.write_bytes(left)  # as if it had been killed after sealing
    again = audit(place.runtime(), Order(), resume=True)
    assert again.place is None
    assert place.entries("audit") == [entry]
