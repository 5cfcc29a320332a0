"""`hold_whole`: drops that must not be read, as one quarantined line each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import polars as pl

from tasks.batch import Drop, ReadBatch, ReadDrop
from tasks.contracts.model import Contract
from tasks.ingest.frames import Plan
from tasks.ingest.units import Places, SetAside
from tasks.storage.protocol import Readable


def hold_whole(landing: Readable, contract: Contract, drops: Sequence[Drop], rule: str) -> ReadBatch:
    """Take the stored bytes of drops as they are: nothing is decompressed, parsed or looked at.

    Args:
        landing: where the drops lie.
        contract: the source's contract.
        drops: in the order of their keys; one that has another size than it was listed with is left out.
        rule: why they are held.

    Raises:
        StoreUnavailableError: the landing place cannot be reached now.
        StoreRefusedError: a drop is gone or may not be read.
    """
    aside, held = SetAside(), list[ReadDrop]()
    for drop in drops:
        stored = landing.read(drop.key, drop.version_id)
        if len(stored) == drop.size:
            aside.quarantine(Places.one(len(held), 1, 0, len(stored)), rule)
            sha256 = hashlib.sha256(stored).hexdigest()
            held.append(ReadDrop(drop, sha256, sha256, len(stored), 1, stored, (rule,)))
    return ReadBatch(
        contract.source, tuple(held), pl.DataFrame(schema=Plan.of(contract).schema()), aside.frame()
    )
