"""The flow `audit-integrity`: weekly what is due and a sample, monthly everything; the result is sealed."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows import artifacts
from flows.audit import Audited, audit
from flows.audit_plan import Order
from flows.due import logical_time
from flows.work import POLICY, confined, open_runtime


def run_name() -> str:
    """`audit-2026-11-22T02:00`."""
    return f"audit-{logical_time():%Y-%m-%dT%H:%M}"


@flow(name="audit-integrity", flow_run_name=run_name, persist_result=False)
def audit_integrity(whole: bool = False) -> State[Any]:
    """Find out whether all that is sealed still holds, and seal the result.

    Args:
        whole: Read every file and every row, instead of the part that is due and a random sample.
    """
    audited = make_audit(whole)
    artifacts.publish(
        "audit", artifacts.audit(audited.entry, audited.lines, str(audited.page)), "Audit report"
    )
    failed = [check["name"] for check in audited.entry["checks"] if check["state"] == "fails"]
    if failed:
        return Failed(
            name="AuditFailed",
            message=f"The evidence does not hold in: {', '.join(failed)}. See infra/docs/runbooks/audit-failed.md.",
        )
    left = [check["name"] for check in audited.entry["checks"] if check["state"] == "not-measured"]
    return Completed(message="The evidence holds." + (f" Not measured: {', '.join(left)}." if left else ""))


@task(name="audit", task_run_name="audit", **POLICY)
@confined()
def make_audit(whole: bool) -> Audited:
    """Make the audit, or go on with one that was cut off."""
    log = get_run_logger()
    seen: set[str] = set()

    def progress(text: str) -> None:
        stage = text.partition(":")[0]
        if stage not in seen:
            seen.add(stage)
            log.info("%s", stage)

    return audit(open_runtime(), Order(whole=whole), resume=True, progress=progress)
