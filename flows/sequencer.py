"""Sealing apart from delivering: workers hand signed manifests over, and one sequencer checks and seals them.

    worker      stores a batch's objects, then `inbox/<day>/<sha256>`: a manifest signed with its own key
    sequencer   seals what an enrolled worker signed, what is still new, and what its own verifier would accept

A worker holds no key of the log, and write access to the bucket seals nothing. Put here: the two sides of the
hand-over. Do not put here: the manifest's form (`tasks.seal.manifest`), checks of content (`tasks.verify`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from flows.commitments import commit_keys
from flows.entries import record_class
from flows.receipts import CheckpointReceipt
from flows.settings import Settings
from flows.shards import current_shard, integrate, log_until, terms
from flows.wiring import Runtime
from tasks.batch import SealedBatch
from tasks.errors import (
    AlreadyExistsError,
    ContractError,
    KeyUnavailableError,
    StoreRefusedError,
    StoreUnavailableError,
    UsageError,
)
from tasks.evidence import merkle, paths
from tasks.evidence.checkpoint import Checkpoint, parse_checkpoint
from tasks.evidence.entry import parse_entry
from tasks.evidence.note import NoteSigner, NoteVerifier
from tasks.evidence.seal_entry import SealEntry, sealed_objects
from tasks.keyring import Keyring
from tasks.log import reader
from tasks.retention import solve
from tasks.seal.manifest import (
    MAX_MANIFEST_BYTES,
    Manifest,
    ManifestRefusedError,
    open_manifest,
    sign_manifest,
)
from tasks.seal.seal import OvertakenError, commit, placed
from tasks.verify.access import Tree
from tasks.verify.objects import check_objects
from tasks.verify.report import Findings, Verdict

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog, Tail
    from tasks.storage.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of one manifest: an entry of the year's log, or a reason why not."""

    path: str
    shard: int | None = None
    entry: int | None = None
    refused: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def locator(runtime: Runtime, catalog: Catalog, year: int, source: str, all_years: int) -> Callable[[], Tail]:
    """Finds the place of the source's next entry, for as long as what was planned is still new."""

    def locate() -> Tail:
        catalog.sync()
        tail = catalog.tail(year, source)
        # At the turn of the year another runner may seal the same drops in the other year's log.
        if tail.all_years != all_years or reader.newest_shard(runtime.store) != year:
            raise OvertakenError(f"another runner sealed drops of {source} first, or the year ended")
        return tail

    return locate


def hand_over(
    runtime: Runtime,
    catalog: Catalog,
    year: int,
    planned: Tail,
    body: Mapping[str, Any],
    *,
    sleep: Callable[[float], object] = time.sleep,
) -> SealedBatch:
    """Ask the sequencer to seal a body whose objects are stored, and wait until it has.

    Args:
        runtime: a worker's deployment.
        catalog: read up to the end of the log while waiting.
        year: the log shard.
        planned: where the source stood when the batch was planned.
        body: see `tasks.seal.seal.store_batch`.
        sleep: waits so many seconds.

    Raises:
        OvertakenError: another batch of the source was sealed first; plan again.
        StoreUnavailableError: the sequencer did not seal it in time, or refused it.
    """
    settings, source = runtime.settings.sequencer, body["source"]
    note = sign_manifest(
        runtime.origin(year), planned.all_years, body, worker_signer(runtime.settings, runtime.keyring)
    )
    now = runtime.store.now()
    path = paths.manifest(now.date().isoformat(), hashlib.sha256(note).hexdigest())
    with suppress(AlreadyExistsError):
        runtime.store.create(path, note, retain_until=now + timedelta(seconds=settings.max_age_s))
    for waited in range(settings.wait_s + 1):
        if waited:
            sleep(1)
        catalog.sync()
        tail = catalog.tail(year, source)
        if tail.all_years != planned.all_years:
            return _sealed(runtime.store, year, tail, body)
    raise StoreUnavailableError(
        f"{path} was not sealed within {settings.wait_s} seconds",
        next_step="See that `indelible sequencer run` runs and what it says of this manifest; then "
        "deliver again: what is stored is found again.",
    )


