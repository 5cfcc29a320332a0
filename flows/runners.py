"""Where batches are worked on: in this process, in others on this machine, or on a Dask cluster.

A task is a batch, and what crosses a boundary is references in, receipts out: so it does not matter where it runs,
and every runner ends in the same sealed state. Few batches are handed out at a time: what is in flight is what
takes memory, and what a run that is cut off has begun for nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from flows.run_settings import RunSettings
from tasks.errors import UsageError

if TYPE_CHECKING:
    from prefect.tasks import Task

R = TypeVar("R")


def chosen(settings: RunSettings) -> TaskRunner[Any]:
    """The task runner of the settings. Only that of Dask imports Dask."""
    if settings.runner == "threads":
        return ThreadPoolTaskRunner(max_workers=settings.workers)
    if settings.runner == "processes":
        return ProcessPoolTaskRunner(max_workers=settings.workers)
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ModuleNotFoundError as error:
        raise UsageError(
            "[run] runner is dask, and prefect-dask is missing", next_step="Install it."
        ) from error
    if settings.dask_address is not None:
        return DaskTaskRunner(address=settings.dask_address)
    # A batch uses all that a thread of Polars and DuckDB can get: one at a time in each worker process.
    options = {"n_workers": settings.workers, "threads_per_worker": 1, "dashboard_address": None}
    return DaskTaskRunner(cluster_kwargs=options)


def spread(settings: RunSettings, task: Task[..., R], calls: Iterable[Mapping[str, Any]]) -> Iterator[R]:
    """Run a task for each call; results in the order of the calls.

    Args:
        settings: where, and how many at a time.
        task: takes references and returns receipts.
        calls: arguments by name; drawn only when there is room for another.

    Raises:
        Exception: of the first task that fails for good. Those in flight are waited for, no more are begun.
    """
    if settings.runner == "threads" and settings.workers == 1:
        yield from (task(**call) for call in calls)
        return
    with chosen(settings) as runner:
        flying: deque[Any] = deque()
        for call in calls:
            if len(flying) == settings.most_in_flight:
                yield flying.popleft().result()
            flying.append(runner.submit(task, dict(call)))
        while flying:
            yield flying.popleft().result()
