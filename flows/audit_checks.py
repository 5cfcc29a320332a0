"""The checks of an audit that read what is sealed: log, witnesses, objects, records, versions, locks, holds, a restore.

Put here: what is looked at and what it means. Do not put here: checks of the public format (`tasks.verify`), checks of
what surrounds the log (`flows.audit_surroundings`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from flows import evidence, holding, witnessing
from flows.audit_plan import Plan, Sealed, documents
from flows.trust import own_policy
from flows.wiring import Runtime
from tasks.audit.findings import Found, Result, count
from tasks.errors import NotFoundError, StoreRefusedError, VerificationError
from tasks.evidence import merkle
from tasks.evidence.audit_entry import SLOTS, drawn, slot
from tasks.export.rows import read_rows
from tasks.verify import ZipReader, reasons, verify
from tasks.verify.report import Finding, Report
from tasks.verify.report import Verdict as Outcome
from tasks.verify.state import Journal

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

_AT_ONCE: Final = 8
_VERIFY: Final = "Keep the store as it is and see all of it: indelible verify --json > findings.json"
_WITNESSES: Final = ("witness", "timestamp")
_VERSIONS: Final = (evidence.EXTRA_VERSION, evidence.DELETE_MARKER)
_LOCKS: Final = (reasons.LOCK_MISSING, reasons.LOCK_SHORT, reasons.LOCKS_SKIPPED)
_OBJECTS: Final = (
    "object-", "row-", "rows-", "record", "parquet", "columns", "salt", "event-date", "time-range", "ledger-",
    "line-", "lines-", "outcome", "redaction-", "identities", "file-root", "unrepresentable",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Examined:
    """What is audited, and how far."""

    runtime: Runtime
    catalog: Catalog
    plan: Plan
    journal: Path
    progress: Callable[[str], None]


def check_evidence(examined: Examined) -> list[Result]:
    """What the auditor's verifier says of the log and of the objects that are due, and what only the store can say."""
    runtime, plan = examined.runtime, examined.plan
    whole = plan.mode == "whole"
    slots = frozenset() if "objects" in plan.without else frozenset(plan.slots)
    subject = {"audit": plan.seed, "store": runtime.store.uri, "verifier": runtime.software}
    journal = Journal(examined.journal, subject, plan.began_at, resume=True)
    try:
        report = evidence.verify_store(
            runtime,
            rows=whole,
            locks="locks" not in plan.without,
            chosen=None if whole and slots else lambda path: slot(_digest(path)) in slots,
            journal=journal,
            progress=lambda stage, done, total: examined.progress(
                f"{stage}: {done:,} of {total:,}" if total else stage
            ),
        )
    finally:
        journal.close()
    by_check: dict[str, list[Found]] = {}
    for finding in report.findings:
        if finding.verdict is not Outcome.OK and finding.reason != reasons.ROWS_SKIPPED:
            check = _check_of(finding.reason)
            name = "objects" if check == "records" and not whole else check
            by_check.setdefault(name, []).append(_found(finding))
    counted = report.counted
    return [
        Result(
            "log",
            _log_sentence(report),
            by_check.get("log", []),
            counts={"entries": counted.get("entries", 0)},
        ),
        _witnesses(examined, report, by_check.get("witnesses", [])),
        _objects(plan, report, by_check.get("objects", [])),
        *([_all_records(report, by_check.get("records", []))] if whole else []),
        Result(
            "versions",
            "Every version and delete marker in the store was listed.",
            by_check.get("versions", []),
        ),
        _locks(runtime, report, by_check.get("locks", [])),
    ]


def check_records(examined: Examined) -> list[Result]:
    """Draw records, read them back and hash them up to the entries, and these up to the signed root."""
    plan = examined.plan
    if plan.mode == "whole":
        return []
    if (wrong := _unproven(examined)) is not None:
        return [Result("records", "The copy of the log does not lead to the signed root.", [wrong])]
    sealed = Sealed.read(examined.catalog, examined.plan.logs)
    numbers = drawn(plan.seed, sealed.population, plan.sample)
    found: list[Found] = []
    done = size = 0
    for facts, personal, rows in sealed.draw(numbers):
        examined.progress(f"records: {done:,} of {len(numbers):,}")
        try:
            done += sum(1 for _ in read_rows(examined.runtime.store, facts, personal, rows))
            size += facts["bytes"]
        except NotFoundError:
            found.append(
                Found("object-missing", "missing", "A drawn record's file is gone.", _VERIFY, facts["path"])
            )
        except (VerificationError, StoreRefusedError) as error:
            code = error.reason if isinstance(error, VerificationError) else reasons.OBJECT_UNREADABLE
            found.append(
                Found(code, "changed", "A drawn record is not what was signed.", _VERIFY, facts["path"])
            )
    sentence = f"{done:,} of {count(len(numbers), 'record')} drawn at random lead to the signed root."
    return [Result("records", sentence, found, counts={"rows": done})]


