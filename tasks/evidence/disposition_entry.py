"""The `disposition` entry: two people decided that quarantined lines of a batch are not taken up again.

Nothing is taken away: the lines stay sealed, stay counted as quarantined and can be shown as discarded.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict, final

from tasks.evidence.schema import AtLeast, Count, Digest, Instant
from tasks.evidence.terms import Format, Source, Text

Positive = Annotated[int, AtLeast(1)]


@final
class SealedBatchRef(TypedDict):
    """A seal entry, by its place and its leaf hash."""

    entry: Count
    leaf: Digest
    shard: Count
    source: Source


@final
class DiscardEntry(TypedDict):
    """`lines` quarantined lines of `batch`, all that were open when this entry was made, are discarded."""

    action: Literal["discard"]
    approver: Text
    batch: SealedBatchRef
    format: Format
    lines: Positive
    reason: Text
    requested_by: Text
    sealed_at: Instant
    type: Literal["disposition"]
