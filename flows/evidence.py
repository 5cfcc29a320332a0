"""The order of proving, verifying and exporting, without Prefect.

Put here: how a store is read for verification, which key is trusted, what is written where. Do not put here:
checks (`tasks.verify`), what auditors receive (`tasks.export`), options and output (the command).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from multiprocessing import get_context
from pathlib import Path

from flows import timestamps
from flows.locks import check_locks, skip_locks
from flows.shards import log_keys
from flows.trust import own_policy, write_policy
from flows.wiring import Runtime
from tasks.errors import NotFoundError, UsageError, VerificationError
from tasks.evidence import paths
from tasks.evidence.policy import MAX_POLICY_BYTES, Policy, parse_policy
from tasks.evidence.terms import instant
from tasks.export.bundle import Exported, export_bundle
from tasks.export.log import VerifiersOf
from tasks.export.withheld import Withheld, export_withheld
from tasks.leaves import parquet_leaves
from tasks.storage.protocol import ObjectInfo, ObjectStore
from tasks.verify.leaves import RowHasher
from tasks.verify.report import Findings, Report
from tasks.verify.state import Journal
from tasks.verify.tree import Progress, verify
from tasks.verify.witnessed import Freshness

EXTRA_VERSION = "extra-version"
DELETE_MARKER = "delete-marker"
_PREFIXES = (
    paths.CATALOG_PREFIX,
    paths.CONTRACTS_PREFIX,
    paths.CUSTODY_PREFIX,
    paths.DATA_PREFIX,
    paths.GATE_PREFIX,
    paths.IDENTITIES_PREFIX,
    paths.LEDGER_PREFIX,
    paths.LISTS_PREFIX,
    paths.LOG_PREFIX,
    paths.POLICIES_PREFIX,
    paths.QUARANTINE_PREFIX,
    paths.REDACTION_PREFIX,
)
_COMPARE = "Compare the versions; the sealed one has the version id of its entry, and cannot be deleted."


def _quiet(_stage: str, _done: int, _total: int) -> None:
    return None


class StoreReader:
    """A store as `tasks.verify` reads it, from one listing of every version of every object.

    Sizes come from the listing, so each object costs one request. What was stored since is asked for.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._versions: dict[str, list[ObjectInfo]] = {}
        for prefix in _PREFIXES:
            for info in store.list_versions(prefix):
                self._versions.setdefault(info.path, []).append(info)

    @property
    def versions(self) -> Mapping[str, Sequence[ObjectInfo]]:
        """Path -> its versions and delete markers."""
        return self._versions

    def read(self, path: str, version_id: str | None = None) -> bytes:
        """See `tasks.verify.readers.Reader`."""
        return self._store.read(path, version_id)

    def size(self, path: str, version_id: str | None = None) -> int | None:
        """See `tasks.verify.readers.Reader`."""
        for info in self._versions.get(path, ()):
            wanted = info.version_id == version_id if version_id else info.is_latest
            if wanted and not info.is_delete_marker:
                return info.size
        try:
            return self._store.head(path, version_id).size
        except NotFoundError:
            return None

    def list(self, prefix: str = "") -> Iterator[str]:
        """See `tasks.verify.readers.Reader`. An object under a delete marker is still there."""
        for path, versions in sorted(self._versions.items()):
            if path.startswith(prefix) and not all(info.is_delete_marker for info in versions):
                yield path

    def check_versions(self, findings: Findings) -> None:
        """Report what lies beside the one version of an object: Object Lock protects versions, not names."""
        for path, versions in sorted(self._versions.items()):
            if _is_pointer(path):
                continue
            markers = sum(info.is_delete_marker for info in versions)
            if markers:
                sentence = f"{markers} delete markers stand on this name; what was sealed is still stored."
                findings.changed(DELETE_MARKER, path, sentence, _COMPARE)
            if len(versions) - markers > 1:
                sentence = f"It has {len(versions) - markers} versions; a create-only object has one."
                findings.changed(EXTRA_VERSION, path, sentence, _COMPARE)


