"""The year's log and the length of locks: what entries of every kind, batch or not, have in common."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from flows.wiring import Runtime
from tasks.errors import StoreUnavailableError
from tasks.evidence.checkpoint import parse_checkpoint
from tasks.evidence.note import NoteVerifier, open_note
from tasks.evidence.policy import policy_text
from tasks.evidence.terms import instant
from tasks.log import reader, writer
from tasks.retention import Terms, solve

if TYPE_CHECKING:
    from tasks.contracts.model import Contract


def current_shard(runtime: Runtime) -> int:
    """The log in which entries are sealed now, opened if need be: the year's, or one that took its place."""
    now, year = runtime.store.now(), reader.newest_shard(runtime.store)
    if not reader.has_shard(runtime.store, year):
        if runtime.settings.sequencer.worker:
            raise StoreUnavailableError(
                f"the log of {year} is not open yet", next_step="Run `indelible sequencer run` once."
            )
        for earlier in reader.shards(runtime.store):
            integrate(runtime, earlier)  # the genesis entry embeds the last checkpoint of the year before
        signer = runtime.keyring.new_signer(runtime.origin(year))
        sealed_at = instant(now)
        witness = runtime.settings.witness
        policy = policy_text([signer.vkey], witness.parties, witness.quorum)
        writer.open_shard(runtime.store, year, signer, log_until(runtime), sealed_at=sealed_at, policy=policy)
    return year


def integrate(runtime: Runtime, year: int) -> writer.Integrated:
    """Bring a year's tiles and checkpoint up to the end of its sequence. A log that was given up stays as it is."""
    closing = reader.recovery(runtime.store, year)
    if closing is not None:
        note = closing["previous_shard"].encode()
        last = parse_checkpoint(open_note(note, log_keys(runtime, year)).text)
        return writer.Integrated(last.size, last.root.hex(), note, advanced=False)
    first, *later = runtime.keyring.signers(runtime.origin(year))
    return writer.integrate(runtime.store, year, first, log_until(runtime), successors=later)


def log_keys(runtime: Runtime, year: int) -> tuple[NoteVerifier, ...]:
    """All keys that signed a year's log, oldest first.

    Those of a log that was given up may be destroyed by now; the log that took its place names them, and is
    believed because this keyring has its key.

    Raises:
        KeyUnavailableError: this keyring has no key of the log.
    """
    closing = reader.recovery(runtime.store, year)
    if closing is None:
        return tuple(key.verifier for key in runtime.keyring.signers(runtime.origin(year)))
    runtime.keyring.signers(runtime.origin(year + 1))
    return tuple(NoteVerifier.from_vkey(key) for key in closing["revoked"])


def key_limits(runtime: Runtime) -> dict[NoteVerifier, int]:
    """The keys that are not trusted any more, with the size of log up to which they still are."""
    limits: dict[NoteVerifier, int] = {}
    for year in reader.shards(runtime.store):
        closing = reader.recovery(runtime.store, year)
        if closing is not None:
            keys = log_keys(runtime, year)
            size = parse_checkpoint(open_note(closing["previous_shard"].encode(), keys).text).size
            limits.update(dict.fromkeys(keys, size))
    return limits


def log_until(runtime: Runtime) -> datetime:
    """Until when the log must be kept: longer than what any contract asks for its records."""
    first, *others = [terms(runtime, contract) for contract in runtime.contracts()]
    return solve(first, "log", others).until(runtime.store.now())


def terms(runtime: Runtime, contract: Contract) -> Terms:
    """What bears on the retention of a source: its contract, then the settings."""
    settings = runtime.settings.retention
    return Terms(
        source=contract.source,
        retention_class=contract.retention_class,
        minimums=contract.retention_minimums or (("", contract.retention_days),),
        maximum=contract.retention_max_days,
        raised=settings.minimum_days.get(contract.source, 0),
        override=settings.override_days,
        log_margin=settings.extra_log_days,
        catalog=settings.catalog_days,
    )
