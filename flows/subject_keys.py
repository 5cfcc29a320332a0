"""The life of keys that pseudonymise and encrypt: destroying a month's or a person's, and wrapping all of them anew.

Put here: who may destroy what, and when. Do not put here: how keys lie in their table (`tasks.subjects`), what is
sealed of it (`flows.commitments`), the request of a person, its refusal and its certificate.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from flows import holding, pipeline
from flows.commitments import seal_destructions
from flows.holding import Order
from flows.receipts import CheckpointReceipt
from flows.wiring import Runtime
from tasks.errors import KeyUnavailableError, StoreRefusedError, UsageError
from tasks.evidence.terms import instant
from tasks.subjects import Cause, Destroyed, destroy_month, destroy_subject, rewrap

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

_NAME = re.compile(r"(pseudonym|quarantine)/(20[0-9]{2})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class MonthKey:
    """The key of a month, as the log tells it.

    Attributes:
        name: for example `pseudonym/2026-11`.
        state: `in-use` or `destroyed`.
        sources: whose records depend on it.
        kept_until: when the retention of the last of them ends; None when there are none.
    """

    name: str
    state: str
    sources: tuple[str, ...]
    kept_until: str | None


def list_months(catalog: Catalog) -> list[MonthKey]:
    """All keys of months that the log commits to, by name."""
    rows = catalog.connection.execute(
        "WITH named AS (SELECT document->>'name' AS name, bool_or((document->>'action') = 'shred') AS gone"
        "   FROM entries WHERE type = 'key' AND (document->>'name') LIKE '%/%' GROUP BY ALL),"
        " used AS (SELECT unnest((document->'keys')::VARCHAR[]) AS name, source,"
        "   document->>'retain_until' AS until FROM entries WHERE type = 'seal')"
        " SELECT name, any_value(gone), list(DISTINCT source ORDER BY source) FILTER (source IS NOT NULL),"
        " max(until) FROM named LEFT JOIN used USING (name) GROUP BY name ORDER BY name"
    ).fetchall()
    return [
        MonthKey(name, "destroyed" if gone else "in-use", tuple(sources or ()), until)
        for name, gone, sources, until in rows
    ]


def destroy_epoch(runtime: Runtime, order: Order, name: str) -> tuple[Destroyed, CheckpointReceipt]:
    """Destroy the key of a month whose records nobody has to keep any more.

    Args:
        runtime: the deployment.
        order: who asked, who approved, why.
        name: for example `pseudonym/2026-11`.

    Raises:
        UsageError: there is no such key, its records must still be kept, or one person alone decides.
        StoreRefusedError: a legal hold covers records that depend on it.
    """
    order.check()
    match = _NAME.fullmatch(name)
    with runtime.catalog() as catalog:
        key = next((key for key in list_months(catalog) if key.name == name), None)
        if match is None or key is None:
            raise UsageError(
                f"the log knows no key {name!r} of a month", next_step="See `indelible key months`."
            )
        purpose, month = match[1], date(int(match[2]), int(match[3]), 1)
        now = runtime.store.now()
        kept_until = key.kept_until or f"{_next(month).isoformat()}T00:00:00Z"
        if instant(now) < kept_until:
            raise UsageError(
                f"records that depend on {name} must be kept until {kept_until}",
                next_step="Wait until then; one person's key can be destroyed before.",
            )
        _check_holds(catalog, key, month if purpose == "pseudonym" else None)
        destroyed = destroy_month(runtime.key_table, purpose, name.partition("/")[2], _cause(order))
        seal_destructions(runtime, catalog)
        if destroyed is None:
            raise KeyUnavailableError(
                f"the key table holds no key {name}: it was destroyed before, or is another table's",
                next_step="See `indelible key months`, and [key_table] url in the settings.",
            )
        return destroyed, pipeline.publish(runtime, catalog)


def shred_subject(runtime: Runtime, catalog: Catalog, order: Order, subject: str) -> Destroyed | None:
    """Destroy a person's key, overwrite what the database still holds of it, and seal that it is gone.

    Holds and the two persons' agreement are the caller's to check. After a crash, call it again: what was
    destroyed and not sealed is sealed then.

    Args:
        runtime: the deployment.
        catalog: is read up to the end of the log.
        order: who asked, who approved, why.
        subject: subject id, see `Keyring.subject_ids`.

    Returns:
        The commitment of the key, and where the person occurs; None when the person has no key.
    """
    destroyed = destroy_subject(runtime.key_table, subject, _cause(order))
    seal_destructions(runtime, catalog)
    return destroyed


def rewrap_all(runtime: Runtime) -> int:
    """Wrap all keys anew under the newest key-encryption key, so that older copies of the database can be ended.

    Returns:
        How many keys were wrapped.

    Raises:
        KeyTableBusyError: another process does so, or backs the key table up or restores it.
    """
    return rewrap(runtime.key_table)


def _check_holds(catalog: Catalog, key: MonthKey, month: date | None) -> None:
    """`month` is that of the events that depend on the key; None when it is not known, so that all holds count."""
    for hold in holding.register(catalog):
        scope = hold.scope
        elsewhere = month is not None and (
            (scope.since is not None and scope.since >= _next(month))
            or (scope.until is not None and scope.until < month)
        )
        if hold.release is None and scope.source in key.sources and not elsewhere:
            raise StoreRefusedError(
                f"legal hold {hold.id} covers records that depend on {key.name}",
                next_step="Destroy the key when the hold is released.",
            )


def _next(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _cause(order: Order) -> Cause:
    return Cause(**asdict(order))