def verify_store(
    runtime: Runtime,
    policy: Policy | None = None,
    *,
    rows: bool = True,
    locks: bool = True,
    only: str | None = None,
    chosen: Callable[[str], bool] | None = None,
    journal: Journal | None = None,
    processes: int = 1,
    progress: Progress = _quiet,
) -> Report:
    """Check everything in the store, and that nobody may delete it before its time.

    Args:
        runtime: the deployment.
        policy: whom to trust; None trusts the keyring's own public keys and the witnesses of the settings.
        rows: False leaves out the rows of data and quarantine files.
        locks: False leaves out the locks, which cost one request a sealed version. A store without Object
            Lock has none to look at.
        only: the only object to check, besides the logs; neither versions nor locks are looked at then.
        chosen: of the objects of batches, only those that it is true of.
        journal: what an interrupted check has done, see `journal_of`.
        processes: how many hash rows; more than one check as many batches at the same time.
        progress: called with a stage, what is done and how much there is.
    """
    progress("listing versions", 0, 0)
    store = StoreReader(runtime.store)
    with _row_hasher(processes) as hasher:
        report = verify(
            store,
            policy or own_policy(runtime),
            progress=progress,
            rows=rows,
            freshness=Freshness(int(runtime.store.now().timestamp()), runtime.settings.witness.max_age_s),
            authority=timestamps.authority(runtime),
            hasher=hasher,
            only=only,
            chosen=chosen,
            journal=journal,
            at_once=processes,
        )
    if only is not None:
        return report
    findings = Findings()
    store.check_versions(findings)
    if not locks:
        skip_locks(findings)
    elif runtime.store.worm:
        check_locks(runtime.store, store.versions, findings, progress)
    totals = {
        verdict: report.totals.get(verdict, 0) + findings.totals.get(verdict, 0)
        for verdict in {*report.totals, *findings.totals}
    }
    counted = {**report.counted, **findings.counted}
    return replace(report, findings=(*report.findings, *findings.listed), totals=totals, counted=counted)


@contextmanager
def _row_hasher(processes: int) -> Iterator[RowHasher]:
    """The vectorised hasher, in this process or in others."""
    if processes == 1:
        yield parquet_leaves
        return
    # Neither Polars nor the store's event loop survives a fork.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield lambda data, seed, personal, _: pool.submit(parquet_leaves, data, seed, personal).result()


@contextmanager
def journal_of(runtime: Runtime, *, rows: bool, resume: bool) -> Iterator[Journal]:
    """What a check of the whole store keeps in the state directory until it has ended.

    Args:
        runtime: the deployment.
        rows: as for `verify_store`.
        resume: go on where a check that was killed stopped, if there is one.

    Raises:
        UsageError: what was kept is of another store, way of checking or version.
    """
    subject = {
        "origin": runtime.settings.log.origin,
        "rows": rows,
        "store": runtime.store.uri,
        "verifier": runtime.software,
    }
    began_at = instant(runtime.store.now())
    journal = Journal(runtime.settings.state / "verify.jsonl", subject, began_at, resume=resume)
    try:
        yield journal
    except BaseException:
        journal.close()
        raise
    journal.end()


def read_policy(path: Path) -> Policy:
    """The policy in a file.

    Raises:
        UsageError: it cannot be read or is no policy.
    """
    try:
        with path.open("rb") as file:
            return parse_policy(file.read(MAX_POLICY_BYTES + 1))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", next_step="Check --policy.") from error
    except VerificationError as error:
        raise UsageError(f"{path} is no trust policy ({error})", next_step=error.next_step) from error


def export(
    runtime: Runtime,
    since: date,
    until: date,
    target: Path,
    framework: str | None = None,
    progress: Progress = _quiet,
) -> tuple[Exported, Path]:
    """Write the evidence bundle of a period, both days included.

    Returns:
        What it contains, and a policy file of this deployment's key with which it can be checked.
    """
    exported = export_bundle(
        runtime.store,
        target,
        since,
        until,
        _verifiers_of(runtime),
        witnesses=own_policy(runtime),
        framework_name=framework,
        progress=progress,
    )
    return exported, write_policy(
        runtime, [key.vkey for log, _ in exported.scope.logs for key in log.verifiers]
    )


def export_public(
    runtime: Runtime, since: date, until: date, target: Path, progress: Progress = _quiet
) -> tuple[Withheld, Path]:
    """Write the evidence bundle of a period with the person withheld, both days included.

    Returns:
        As `export`.
    """
    exported = export_withheld(
        runtime.store,
        target,
        since,
        until,
        _verifiers_of(runtime),
        witnesses=own_policy(runtime),
        progress=progress,
    )
    return exported, write_policy(
        runtime, [key.vkey for log, _ in exported.scope.logs for key in log.verifiers]
    )


def _verifiers_of(runtime: Runtime) -> VerifiersOf:
    return lambda year: log_keys(runtime, year)


def _is_pointer(path: str) -> bool:
    year = path.removeprefix(paths.LOG_PREFIX)[:4]
    return year.isdigit() and path == paths.checkpoint(int(year))
