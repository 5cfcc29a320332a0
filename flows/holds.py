"""Placing, releasing and listing legal holds.

The entry is the act: it is sealed first, and the store follows (`flows.holding`) when it is published. If the
process dies in between, or its credentials may seal and not hold, the next publication with sufficient
credentials does what is left.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flows import holding, pipeline
from flows.entries import append_entry
from flows.holding import Hold, Order, Scope
from flows.receipts import CheckpointReceipt
from flows.shards import log_until
from flows.wiring import Runtime
from flows.wording import check_wording
from tasks.errors import NotFoundError, StoreRefusedError, UsageError
from tasks.log import reader
from tasks.storage.protocol import ObjectStore


def place(
    runtime: Runtime, scope: Scope, order: Order, case: str | None = None
) -> tuple[Hold, CheckpointReceipt]:
    """Hold everything in a scope that is sealed or will be, until it is released.

    Args:
        runtime: the deployment.
        scope: what to hold.
        order: who asked, who approved, why.
        case: name of the matter.

    Raises:
        UsageError: there is no such source, the days are the wrong way round, a text holds an identifier, or one
            person alone decides.
        StoreRefusedError: the store keeps no holds.
    """
    check_scope(runtime, scope)
    order.check()
    check_wording(case=case)
    require_worm(runtime.store)
    with runtime.catalog() as catalog:
        pipeline.publish(runtime, catalog)  # what is to be held is provable first
        sizes = signed_sizes(runtime.store)
        versions = holding.covered(runtime.store, catalog, scope, sizes)
        objects = holding.store_list(runtime, versions, log_until(runtime))
        body = {**asdict(order), "case": case or None, "objects": objects, "scope": scope.as_json()}
        shard, index = append_entry(runtime, catalog, "hold", body)
        receipt = pipeline.publish(runtime, catalog)
        return _find(holding.register(catalog), f"{shard:04d}-{index}"), receipt


def release(runtime: Runtime, hold_id: str, order: Order) -> tuple[Hold, CheckpointReceipt]:
    """End a hold: lift it from every object that no other hold covers. Retention goes on as before.

    Raises:
        NotFoundError: there is no such hold.
        UsageError: it was released before, or one person alone decides.
    """
    order.check()
    with runtime.catalog() as catalog:
        hold = _find(holding.register(catalog), hold_id)
        if hold.release is not None:
            raise UsageError(
                f"hold {hold_id} was released at {hold.release['sealed_at']}",
                next_step="Run `indelible hold list`.",
            )
        append_entry(runtime, catalog, "release", {**asdict(order), "hold": hold_id})
        receipt = pipeline.publish(runtime, catalog)
        return _find(holding.register(catalog), hold_id), receipt


def register(runtime: Runtime, *, repair: bool = False) -> tuple[list[dict[str, Any]], str]:
    """The register of holds, from the log.

    Args:
        runtime: the deployment.
        repair: also ask the store for every object of every hold, and set it right.

    Returns:
        The register, and why the store could not be set right; empty when it was or was not asked to.
    """
    with runtime.catalog() as catalog:
        refused = (
            holding.keep_up(runtime, catalog, signed_sizes(runtime.store), afresh=True) if repair else ""
        )
        return [hold.as_json() for hold in holding.register(catalog)], refused


def signed_sizes(store: ObjectStore) -> dict[int, int]:
    """Shard -> entries under its newest checkpoint."""
    return {shard: reader.integrated(store, shard) for shard in reader.shards(store)}


def check_scope(runtime: Runtime, scope: Scope) -> None:
    """Refuse a scope that covers nothing by mistake.

    Raises:
        UsageError: the days are the wrong way round.
        ContractError: there is no such source.
    """
    runtime.contract(scope.source)
    if scope.since is not None and scope.until is not None and scope.until < scope.since:
        raise UsageError("--until lies before --since", next_step="Swap the two days.")


def require_worm(store: ObjectStore) -> None:
    """Refuse a store that keeps neither locks nor holds."""
    if not store.worm:
        raise StoreRefusedError(
            f"{store.uri} is not WORM: it can neither hold nor lock what is sealed",
            next_step="Use an S3 bucket with Object Lock.",
        )


def _find(holds: list[Hold], hold_id: str) -> Hold:
    for hold in holds:
        if hold.id == hold_id:
            return hold
    raise NotFoundError(f"there is no hold {hold_id[:30]}", next_step="Run `indelible hold list`.")