def check_holds(examined: Examined) -> list[Result]:
    """Ask the store for the legal hold of each version that a hold in force covers."""
    store, catalog = examined.runtime.store, examined.catalog
    active = [hold for hold in holding.register(catalog) if hold.release is None]
    if not active:
        return [Result("holds", "No legal hold is in force.")]
    if not store.worm:
        return [
            Result("holds", "This store keeps no legal holds.", measured=False, next_step="Use an S3 store.")
        ]
    found: list[Found] = []
    looked = 0
    for hold in active:
        examined.progress(f"hold {hold.id}")
        versions = sorted(holding.covered(store, catalog, hold.scope, examined.plan.logs))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            held = list(pool.map(lambda version: store.legal_hold(*version), versions))
        looked += len(versions)
        sentence = f"A version that hold {hold.id} covers is not held."
        step = "Publishing holds it again (indelible deliver); find out who lifted it: indelible hold list"
        found += [
            Found("hold-missing", "changed", sentence, step, path)
            for (path, _), is_held in zip(versions, held, strict=True)
            if not is_held
        ]
    return [
        Result("holds", f"{count(len(active), 'hold')} in force, over {count(looked, 'version')}.", found)
    ]


def check_drill(examined: Examined) -> list[Result]:
    """Read one sealed day back into an empty place, and check it there by nothing but what was read."""
    runtime, plan = examined.runtime, examined.plan
    days = Sealed.read(examined.catalog, examined.plan.logs).days
    fitting = sorted(day for day, size in days.items() if plan.budget is None or size <= plan.budget)
    if not fitting:
        why = "No sealed day is small enough for the budget." if days else "No record is sealed yet."
        return [Result("drill", why, measured=False, next_step="Raise the budget.")]
    day = fitting[int(plan.seed, 16) % len(fitting)]
    began = runtime.store.now()
    with TemporaryDirectory(prefix="indelible-drill-") as empty:
        target = Path(empty) / "day.zip"
        examined.progress(f"reading {day} back")
        try:
            exported, _ = evidence.export(runtime, date.fromisoformat(day), date.fromisoformat(day), target)
        except (VerificationError, NotFoundError) as error:
            code = error.reason if isinstance(error, VerificationError) else reasons.OBJECT_MISSING
            step = f"{error.next_step or ''} {_VERIFY}".strip()
            return [
                Result(
                    "drill", f"{day} cannot be read back.", [Found(code, "missing", str(error), step, day)]
                )
            ]
        report = verify(ZipReader(target), own_policy(runtime))
    seconds = round((runtime.store.now() - began).total_seconds())
    time = f"in {seconds:,} s" if seconds else "in less than a second"
    found = [_found(f) for f in report.findings if f.verdict in (Outcome.CHANGED, Outcome.MISSING)]
    rows = report.counted.get("rows", 0)
    sentence = (
        f"{day} was read back into an empty place, {exported.size:,} bytes {time}, and there each of "
        f"{rows:,} rows led to the signed root."
    )
    return [Result("drill", sentence, found, counts={"bytes": exported.size, "rows": rows})]


def broken(check: str, error: Exception) -> Result:
    """A check that ended in an error which nobody foresaw. Its message may hold a value and is not told."""
    step = "See what the other checks found; if nothing, report it as a defect."
    return Result(
        check, f"It ended with an unexpected {type(error).__name__}.", measured=False, next_step=step
    )


