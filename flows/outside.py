"""What others confirm of a checkpoint, after it is signed and stored: witnesses, then a time-stamping authority.

Neither can hold up sealing. What is lacking is asked for again by the next run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypedDict

from flows import timestamps, witnessing
from flows.wiring import Runtime
from tasks.log import reader


class Confirmed(TypedDict, total=False):
    """Fields of a checkpoint's receipt; empty where nobody is asked."""

    witnessed: int | None
    unwitnessed: Mapping[str, str]
    contradicted: bool
    timestamped: int | None
    untimestamped: str


def confirm(runtime: Runtime, shards: Iterable[int], year: int) -> Confirmed:
    """Have the newest checkpoints cosigned and time-stamped.

    Args:
        runtime: the deployment.
        shards: all logs.
        year: the one to report on; that a witness contradicts is reported of any.
    """
    contradicted = False
    confirmed: Confirmed = {}
    for shard in shards:
        if reader.recovery(runtime.store, shard) is not None:
            continue  # given up: what it signs now is not evidence
        state = witnessing.cosign_shard(runtime, shard)
        stamp = timestamps.stamp_shard(runtime, shard)
        contradicted |= state is not None and state.contradicted
        if shard == year and state is not None:
            confirmed |= {"witnessed": state.size, "unwitnessed": dict(state.problems)}
        if shard == year and stamp is not None:
            confirmed |= {"timestamped": stamp.size, "untimestamped": stamp.problem}
    return confirmed | {"contradicted": contradicted}
