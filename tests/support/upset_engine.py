"""What a worker of the leak test starts: Prefect's engine, with a library that tells everything when it is upset.

Judging the source `gateway` fails the way libraries do: the message holds the rows, the library logs its exception
with them, and prints them into a message of its own by an argument. Great Expectations is left out, since it takes
seconds to import.
"""

from __future__ import annotations

import logging
import runpy
from typing import Any, NoReturn

UPSET = "gateway"


def main() -> None:
    """Run the flow that the environment names."""
    import tasks.validate.stage
    from flows import pipeline

    tasks.validate.stage.run_gate = lambda frame, contract: (True, {"results": []})  # type: ignore[attr-defined]
    validate = pipeline.validate  # type: ignore[attr-defined]

    def judge(batch: Any, contract: Any, **options: Any) -> Any:
        return _be_upset(batch) if contract.source == UPSET else validate(batch, contract, **options)

    pipeline.validate = judge  # type: ignore[attr-defined]
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)


def _be_upset(batch: Any) -> NoReturn:
    known: dict[str, int] = {}
    rows = str(batch.frame.to_dicts())
    log = logging.getLogger("prefect.upset.library")
    try:
        known[rows] += 1
    except KeyError as error:
        log.exception("cannot look it up: %s", error)  # noqa: TRY401 - as libraries do
        log.error(error)  # noqa: TRY400
        raise ValueError(f"no such rows: {rows}") from error
    raise AssertionError


if __name__ == "__main__":
    main()
