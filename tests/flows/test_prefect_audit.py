"""The flow `audit-integrity`: how it ends, and that its receipt says what fails and names nobody's drop."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows import pipeline
from flows.auditing import audit_integrity
from flows.work import open_runtime
from tests.flows.conftest import drop
from tests.flows.test_prefect_deliver import receipt, run
from tests.support.audits import open_gate

pytestmark = pytest.mark.usefixtures("prefect_server")


def test_an_altered_record_fails_the_run_and_the_receipt_says_what_to_do(place: Path) -> None:
    drop(place, "2026-11-02-person.ndjson", good=30)
    with open_gate():
        pipeline.deliver(open_runtime(), "app")
    (file,) = (place / "store" / "data").rglob("*.parquet")
    whole = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])

    with open_gate():
        state = run(audit_integrity)

    assert state.name == "AuditFailed"
    assert "records" in str(state.message)
    text = receipt("audit")
    assert text.startswith("# The evidence does not hold")
    assert "| changed | `file-root-mismatch` | 1 |" in text
    assert "person" not in text
    (page,) = (place / "state" / "audits").glob("*.html")
    assert str(page) in text
