"""The sealed log behind an exporter: read up to its end for each scrape, at a cost that grows with what is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING

from tasks.batch import Drop
from tasks.errors import NotFoundError
from tasks.evidence import paths
from tasks.log import reader
from tasks.metrics import families as f
from tasks.metrics.facts import facts
from tasks.metrics.families import Sample
from tasks.metrics.growth import Growth

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog
    from tasks.storage.protocol import ObjectStore

_HOUR = 3600
_PATIENCE_S = 2.0


class SealedLog:
    """The logs of a store as samples. Threads may share it."""

    def __init__(self, store: ObjectStore, open_catalog: Callable[[], Catalog]) -> None:
        """Nothing is read before the first question.

        Args:
            store: where the logs are.
            open_catalog: gives a working copy of the catalog, which is kept from then on.
        """
        self._store, self._open = store, open_catalog
        self._lock = Lock()
        self._catalog: Catalog | None = None
        self._growth = Growth()
        self._signed: dict[int, int] = {}
        self._last: dict[str, bytes] = {}  # the last entry of each log, by its path
        self._known: tuple[object, list[Sample]] = (None, [])

    def samples(self) -> list[Sample]:
        """What the logs say now.

        Raises:
            IndelibleError: the store cannot be read, or what it holds does not fit together.
        """
        with self._lock:
            catalog = self._synced()
            now = self._store.now().timestamp()
            sizes = {shard: catalog.size(shard) for shard in self._signed}
            # The end of a lock is the only fact that time alone changes.
            state = (sizes, self._signed, now // _HOUR)
            if self._known[0] != state:
                self._known = (state, list(self._compute(catalog, sizes, now)))
            return self._known[1]

    def unsealed(self, drops: Sequence[Drop]) -> list[Drop]:
        """Those drops that are not sealed, in their order."""
        with self._lock:
            return self._synced().unsealed(drops)

    def close(self) -> None:
        """Remove the working copy, unless a thread that hangs has it."""
        if self._lock.acquire(timeout=_PATIENCE_S):
            self._forget()
            self._lock.release()

    def _compute(self, catalog: Catalog, sizes: dict[int, int], now: float) -> Iterator[Sample]:
        for shard, size in sizes.items():
            self._growth.fold(catalog, self._store, shard)
            yield Sample(f.ENTRIES, size, (str(shard),))
            yield Sample(f.SIGNED, self._signed[shard], (str(shard),))
        yield from facts(catalog, now)
        yield from self._growth.samples()

    def _synced(self) -> Catalog:
        signed = {shard: reader.integrated(self._store, shard) for shard in reader.shards(self._store)}
        shrunk = any(signed.get(shard, 0) < size for shard, size in self._signed.items())
        if shrunk or not all(self._stands(path, data) for path, data in self._last.items()):
            self._forget()  # another log, or one that was given up or set back: what is remembered is not of it
        if self._catalog is None:
            self._catalog = self._open()
        self._catalog.sync()
        ends = [paths.sequence(shard, self._catalog.size(shard) - 1) for shard in signed]
        self._last = {path: self._last.get(path) or self._store.read(path) for path in ends}
        self._signed = signed
        return self._catalog

    def _stands(self, path: str, data: bytes) -> bool:
        try:
            return self._store.read(path) == data
        except NotFoundError:
            return False

    def _forget(self) -> None:
        if self._catalog is not None:
            self._catalog.__exit__(None, None, None)
        self._catalog, self._growth, self._signed, self._last = None, Growth(), {}, {}