def newest_receipt(runtime: Runtime, year: int) -> CheckpointReceipt:
    """The store's newest checkpoint, for a worker's report. Its signature is the verifier's matter."""
    note = reader.newest_note(runtime.store, year)
    text = note.decode().partition("\n\n")[0] + "\n" if note else None
    newest = parse_checkpoint(text) if text else Checkpoint(runtime.origin(year), 0, merkle.root([]))
    path = paths.catalog(year, newest.size)
    return CheckpointReceipt(
        year, newest.origin, newest.size, newest.root.hex(), advanced=False, catalog=path
    )


def worker_signer(settings: Settings, keyring: Keyring) -> NoteSigner:
    """This worker's signing key, made on first use.

    Raises:
        UsageError: the settings name no worker.
    """
    name = settings.sequencer.worker
    if not name:
        raise UsageError("this deployment is no worker", next_step="Set [sequencer] worker to its name.")
    return keyring.new_signer(name)


def sequence_inbox(runtime: Runtime, catalog: Catalog) -> list[Handled]:
    """Seal what lies in the inbox and is not sealed, the oldest day first; then sign the log.

    Returns:
        What was sealed and what was refused. What is sealed already, or overtaken, is passed over.
    """
    handled = []
    for path in _inbox(runtime):
        try:
            year, sealed = sequence(runtime, catalog, _read(runtime.store, path))
        except OvertakenError:
            continue
        except ManifestRefusedError as error:
            handled.append(Handled(path, refused=str(error)))
        else:
            handled.append(Handled(path, year, sealed.index))
    integrate(runtime, current_shard(runtime))
    return handled


def sequence(runtime: Runtime, catalog: Catalog, note: bytes) -> tuple[int, SealedBatch]:
    """Check one manifest and seal it.

    Returns:
        Shard and sealed entry.

    Raises:
        ManifestRefusedError: it must not be sealed; `reason` is a `manifest-...` code or the verifier's.
        OvertakenError: it is sealed already, or another batch of the source was sealed first.
    """
    workers = [NoteVerifier.from_vkey(vkey) for vkey in runtime.settings.sequencer.workers]
    manifest = open_manifest(note, workers)
    year = current_shard(runtime)
    locate = locator(runtime, catalog, year, manifest.body["source"], manifest.planned_seq)
    _check_fresh(runtime, manifest, year)
    _check_contract(runtime, manifest)
    _check_locks(runtime.store, manifest)
    _check_content(runtime.store, cast("SealEntry", placed(manifest.body, locate())))
    _check_new(runtime.store, catalog, manifest.body)
    record_class(runtime, catalog, runtime.contract(manifest.body["source"]))
    _commit_keys(runtime, catalog, manifest.body["keys"])
    sealed = commit(
        runtime.store,
        year,
        manifest.body,
        locate=locate,
        planned_seq=locate().source_seq,
        retain_until=log_until(runtime),
    )
    return year, sealed


def _commit_keys(runtime: Runtime, catalog: Catalog, names: list[str]) -> None:
    """The log is bound to the worker's keys before it names them. Only commitments are read here, no key."""
    try:
        commit_keys(runtime, catalog, names)
    except KeyUnavailableError as error:
        if error.transient:
            raise
        raise ManifestRefusedError("manifest-keys", str(error), next_step=error.next_step) from error


def _check_fresh(runtime: Runtime, manifest: Manifest, year: int) -> None:
    limits, now = runtime.settings, runtime.store.now()
    age = (now - _moment(manifest.body["sealed_at"])).total_seconds()
    if manifest.log != runtime.origin(year):
        raise ManifestRefusedError(
            "manifest-stale", f"it is meant for another log than {runtime.origin(year)}"
        )
    if not -limits.limits.clock_difference_s <= age <= limits.sequencer.max_age_s:
        raise ManifestRefusedError(
            "manifest-stale",
            f"its time differs by {age:.0f} seconds from the store's",
            next_step="Deliver again; check the worker's clock if it was new.",
        )


