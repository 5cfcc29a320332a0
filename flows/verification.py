"""The flow `verify`: check everything that is sealed, by the same code that an auditor runs."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows import artifacts, evidence
from flows.due import logical_time
from flows.work import POLICY, confined, open_runtime
from tasks.verify.report import Report, Verdict


def run_name() -> str:
    """`verify-2026-11-24T03:30`."""
    return f"verify-{logical_time():%Y-%m-%dT%H:%M}"


@flow(name="verify", flow_run_name=run_name, persist_result=False)
def verify(rows: bool = True) -> State[Any]:
    """Check signatures, history, every file, every row and every sum of what is sealed.

    Args:
        rows: Hash every row anew. Without, files are checked by their digests alone.
    """
    report = check_store(rows)
    artifacts.publish("verify", artifacts.verification(report), "Verification report")
    wrong = report.totals.get(Verdict.CHANGED, 0) + report.totals.get(Verdict.MISSING, 0)
    if not report.ok:
        return Failed(
            name="EvidenceBroken",
            message=f"{wrong:,} findings: what is stored is not what was sealed. Run `indelible verify`.",
        )
    return Completed(
        message=f"Everything is as it was sealed: {report.counted.get('entries', 0):,} log entries."
    )


@task(name="check store", task_run_name="check-store", **POLICY)
@confined()
def check_store(rows: bool) -> Report:
    """Read everything back and compare it with the log."""
    log = get_run_logger()
    seen: set[str] = set()

    def progress(stage: str, done: int, total: int) -> None:
        if stage not in seen:
            seen.add(stage)
            log.info("%s", stage)
        del done, total

    return evidence.verify_store(open_runtime(), rows=rows, progress=progress)
