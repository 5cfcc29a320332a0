"""Where each line of a batch stands, and what is known of the lines that are no record.

Arrays and not rows: a drop of a million blank lines costs a few arrays, not a million objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import polars as pl

from tasks.batch import DROP, LENGTH, LINE, OFFSET, Disposition

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Mask: TypeAlias = NDArray[np.bool_]

_DTYPES = {DROP: pl.Int32, LINE: pl.Int64, OFFSET: pl.Int64, LENGTH: pl.Int64}


@dataclass(frozen=True, slots=True)
class Places:
    """Coordinates of some lines, as parallel arrays."""

    drops: Ints
    lines: Ints
    offsets: Ints
    lengths: Ints

    def __len__(self) -> int:
        """How many lines."""
        return len(self.lines)

    def take(self, which: Ints | Mask | slice) -> Places:
        """The lines that an index array, a mask or a slice names."""
        return Places(self.drops[which], self.lines[which], self.offsets[which], self.lengths[which])

    def series(self) -> list[pl.Series]:
        """As the four coordinate columns."""
        arrays = (self.drops, self.lines, self.offsets, self.lengths)
        return [pl.Series(n, a).cast(t) for (n, t), a in zip(_DTYPES.items(), arrays, strict=True)]

    @staticmethod
    def of_drop(drop: int, lines: Ints, offsets: Ints, lengths: Ints) -> Places:
        """Places in one drop."""
        return Places(np.full(len(lines), drop, dtype=np.int64), lines, offsets, lengths)

    @staticmethod
    def one(drop: int, line: int, offset: int, length: int) -> Places:
        """A single place."""
        return Places(*(np.array([value], dtype=np.int64) for value in (drop, line, offset, length)))

    @staticmethod
    def joined(parts: list[Places]) -> Places:
        """All places of `parts`, in that order."""
        empty = np.zeros(0, dtype=np.int64)
        columns = ([p.drops for p in parts], [p.lines for p in parts], [p.offsets for p in parts])
        lengths = [p.lengths for p in parts]
        return Places(*(np.concatenate([empty, *column]) for column in (*columns, lengths)))


@dataclass(slots=True)
class SetAside:
    """Collects the lines that are no record, each group with its disposition and its rule."""

    _groups: list[tuple[Places, Disposition, str]] = field(default_factory=list)

    def quarantine(self, places: Places, rule: str) -> None:
        """These lines could not be read, for the reason that `rule` names."""
        if len(places):
            self._groups.append((places, "quarantined", rule))

    def blank(self, places: Places) -> None:
        """These lines hold nothing but white space."""
        if len(places):
            self._groups.append((places, "blank", ""))

    def frame(self) -> pl.DataFrame:
        """All groups as `ReadBatch.set_aside`, sorted by drop and line."""
        places = Places.joined([group[0] for group in self._groups])
        kinds = [(disposition, rule) for _, disposition, rule in self._groups]
        repeat = np.repeat(np.arange(len(kinds)), [len(group[0]) for group in self._groups])
        labels = pl.DataFrame(
            {
                "disposition": [disposition for disposition, _ in kinds],
                "rules": [[rule] if rule else [] for _, rule in kinds],
            },
            schema={"disposition": pl.String, "rules": pl.List(pl.String)},
        )
        return pl.DataFrame([*places.series(), *labels[repeat].get_columns()]).sort(DROP, LINE)
