"""The order of the main job, without Prefect: pick up, read, validate, redact, seal; integrate and publish.

Put here: which stage follows which, for one batch and for one run. Do not put here: how a stage works
(tasks), schedules, retries and what people see (the flows), options (the command).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from flows import holding, traces
from flows.attempts import Attempts
from flows.commitments import commit_keys
from flows.entries import record_class
from flows.outside import confirm
from flows.poison import Outcome, SuspectDropsError, by_suspicion, deliver_suspiciously
from flows.readiness import check_store
from flows.receipts import BatchReceipt, CheckpointReceipt
from flows.sequencer import hand_over, locator, newest_receipt
from flows.shards import current_shard, integrate, log_until, terms
from flows.wiring import Runtime
from tasks.batch import FINGERPRINT, TIME, Drop, ReadBatch, RedactedBatch
from tasks.contracts.model import Contract
from tasks.errors import AlreadyExistsError, StoreRefusedError
from tasks.evidence import paths
from tasks.evidence.checkpoint import parse_checkpoint
from tasks.ingest.listing import drop_date, list_drops, plan
from tasks.ingest.read import read_batch
from tasks.ingest.whole import hold_whole
from tasks.log import reader
from tasks.redact import record_fingerprints, redact
from tasks.retention import solve
from tasks.seal.seal import EntryTooLargeError, OvertakenError, Retention, seal, store_batch
from tasks.storage.protocol import Readable
from tasks.validate import validate

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog, Tail

_events = logging.getLogger("indelible")
TOO_MANY_DATES = "drop.too_many_dates"
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Window:
    """Which drops a run looks at, by the date in their key, or else by when they landed.

    Attributes:
        since: first day.
        until: day after the last.
    """

    since: date | None = None
    until: date | None = None

    def covers(self, drop: Drop) -> bool:
        """Whether a drop falls into the window."""
        if self.since is None and self.until is None:
            return True
        day = drop_date(drop)
        return (self.since is None or day >= self.since) and (self.until is None or day < self.until)


def find_new(runtime: Runtime, source: str, window: Window, catalog: Catalog) -> Iterator[tuple[Drop, ...]]:
    """Batches of drops that are in the landing place and not sealed, in order of their dates and keys.

    New is decided against what is sealed, never against a mark of our own that could be lost. Drops at which
    attempts failed come last, so that they stop no others.
    """
    contract = runtime.contract(source)
    limits = runtime.settings.limits
    with traces.span("list", source=source) as told:
        listed = [drop for drop in list_drops(runtime.landing(source), contract) if window.covers(drop)]
        new = catalog.unsealed(listed)
        told.tell(listed=len(listed), drops=len(new), bytes=sum(drop.size for drop in new))
    cap = runtime.settings.run.attempts
    for drops, size in by_suspicion(_attempts(runtime, source), new, cap, limits.batch_drops):
        yield from plan(drops, max_bytes=limits.batch_bytes, max_drops=size, max_dates=limits.batch_dates)


def deliver(
    runtime: Runtime, source: str, window: Window = Window(), progress: Progress = lambda _: None
) -> tuple[list[BatchReceipt], CheckpointReceipt]:
    """Deliver everything new of a source, in this process.

    Returns:
        One receipt a sealed batch, and the checkpoint that covers them.

    Raises:
        SuspectDropsError: some drops failed; everything else is sealed and published.
    """
    outcome = Outcome()
    check_clock(runtime)
    check_store(runtime)
    with runtime.catalog() as catalog:
        for drops in find_new(runtime, source, window, catalog):
            progress(f"{source}: {len(drops)} new drops, {sum(d.size for d in drops):,} bytes")
            outcome.add(deliver_planned(runtime, source, drops, catalog))
        progress("integrating and publishing")
        checkpoint = publish(runtime, catalog)
    if outcome.left:
        raise SuspectDropsError(outcome.left, outcome.receipts, checkpoint)
    return outcome.receipts, checkpoint


def deliver_planned(runtime: Runtime, source: str, drops: Sequence[Drop], catalog: Catalog) -> Outcome:
    """Deliver a batch as `find_new` planned it: where it fails, it is divided, and poison is held."""

    def work(some: Sequence[Drop], poison: str | None) -> list[BatchReceipt]:
        return deliver_batch(runtime, source, some, catalog, poison=poison)

    return deliver_suspiciously(_attempts(runtime, source), drops, runtime.settings.run.attempts, work)


def _attempts(runtime: Runtime, source: str) -> Attempts:
    return Attempts(runtime.settings.state / "attempts" / source)


def deliver_batch(
    runtime: Runtime,
    source: str,
    drops: Sequence[Drop],
    catalog: Catalog,
    *,
    landing: Readable | None = None,
    poison: str | None = None,
) -> list[BatchReceipt]:
    """Read, validate, redact and seal one batch.

    Safe to repeat and to race: what another runner seals meanwhile is left out, and the batch is made anew
    from what remains.

    Args:
        runtime: the deployment.
        source: whose drops.
        drops: what to deliver.
        catalog: read up to the end of the log before anything is decided.
        landing: where the drops lie, for a replay. What a replay would only quarantine again is not sealed.
        poison: the rule under which to hold the drops whole, without reading them.

    Returns:
        A receipt a log entry: none when nothing was left, several when the batch had to be split.
    """
    contract = runtime.contract(source)
    place = landing or runtime.landing(source)
    hold = None
    while True:
        year = current_shard(runtime)
        catalog.sync()
        planned = catalog.tail(year, source)
        drops = catalog.unsealed(drops)
        batch = _without_known(_read(runtime, place, contract, drops, poison), catalog) if drops else None
        if batch is None:
            return []
        redacted = _judge(runtime, contract, batch, catalog, hold)
        if landing is not None and all(drop.quarantined == drop.lines for drop in redacted.drops):
            return []
        if not runtime.settings.sequencer.worker:
            record_class(runtime, catalog, contract)
            commit_keys(runtime, catalog, redacted.keys)
        try:
            with traces.span("seal", source=source) as told:
                is_new = partial(_is_new, catalog, drops, batch)
                receipt = _seal(runtime, contract, redacted, catalog, year, planned, is_new)
                told.tell(**receipt.facts())
            _events.info("sealed", extra=receipt.facts())
            return [receipt]
        except OvertakenError:
            continue
        except EntryTooLargeError:
            if len(drops) == 1:
                hold = TOO_MANY_DATES  # one drop cannot be split; its lines go to quarantine, as one file
                continue
            middle = len(drops) // 2
            halves = drops[:middle], drops[middle:]
            return [
                receipt
                for half in halves
                for receipt in deliver_batch(runtime, source, half, catalog, landing=landing, poison=poison)
            ]


def publish(runtime: Runtime, catalog: Catalog) -> CheckpointReceipt:
    """Integrate the log up to its end, and publish the catalog of what is then provable."""
    year = current_shard(runtime)
    if runtime.settings.sequencer.worker:
        return newest_receipt(runtime, year)  # a worker has no key to sign with
    with traces.span("publish") as told:
        receipt = _publish(runtime, catalog, year)
        told.tell(**receipt.facts())
    _events.info("published", extra=receipt.facts())
    return receipt


def _publish(runtime: Runtime, catalog: Catalog, year: int) -> CheckpointReceipt:
    now = runtime.store.now()
    shards = {shard: integrate(runtime, shard) for shard in reader.shards(runtime.store)}
    integrated = shards[year]
    catalog.sync()
    unheld = holding.keep_up(runtime, catalog, {shard: newest.size for shard, newest in shards.items()})
    path = paths.catalog(year, integrated.size)
    published = next(iter(runtime.store.list(path)), None) is not None
    # Another deployment's runner may have published it: then our own copy is still an older one.
    current = runtime.catalog_path.exists() and catalog.published() == {y: i.size for y, i in shards.items()}
    lost: tuple[str, ...] = ()
    if not published or not current:
        checkpoints = {shard: (newest.size, newest.note.decode()) for shard, newest in shards.items()}
        data, lost = catalog.publish_to(runtime.catalog_path, runtime.contracts(), checkpoints)
        until = now + timedelta(days=runtime.settings.retention.catalog_days)
        # DuckDB files are not byte-reproducible; of two publishers of one size, the first one's stays.
        with suppress(AlreadyExistsError):
            runtime.store.create(path, data, retain_until=until)
    return CheckpointReceipt(
        shard=year,
        origin=runtime.origin(year),
        size=integrated.size,
        root=integrated.root,
        advanced=integrated.advanced,
        catalog=path,
        lost=lost,
        unheld=unheld,
        **confirm(runtime, shards, year),
    )


def restore_catalog(runtime: Runtime, catalog: Catalog) -> tuple[str, ...]:
    """Make the local catalog again from the log and the checkpoints that are stored. Signs and stores nothing.

    Returns:
        Sealed files that are not in the store, and which it had to leave out.
    """
    checkpoints = {shard: _stored_checkpoint(runtime, shard) for shard in reader.shards(runtime.store)}
    return catalog.publish_to(runtime.catalog_path, runtime.contracts(), checkpoints)[1]


def check_clock(runtime: Runtime) -> None:
    """Refuse to seal when this machine's clock and the store's disagree: lock dates would be wrong.

    Raises:
        StoreRefusedError: they differ by more than the limit.
    """
    difference = abs((runtime.store.now() - datetime.now(UTC)).total_seconds())
    if difference > runtime.settings.limits.clock_difference_s:
        raise StoreRefusedError(
            f"this machine's clock and the store's differ by {difference:.0f} seconds",
            next_step="Set both by NTP, then run again.",
        )


def _stored_checkpoint(runtime: Runtime, year: int) -> tuple[int, str]:
    """Size and note of a log's newest checkpoint. Whether it is signed is the verifier's matter."""
    note = (reader.newest_note(runtime.store, year) or b"").decode()
    return parse_checkpoint(note.partition("\n\n")[0] + "\n").size if note else 0, note


def _read(
    runtime: Runtime, place: Readable, contract: Contract, drops: Sequence[Drop], poison: str | None
) -> ReadBatch:
    size = sum(drop.size for drop in drops)
    with traces.span("read", source=contract.source, drops=len(drops), bytes=size) as told:
        if poison is not None:
            return hold_whole(place, contract, drops, poison)
        batch = read_batch(place, contract, drops, runtime.limits())
        told.tell(records=batch.frame.height, set_aside=batch.set_aside.height)
        return batch


def _without_known(batch: ReadBatch, catalog: Catalog) -> ReadBatch | None:
    """Leave out drops that are sealed under their key with the same bytes, and merely look new."""
    contents = [(d.drop.key, d.sha256) for d in batch.drops]
    known = catalog.known_content(batch.source, contents)
    new = [i for i, content in enumerate(contents) if content not in known]
    if not new:
        return None
    return batch.keep(new) if known else batch


def _is_new(catalog: Catalog, drops: Sequence[Drop], read: ReadBatch, batch: RedactedBatch) -> bool:
    """Whether a batch would be made the same now: none of its drops, and none of its records, is sealed meanwhile."""
    if catalog.unsealed(drops) != list(drops) or _without_known(read, catalog) is not read:
        return False
    if FINGERPRINT not in batch.frame.columns:
        return True
    dates = batch.frame[TIME].dt.strftime("%Y-%m-%d").unique().to_list()
    return not catalog.known_fingerprints(batch.source, dates, batch.frame[FINGERPRINT].drop_nulls())


def _judge(
    runtime: Runtime, contract: Contract, batch: ReadBatch, catalog: Catalog, hold: str | None
) -> RedactedBatch:
    with traces.span("validate", source=contract.source, records=batch.frame.height) as told:
        validated = validate(
            batch,
            contract,
            known_fingerprints=lambda dates, candidates: catalog.known_fingerprints(
                contract.source, dates, candidates
            ),
            fingerprints=partial(record_fingerprints, contract=contract, keyring=runtime.keyring),
            hold=hold,
        )
        told.tell(records=validated.frame.height, set_aside=validated.set_aside.height)
    with traces.span("redact", source=contract.source, records=validated.frame.height):
        return redact(validated, contract, runtime.keyring)


def _seal(
    runtime: Runtime,
    contract: Contract,
    batch: RedactedBatch,
    catalog: Catalog,
    year: int,
    planned: Tail,
    is_new: Callable[[RedactedBatch], bool],
) -> BatchReceipt:
    def plan_again() -> tuple[Callable[[], Tail], int] | None:
        """Of a source's batches that are made at the same time one commits first; the others need not be remade."""
        catalog.sync()
        if current_shard(runtime) != year or not is_new(batch):
            return None
        tail = catalog.tail(year, contract.source)
        return locator(runtime, catalog, year, contract.source, tail.all_years), tail.source_seq

    now = runtime.store.now()
    salt_key = runtime.keyring.secret("salt")
    until = solve(terms(runtime, contract), "data").until(now)
    if runtime.settings.sequencer.worker:
        body = store_batch(
            batch,
            contract,
            runtime.store,
            salt_key,
            retain_until=until,
            sealed_at=now,
            software=runtime.software,
            note_places=runtime.keyring.note_places,
        )
        return BatchReceipt.of(year, hand_over(runtime, catalog, year, planned, body), batch)
    sealed = seal(
        batch,
        contract,
        runtime.store,
        salt_key,
        year=year,
        locate=locator(runtime, catalog, year, contract.source, planned.all_years),
        planned_seq=planned.source_seq,
        retention=Retention(until, log_until(runtime)),
        sealed_at=now,
        software=runtime.software,
        note_places=runtime.keyring.note_places,
        plan_again=plan_again,
    )
    return BatchReceipt.of(year, sealed, batch)