def _check_contract(runtime: Runtime, manifest: Manifest) -> None:
    """The sequencer's own contract decides what may be sealed of a source, and for how long."""
    body = manifest.body
    try:
        contract = runtime.contract(body["source"])
    except (ContractError, UsageError) as error:
        raise ManifestRefusedError(
            "manifest-contract", f"the sequencer has no such source ({error})"
        ) from error
    if body["contract"]["sha256"] != contract.sha256:
        raise ManifestRefusedError(
            "manifest-contract",
            f"the worker judged {contract.source} by another contract than the sequencer has",
            next_step="Give worker and sequencer the same contracts.",
        )
    asked, policy = body["rego"], contract.policy
    theirs = asked and (asked["sha256"], asked["tenant"], asked["purpose"])
    if theirs != (policy and (policy.sha256, policy.tenant, policy.purpose)):
        raise ManifestRefusedError(
            "manifest-contract",
            f"the worker treated {contract.source} by another policy than the sequencer has",
            next_step="Give worker and sequencer the same [policy].",
        )
    needed = solve(terms(runtime, contract), "data").until(_moment(body["sealed_at"]))
    if _moment(body["retain_until"]) < needed:
        raise ManifestRefusedError("manifest-retention", f"it keeps {contract.source} for too short a time")


def _check_locks(store: ObjectStore, manifest: Manifest) -> None:
    """Each named version is under COMPLIANCE lock for as long as the entry says."""
    if not store.worm:
        return
    until = _moment(manifest.body["retain_until"])
    for facts in sealed_objects(manifest.body):
        path, version = facts["path"], facts["version_id"]
        try:
            locked = store.head(path, version).retain_until if version else None
        except StoreRefusedError as error:
            raise ManifestRefusedError(
                "object-missing", f"{path} cannot be had as named ({error})"
            ) from error
        if locked is None or locked < until:
            raise ManifestRefusedError("manifest-lock", f"{path} is not locked until the entry's date")


def _check_content(store: ObjectStore, entry: SealEntry) -> None:
    """What is sealed must verify: digests, Merkle roots of files and ledger, sums, each line of each drop."""
    findings = Findings()
    check_objects(Tree(_NamedVersions(store), findings, None, lambda *_: None), entry, rows=True)
    wrong = [finding for finding in findings.listed if finding.verdict is not Verdict.OK]
    if wrong:
        raise ManifestRefusedError(
            wrong[0].reason,
            f"{wrong[0].path}: {wrong[0].sentence} ({sum(findings.totals.values())} findings)",
        )


def _check_new(store: ObjectStore, catalog: Catalog, body: Mapping[str, Any]) -> None:
    ledger = store.read(body["ledger"]["path"], body["ledger"]["version_id"] or None)
    drops = [json.loads(line) for line in ledger.splitlines()]
    known = catalog.known_content(body["source"], [(drop["key"], drop["sha256"]) for drop in drops])
    if known:
        raise ManifestRefusedError("manifest-replayed", f"{len(known)} of its drops are sealed already")


class _NamedVersions:
    """A store as `tasks.verify` reads it, by name only."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def read(self, path: str, version_id: str | None = None) -> bytes:
        return self._store.read(path, version_id)

    def size(self, path: str, version_id: str | None = None) -> int | None:
        try:
            return self._store.head(path, version_id).size
        except StoreRefusedError:
            return None

    def list(self, prefix: str = "") -> Iterator[str]:
        return (info.path for info in self._store.list(prefix))


def _inbox(runtime: Runtime) -> Iterator[str]:
    """Manifests of the days that are not too old."""
    today = runtime.store.now().date()
    days = runtime.settings.sequencer.max_age_s // 86_400 + 1
    for ago in range(days, -1, -1):
        day = (today - timedelta(days=ago)).isoformat()
        for info in runtime.store.list(f"{paths.INBOX_PREFIX}{day}/"):
            yield info.path


def _read(store: ObjectStore, path: str) -> bytes:
    """The note; one byte beyond the limit is enough to be refused."""
    return store.read_range(path, 0, MAX_MANIFEST_BYTES + 1)


def _sealed(store: ObjectStore, year: int, tail: Tail, body: Mapping[str, Any]) -> SealedBatch:
    """The source's newest entry, if it is the one that was asked for."""
    if tail.previous is not None:
        index = tail.previous[0]
        entry = cast("dict[str, Any]", parse_entry(store.read(paths.sequence(year, index))))
        if entry["ledger"] == body["ledger"]:
            return SealedBatch(index, entry)
    raise OvertakenError(f"another runner sealed drops of {body['source']} first")


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise ManifestRefusedError("manifest-form", "a time in it is none") from error
