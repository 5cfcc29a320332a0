"""Records taken apart along the contract's paths, and what is left of them.

A value is taken out of its object when its path is read; what is still in the objects at the end is
what the contract does not name, and it goes to `_extra` with its source bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np
import polars as pl

from tasks.ingest import objects
from tasks.ingest.objects import ABSENT, Object, open_object
from tasks.ingest.wire import NULL, OBJECT, Wire, from_json, kinds_of

if TYPE_CHECKING:
    from tasks.ingest.units import Ints, Mask
    from tasks.ingest.wire import Kinds, Raws

Path: TypeAlias = tuple[str, ...]

# Two quotes, a colon and a comma (or, once an object, its closing brace).
_PAIR_BYTES = 4

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Node:
    """A name in the contract's paths: whether a path ends here, and the names below it."""

    leaf: bool = False
    children: dict[str, Node] = field(default_factory=dict)

    @staticmethod
    def of(paths: Sequence[Path]) -> Node:
        """The tree of all `paths`."""
        root = Node()
        for path in paths:
            node = root
            for name in path:
                node = node.children.setdefault(name, Node())
            node.leaf = True
        return root


@dataclass(slots=True)
class Taken:
    """Records in columns.

    Attributes:
        left: what no path has taken, for each record.
        faults: index -> rule of each record that must be quarantined.
        columns: path -> values of that path.
        odd_parents: dotted path -> rows where something else than an object stands there.
    """

    left: list[Object]
    faults: dict[int, str]
    columns: dict[Path, Wire] = field(default_factory=dict)
    odd_parents: dict[str, Mask] = field(default_factory=dict)

    def put_back(self, path: Path, rows: Mask) -> None:
        """Return the values of `path` in `rows`, which no field wanted, to what is left."""
        raws = self.columns[path].raws
        for i in np.flatnonzero(rows).tolist():
            target: dict[str, Any] = self.left[i]
            for name in path[:-1]:
                target = target.setdefault(name, {})
            target[path[-1]] = raws[i]

    def extra(self) -> pl.Series:
        """What is left of each record as the text of a JSON object; null where nothing is."""
        return pl.Series([_encode(left).decode() if left else None for left in self.left], dtype=pl.String)


def take_apart(texts: Sequence[bytes], root: Node, max_depth: int) -> Taken:
    """Open every record and take the values at the paths of `root` out of it.

    Args:
        texts: one JSON record each.
        root: the paths to read.
        max_depth: deepest nesting allowed, the record itself counting as one.
    """
    taken = Taken(*objects.open_records(texts))
    present = np.ones(len(texts), dtype=np.bool_)
    present[list(taken.faults)] = False
    _take(taken, texts, present, taken.left, root, (), max_depth - 1)
    return taken


def _take(
    taken: Taken, texts: Raws, present: Mask, opened: list[Object], node: Node, path: Path, depth: int
) -> None:
    """Take the children of `node` out of `opened`, objects that stand at `path` in the `present` rows."""
    size = np.ones(len(texts), dtype=np.int64)
    parents: list[tuple[str, Node, Raws, Kinds]] = []
    for name, child in node.children.items():
        raws: Raws = [record.pop(name, ABSENT) for record in opened]
        kinds, lengths = kinds_of(raws)
        size += np.where(lengths > 0, lengths + len(name.encode()) + _PAIR_BYTES, 0)
        if not path:
            _check_depth(taken, raws, np.flatnonzero(lengths > 2 * depth), depth)
        if child.leaf:
            taken.columns[*path, name] = from_json(raws, kinds, lengths)
        if child.children:
            parents.append((name, child, raws, kinds))
    for i, rest in enumerate(opened):
        if rest:
            size[i] += sum(len(name.encode()) + len(raw) + _PAIR_BYTES for name, raw in rest.items())
            if not path and any(objects.too_deep(raw, depth) for raw in rest.values()):
                taken.faults[i] = "json.too_deep"
    _check_duplicates(taken, texts, present, size)
    for name, child, values, kinds in parents:
        _descend(taken, values, kinds, opened, child, (*path, name), depth)


def _descend(
    taken: Taken, raws: Raws, kinds: Kinds, opened: list[Object], node: Node, path: Path, depth: int
) -> None:
    """Take apart the objects that stand at `path`; what is left of them stays under their name."""
    present = kinds == OBJECT
    inner: list[Object] = [
        open_object(raw) if is_object else {} for raw, is_object in zip(raws, present.tolist(), strict=True)
    ]
    _take(taken, raws, present, inner, node, path, depth)
    odd = (kinds > NULL) & ~present
    if odd.any():
        taken.odd_parents[".".join(path)] = odd
    if node.leaf:
        return
    for i, rest in enumerate(inner):
        if rest:
            opened[i][path[-1]] = rest  # type: ignore[assignment]
    for i in np.flatnonzero(odd).tolist():
        opened[i][path[-1]] = raws[i]  # type: ignore[assignment]


def _check_depth(taken: Taken, raws: Raws, rows: Ints, depth: int) -> None:
    for i in rows.tolist():
        if objects.too_deep(raws[i], depth):
            taken.faults[i] = "json.too_deep"


def _check_duplicates(taken: Taken, texts: Raws, present: Mask, size: Ints) -> None:
    """Quarantine records that name a key twice.

    A compact object is as long as its distinct pairs with their commas and colons. White space, an
    escape in a key and a repeated key can only make it longer, so equal length proves that there is
    none of them; any other object is looked at.
    """
    length = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    for i in np.flatnonzero(present & (length != np.maximum(size, 2))).tolist():
        if i not in taken.faults and objects.has_duplicate_key(texts[i]):
            taken.faults[i] = "json.duplicate_key"
