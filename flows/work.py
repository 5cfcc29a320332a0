"""What every flow shares: its runtime, its catalog, and when a task is tried again.

Put here: how Prefect runs our functions. Do not put here: what they do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ContextDecorator, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypedDict

from prefect import get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from flows import wiring
from flows.embedded import embedded_settings
from flows.logs import describe
from flows.settings import load_settings
from tasks.errors import IndelibleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.cache_policies import CachePolicy

    from tasks.catalog.catalog import Catalog


class TaskPolicy(TypedDict):
    """The part of `@task` that is alike for all of our tasks."""

    retries: int
    retry_delay_seconds: Callable[[int], list[float]]
    retry_jitter_factor: float
    retry_condition_fn: Callable[[Task[..., Any], TaskRun, State[Any]], bool]
    persist_result: bool
    cache_policy: CachePolicy


def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether the same call may succeed later. Defects, refusals and broken contracts are final at once."""
    del task, run
    error = state.result(raise_on_failure=False)
    return isinstance(error, IndelibleError) and error.transient


# 2, 4, 8 and 16 seconds, each stretched at random, so that runners which failed together return apart.
# No result and no argument is ever kept by Prefect: what is sealed is the only memory.
POLICY: Final[TaskPolicy] = {
    "retries": 4,
    "retry_delay_seconds": exponential_backoff(backoff_factor=2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_transient,
    "persist_result": False,
    "cache_policy": NO_CACHE,
}


class confined(ContextDecorator):  # noqa: N801 - used as a function is
    """Let no unexpected exception out as it is. A block, or a decorator that other processes can be sent.

    Prefect logs the message of an exception and stores the exception itself, and that of a library may hold
    a value of the record that upset it. What remains is its type and the lines of code that it came by.
    """

    def __enter__(self) -> None:
        """Nothing is needed."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Replace what is not ours."""
        if isinstance(error, IndelibleError):
            if error.next_step:
                get_run_logger().error("next: %s", error.next_step)
        elif isinstance(error, Exception):
            raise IndelibleError(
                f"unexpected {describe(error)}",
                next_step="Run the same with `indelible` on the machine itself, and report it as a defect.",
            ) from None


class _Opened(threading.local):
    """A DuckDB connection belongs to one thread, so what is open does too."""

    current: tuple[wiring.Runtime, Catalog] | None = None


_opened = _Opened()


def open_runtime() -> wiring.Runtime:
    """The runtime of the settings, with the embedded store where they name none."""
    settings = load_settings()
    return wiring.build(settings if settings.store.uri else embedded_settings(settings))


@contextmanager
def opened() -> Iterator[tuple[wiring.Runtime, Catalog]]:
    """Runtime and catalog: those that this thread has open, or new ones for as long as the block lasts.

    A flow opens them around its tasks, since opening reads the log from its last publication on, and a run of
    many batches would read it again for each. A task that runs elsewhere opens its own.
    """
    if _opened.current is not None:
        yield _opened.current
        return
    runtime = open_runtime()
    with confined(), runtime.catalog() as catalog:
        _opened.current = runtime, catalog
        try:
            yield _opened.current
        finally:
            _opened.current = None
