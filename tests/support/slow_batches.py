"""A preload of Dask workers: each batch is written down, and the one that `$NOTES/doom` names kills its worker, once.

Great Expectations is left out, since it takes seconds to import and does not matter here.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any


def dask_setup(worker: Any) -> None:
    """Called by the worker before it takes tasks."""
    del worker
    import tasks.validate.stage
    from flows import pipeline

    notes = Path(os.environ["NOTES"])
    tasks.validate.stage.run_gate = lambda frame, contract: (True, {"results": []})  # type: ignore[attr-defined]
    deliver_batch = pipeline.deliver_batch

    def watched(runtime: Any, source: str, drops: Sequence[Any], *rest: Any, **options: Any) -> Any:
        keys = " ".join(drop.key for drop in drops)
        (notes / f"begun-{uuid.uuid4()}").write_text(keys)
        with suppress(FileNotFoundError):
            if (notes / "doom").read_text() == keys:
                (notes / "doom").unlink()
                (notes / f"died-{uuid.uuid4()}").write_text(keys)
                os.kill(os.getpid(), signal.SIGKILL)
        return deliver_batch(runtime, source, drops, *rest, **options)

    pipeline.deliver_batch = watched