def _unproven(examined: Examined) -> Found | None:
    """Whether the entries that records are compared with are those that were signed."""
    size = {examined.plan.shard: examined.plan.size}
    leaves = [document.encode() for document in documents(examined.catalog, size)]
    if merkle.root(merkle.leaf_hashes(leaves)).hex() == examined.plan.root:
        return None
    step = "Make the catalog again: move catalog.duckdb out of the state directory and audit again."
    return Found("catalog-differs", "changed", "The local copy of the log is not the log.", step)


def _log_sentence(report: Report) -> str:
    logs = ", ".join(f"{shard.year} ({shard.size:,} entries)" for shard in report.shards)
    return f"Signatures, history, tiles and sequence of: {logs or 'no log'}."


def _witnesses(examined: Examined, report: Report, found: list[Found]) -> Result:
    """Also ask each witness now: one that is dead shows in no stored cosignature before it is too late."""
    settings = examined.runtime.settings.witness
    if not settings.members:
        step = "Set [witness.members]; see infra/docs/runbooks/witnesses.md."
        return Result(
            "witnesses", "No witness is configured: the log's key is all there is.", found, False, step
        )
    examined.progress("asking witnesses")
    state = witnessing.cosign_shard(examined.runtime, examined.plan.shard, anew=True)
    problems = {} if state is None else state.problems
    quorum = settings.quorum or len(settings.members)
    enough = len(settings.members) - len(problems) >= quorum
    step = "Reach it or replace it before cosignatures grow old: infra/docs/runbooks/witnesses.md"
    for name, problem in problems.items():
        sentence = f"A witness does not cosign: {problem}."
        found.append(Found("witness-silent", "notice" if enough else "missing", sentence, step, name))
    if state is not None and state.contradicted:
        sentence = "A witness has seen another history of this log."
        found.append(
            Found("witness-contradicts", "changed", sentence, "infra/docs/runbooks/log-went-back.md")
        )
    answered = len(settings.members) - len(problems)
    stamped = sum(shard.timestamp is not None for shard in report.shards)
    sentence = f"{answered} of {len(settings.members)} witnesses answer; {quorum} must. Time-stamped logs: {stamped}."
    return Result("witnesses", sentence, found)


def _objects(plan: Plan, report: Report, found: list[Found]) -> Result:
    objects, size = report.counted.get("objects", 0), report.counted.get("bytes", 0)
    share = "All of them" if len(plan.slots) == SLOTS else f"{len(plan.slots)} of {SLOTS} parts of them"
    sentence = (
        f"{share} were due; {count(objects, 'object')}, {size:,} bytes, compared with their digests. Each "
        f"is due once in {plan.period_days} days."
    )
    if plan.overdue:
        why = f"{len(plan.overdue)} of {SLOTS} parts of the files were not read back for {plan.period_days} days."
        step = "Raise [audit] budget_bytes, or audit the whole: indelible audit --whole"
        found = [*found, Found("digests-overdue", "not-measured", why, step)]
    counts = {"objects": objects, "bytes": size}
    return Result("objects", sentence, found, measured=bool(plan.slots), counts=counts)


def _all_records(report: Report, found: list[Found]) -> Result:
    rows = report.counted.get("rows", 0)
    return Result(
        "records", f"Every row of every file, {rows:,}, was hashed again.", found, counts={"rows": rows}
    )


def _locks(runtime: Runtime, report: Report, found: list[Found]) -> Result:
    if not runtime.store.worm:
        step = "Evidence belongs into a bucket with Object Lock; see infra/docs/stores.md."
        return Result("locks", "This store locks nothing.", found, measured=False, next_step=step)
    return Result("locks", f"The locks of {report.counted.get('locks', 0):,} versions were asked for.", found)


def _digest(path: str) -> str:
    """The digest that an object's name is."""
    return path.rsplit("/", 1)[-1].partition(".")[0]


def _check_of(reason: str) -> str:
    if reason.startswith(_WITNESSES):
        return "witnesses"
    if reason in _VERSIONS:
        return "versions"
    if reason in _LOCKS:
        return "locks"
    if reason in (reasons.FILE_ROOT, reasons.PARQUET, reasons.VALUE):
        return "records"
    return "objects" if reason.startswith(_OBJECTS) else "log"


def _found(finding: Finding) -> Found:
    verdict: Any = finding.verdict.value
    step = finding.next_step or _VERIFY
    return Found(finding.reason, verdict, finding.sentence, step, finding.path)
