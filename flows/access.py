"""`access` entries: what shows personal values to somebody is sealed, and under a signed checkpoint, before it does.

The log is signed here and no catalog is published, which is the next delivery's work: an access costs as much as it
reads, however much is sealed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flows.entries import append_made
from flows.shards import integrate
from flows.wiring import Runtime
from tasks.errors import StoreRefusedError
from tasks.log import reader

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog


def seal_access(
    runtime: Runtime, catalog: Catalog, body: Mapping[str, Any], check: Callable[[], None] = lambda: None
) -> str:
    """Seal an `access` entry and store the signed checkpoint that covers it. Only then may anything be shown.

    Args:
        runtime: the deployment.
        catalog: is read up to the end of the log.
        body: the entry's own fields.
        check: raises where the log, as it is just before, forbids it.

    Returns:
        Where it stands, in words.

    Raises:
        StoreRefusedError: it cannot be sealed here, or no stored checkpoint covers it.
    """
    if runtime.settings.sequencer.worker:
        raise StoreRefusedError(
            "this deployment hands over to a sequencer and signs no log, so no access can be sealed",
            next_step="Run it where the log is signed.",
        )

    def make(_: int) -> Mapping[str, Any]:
        check()
        return body

    sealed = append_made(runtime, catalog, "access", make)
    assert sealed is not None
    shard, index = sealed[0]
    integrate(runtime, shard)
    if reader.integrated(runtime.store, shard) <= index:
        raise StoreRefusedError(
            f"the access is sealed as entry {index} of log/{shard}, and no checkpoint covers it; nothing was shown",
            next_step="Run `indelible status`, and see that the log is signed up to its end.",
        )
    return f"entry {index} of {runtime.origin(shard)}"
