"""What a worker of the crash tests starts: Prefect's engine, with a heart that beats each second, and doomed batches.

A file `doom/<source>` dooms the batch that holds the drop `.../001.ndjson` of that source:

    pause    once: the file goes, the process notes its id in `reached/<source>` and waits for `go/<source>`
    die      each time: the process kills itself

`done/<source>` gets a line for each batch that was begun and for each that was sealed. Great Expectations is left
out, since it takes seconds to import and no matter here: the rows are judged all the same.
"""

from __future__ import annotations

import os
import runpy
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

DOOMED = "001.ndjson"


def main() -> None:
    """Run the flow that the environment names."""
    from prefect import flow_engine

    import tasks.validate.stage
    from flows import pipeline

    flow_engine.MINIMUM_HEARTBEAT_INTERVAL = 1
    flow_engine.BaseFlowRunEngine.heartbeat_seconds = property(lambda _: 1)  # type: ignore[assignment]
    tasks.validate.stage.run_gate = lambda frame, contract: (True, {"results": []})  # type: ignore[attr-defined]
    deliver_batch = pipeline.deliver_batch

    def watched(runtime: Any, source: str, drops: Sequence[Any], *rest: Any, **options: Any) -> Any:
        keys = " ".join(drop.key for drop in drops)
        _note(source, f"begun {keys}")
        if DOOMED in keys:
            _meet(source)
        receipts = deliver_batch(runtime, source, drops, *rest, **options)
        _note(source, f"sealed {keys}" if receipts else f"found sealed {keys}")
        return receipts

    pipeline.deliver_batch = watched
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)


def _note(source: str, text: str) -> None:
    with Path("done", source).open("a") as file:
        file.write(f"{text}\n")


def _meet(source: str) -> None:
    doom = Path("doom", source)
    with suppress(FileNotFoundError):
        if doom.read_text() == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        doom.unlink()
        Path("reached", source).write_text(str(os.getpid()))
        while not Path("go", source).exists():
            time.sleep(0.1)


if __name__ == "__main__":
    main()
