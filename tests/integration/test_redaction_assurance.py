"""Redaction in a real deployment: made-up data is looked for, leaks are set aside, what is sealed is searched again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_contracts import __file__ as bundled
from flows import canary, leaks, pipeline
from flows.evidence import verify_store
from flows.receipts import BatchReceipt
from flows.wiring import Runtime
from tasks.errors import RedactionLeakError
from tasks.evidence import paths
from tasks.evidence.redaction import parse_report
from tasks.redact import stage
from tasks.redact.treatments import Treatments
from tasks.storage.local import LocalStore
from tests.support.deployment import deployment
from tests.support.faults import remembered_gate

PERSON = "bob.jones@example.org"
LINES = (
    {"@timestamp": "2026-11-01T08:00:00Z", "message": "x", "url.path": f"/u/{PERSON}"},
    {"@timestamp": "2026-11-01T08:00:00Z", "message": "y", "url.path": "/u/1"},
)


@pytest.fixture(scope="module", autouse=True)
def gate() -> Iterator[None]:
    with remembered_gate():
        yield


def mild(base: Path) -> Path:
    """The contract of `app`, but one that keeps the paths of URLs."""
    shutil.copytree(Path(bundled).parent / "sources" / "app", base / "contracts" / "app")
    file = base / "contracts" / "app" / "contract.odcs.yaml"
    head, name, tail = file.read_text().partition("- name: url_path")
    tail = tail.replace("classification: personal", "classification: internal", 1)
    file.write_text(head + name + tail.replace("value: scan", "value: keep", 1))
    return base / "contracts"


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """A deployment with the mild contract and one drop, of which one line holds an e-mail address there."""
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "a.ndjson").write_text("\n".join(map(json.dumps, LINES)))
    landing = {"app": (tmp_path / "landing").as_uri()}
    store = LocalStore(tmp_path / "store")
    return deployment(store, tmp_path / "state", landing, contracts=mild(tmp_path))


def report_of(runtime: Runtime, receipt: BatchReceipt) -> dict[str, Any]:
    entry = json.loads(runtime.store.read(paths.sequence(receipt.shard, receipt.entry)))
    return dict(parse_report(runtime.store.read(entry["redaction"]["path"])))


@pytest.mark.parametrize("source", ["app", "cloudtrail", "gateway"])
def test_no_canary_survives(source: str, tmp_path: Path) -> None:
    runtime = deployment(LocalStore(tmp_path / "store"), tmp_path / "state")
    flight = canary.release(runtime, source, "seed")
    assert flight.survivors == ()
    assert flight.texts > 500
    flight.raise_any()
    assert verify_store(runtime).ok


def test_a_canary_that_survives_is_found_by_kind_and_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "search_again", lambda _frame, _contract: [])
    monkeypatch.setattr(Treatments, "apply", lambda _self, frame, fields: [frame[f.name] for f in fields])
    runtime = deployment(LocalStore(tmp_path / "store"), tmp_path / "state")
    flight = canary.release(runtime, "app", "seed")
    assert {survivor.kind for survivor in flight.survivors} >= {"card", "email", "iban", "ip", "jwt", "phone"}
    assert {"message", "_extra", "user"} <= {survivor.column for survivor in flight.survivors}
    with pytest.raises(RedactionLeakError) as caught:
        flight.raise_any()
    assert "canary.example" not in str(caught.value)


def test_a_line_that_the_contract_would_publish_is_set_aside(runtime: Runtime) -> None:
    ((receipt,), _) = pipeline.deliver(runtime, "app")
    assert (receipt.accepted, receipt.quarantined, receipt.rules) == (1, 1, {"redaction.leak": 1})
    assert report_of(runtime, receipt)["leaks"] == [
        {"detector": "email", "drop": 0, "field": "url_path", "line": 1, "rows": 1}
    ]
    assert verify_store(runtime).ok
    assert leaks.search_sealed(runtime, "app").leaks == ()
    with runtime.catalog() as catalog:
        sql = "SELECT field, treatment, detector, leaks FROM redactions WHERE leaks > 0"
        assert catalog.connection.execute(sql).fetchall() == [("url_path", "keep", "email", 1)]
        assert PERSON not in str(catalog.connection.execute("SELECT * FROM redactions").fetchall())


def test_what_was_sealed_before_the_detectors_knew_it_is_found(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(stage, "search_again", lambda _frame, _contract: [])
        pipeline.deliver(runtime, "app")
    result = leaks.search_sealed(runtime)
    assert (result.files, result.rows) == (1, 2)
    (leak,) = result.leaks
    assert (leak.field, leak.detector, leak.rows, leak.key, leak.line) == (
        "url_path",
        "email",
        1,
        "a.ndjson",
        1,
    )
    with pytest.raises(RedactionLeakError, match="kind email in field url_path of app") as caught:
        result.raise_any()
    assert PERSON not in str(caught.value)
    assert caught.value.exit_code == 3
