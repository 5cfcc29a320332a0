"""One part of an exposition: computed apart from the others, so that one that fails or hangs takes only itself away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from threading import Event, Lock, Thread
from typing import Final

from tasks.errors import IndelibleError
from tasks.metrics.families import Sample

STALE_S: Final = 60.0
"""For how long the last result stands while the next one is awaited."""
_logger = logging.getLogger(__name__)


class Part:
    """A named computation with at most one thread.

    Args:
        name: label value of `indelible_exporter_up`.
        compute: gives the samples; may raise, may take long.
        fresh_s: seconds for which a result is not computed again.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        name: str,
        compute: Callable[[], Iterable[Sample]],
        *,
        fresh_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.duration_s: float | None = None
        self._compute, self._fresh_s, self._clock = compute, fresh_s, clock
        self._lock = Lock()
        self._idle = Event()
        self._idle.set()
        self._last: tuple[float, Sequence[Sample]] | None = None

    def start(self) -> None:
        """Compute in the background, unless that is under way or the last result is fresh."""
        with self._lock:
            fresh = self._last is not None and self._clock() - self._last[0] < self._fresh_s
            if fresh or not self._idle.is_set():
                return
            self._idle.clear()
            Thread(target=self._run, name=f"metrics-{self.name}", daemon=True).start()

    def wait(self, timeout_s: float) -> Sequence[Sample] | None:
        """The newest result; None when the last computation failed or none has ended for too long."""
        self._idle.wait(max(0.0, timeout_s))
        last = self._last
        if last is None or self._clock() - last[0] > max(STALE_S, self._fresh_s):
            return None
        return last[1]

    def _run(self) -> None:
        began = self._clock()
        try:
            result = tuple(self._compute())
            self._last = (self._clock(), result)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other parts go on
            self._last = None
            why = str(error) if isinstance(error, IndelibleError) else type(error).__name__
            _logger.warning("metrics: part %s could not be computed: %s", self.name, why)
        finally:
            self.duration_s = self._clock() - began
            self._idle.set()
