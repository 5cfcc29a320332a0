"""Records taken apart along the contract's paths, and what is left of them.

Each object is sliced straight into one slot a name. Whatever it holds besides shows in its length, and
goes with its source bytes to what is left, for `_extra`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np
import polars as pl
from msgspec.structs import astuple

from tasks.ingest import objects
from tasks.ingest.objects import ABSENT, Object, depth, has_duplicate_key, open_object, opening_brackets
from tasks.ingest.wire import NOTHING, NULL, OBJECT, Wire, from_json, kinds_of

if TYPE_CHECKING:
    from tasks.ingest.units import Ints, Mask
    from tasks.ingest.wire import Kinds

Path: TypeAlias = tuple[str, ...]
Raws: TypeAlias = Sequence[bytes | msgspec.Raw]
Slots: TypeAlias = msgspec.Struct

# A block's objects fit the processor's second-level cache, which halves the cost of touching them twice.
_BLOCK_RECORDS = 512

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Node:
    """A name in the contract's paths: whether a path ends here, and the names below it.

    Attributes:
        covered: whether a path ends here or above, so that nothing below can be left over.
        decode: slices an object into the values of `children`, in their order, ABSENT for missing ones.
        pair_bytes: bytes that each child's name and punctuation take in compact JSON.
    """

    leaf: bool = False
    children: dict[str, Node] = field(default_factory=dict)
    covered: bool = field(init=False)
    decode: Callable[[bytes | msgspec.Raw], msgspec.Struct] = field(init=False)
    pair_bytes: Ints = field(init=False)

    @staticmethod
    def of(paths: Sequence[Path]) -> Node:
        """The tree of all `paths`."""
        root = Node()
        for path in paths:
            node = root
            for name in path:
                node = node.children.setdefault(name, Node())
            node.leaf = True
        root._compile(covered=False)
        return root

    def _compile(self, *, covered: bool) -> None:
        self.covered = covered or self.leaf
        slots = [
            (f"f{i}", msgspec.Raw, msgspec.field(name=name, default=ABSENT))
            for i, name in enumerate(self.children)
        ]
        self.decode = msgspec.json.Decoder(msgspec.defstruct("Slots", slots, gc=False)).decode
        self.pair_bytes = np.array(
            [[len(name.encode()) + objects.PAIR_BYTES] for name in self.children], dtype=np.int64
        )
        for child in self.children.values():
            child._compile(covered=self.covered)


@dataclass(slots=True)
class Taken:
    """Records in columns.

    Attributes:
        left: index -> what no path has taken of the record; where nothing is left there is no entry.
        faults: index -> rule of each record that must be quarantined.
        columns: path -> values of that path.
        odd_parents: path -> indices of records where something else than an object stands there.
    """

    left: dict[int, dict[str, Any]] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    columns: dict[Path, Wire] = field(default_factory=dict)
    odd_parents: dict[Path, list[int]] = field(default_factory=dict)

    def put_back(self, path: Path, rows: Mask) -> None:
        """Return the values of `path` in `rows`, which no field wanted, to what is left."""
        which = np.flatnonzero(rows)
        sources = self.columns[path].source().gather(which).fill_null("null")
        for i, source in zip(which.tolist(), sources, strict=True):
            _place(self.left, i, path, msgspec.Raw(source.encode()))

    def remainder(self, height: int) -> pl.Series:
        """What is left of each record as the text of a JSON object; null where nothing is."""
        get = self.left.get
        texts = [_encode(left).decode() if (left := get(i)) else None for i in range(height)]
        return pl.Series(texts, dtype=pl.String)


def take_apart(texts: Sequence[bytes], root: Node, max_depth: int) -> Taken:
    """Open every record and take the values at the paths of `root` out of it.

    Args:
        texts: one JSON record each.
        root: the paths to read.
        max_depth: deepest nesting allowed, the record itself counting as one.
    """
    taken = Taken()
    gathered: dict[Path, list[tuple[bytes, Ints]]] = {}
    for first in range(0, len(texts), _BLOCK_RECORDS):
        block = _Block(taken, gathered, first, max_depth)
        opened = block.open(texts[first : first + _BLOCK_RECORDS], root)
        block.take(texts[first : first + _BLOCK_RECORDS], opened, root, ())
    for path, parts in gathered.items():
        data = b"".join([part for part, _ in parts])
        taken.columns[path] = from_json(data, np.concatenate([lengths for _, lengths in parts]))
    return taken


@dataclass(frozen=True, slots=True)
class _Block:
    """Some records in a row: the index of the first, and the deepest nesting allowed."""

    taken: Taken
    gathered: dict[Path, list[tuple[bytes, Ints]]]
    first: int
    depth: int

    def open(self, texts: Sequence[bytes], root: Node) -> list[Slots | None]:
        """Slice every record; one that is no sound JSON object becomes None and a fault."""
        opened: list[Slots | None] = []
        for i, text in enumerate(texts, self.first):
            try:
                if not text.isascii():
                    text.decode()
                opened.append(root.decode(text))
            except (ValueError, RecursionError) as error:
                self.taken.faults[i] = objects.fault_of(text, error)
                opened.append(None)
        return opened

    def take(self, texts: Raws, opened: list[Slots | None], node: Node, path: Path) -> None:
        """Gather the children of `node` from objects that stand at `path`; None where there is none."""
        missing = (ABSENT,) * len(node.children)
        rows = [missing if slots is None else astuple(slots) for slots in opened]
        columns = list(zip(*rows, strict=True))
        lengths = np.array([_lengths(column) for column in columns])
        totals = np.where(lengths > 0, lengths + node.pair_bytes, 0).sum(axis=0)
        present = np.array([slots is not None for slots in opened])
        actual = _lengths(texts)
        if not path:
            self._check_depth(texts, actual, present)
        suspects = np.flatnonzero(present & (actual != np.maximum(totals + 1, 2)))
        self._check_sizes(suspects, texts, totals, node, path)
        for (name, child), column, sizes in zip(node.children.items(), columns, lengths, strict=True):
            data = b"".join(column) if sizes.any() else b""
            if child.leaf:
                self.gathered.setdefault((*path, name), []).append((data, sizes))
            if child.children:
                kinds = kinds_of(data, sizes)
                # A value that is too deep here would overrun the parser there.
                kinds[[i for i in range(len(rows)) if self.first + i in self.taken.faults]] = NOTHING
                self._descend(column, kinds, child, (*path, name))

    def _check_sizes(self, suspects: Ints, texts: Raws, totals: Ints, node: Node, path: Path) -> None:
        """Find the objects that hold more than the children of `node`, or one of them twice.

        `objects.compact_bytes` of the children alone must be the object's length; whatever is longer
        is looked at.
        """
        for i in suspects.tolist():
            try:
                self._look_at(i, texts[i], int(totals[i]), node, path)
            except RecursionError:
                self.taken.faults[self.first + i] = "json.too_deep"

    def _look_at(self, row: int, text: bytes | msgspec.Raw, total: int, node: Node, path: Path) -> None:
        """Keep what an object holds besides the children of `node`, and see that no name is repeated."""
        rest = open_object(text)
        for name in node.children:
            rest.pop(name, None)
        if rest and not node.covered:
            self._leave(row, rest, path)
        if len(text) != objects.compact_bytes(rest, total) and has_duplicate_key(text):
            self.taken.faults.setdefault(self.first + row, "json.duplicate_key")

    def _leave(self, row: int, rest: Object, path: Path) -> None:
        for name, raw in rest.items():
            _place(self.taken.left, self.first + row, (*path, name), raw)

    def _check_depth(self, texts: Raws, lengths: Ints, present: Mask) -> None:
        many = opening_brackets(texts, lengths) > self.depth
        for i in np.flatnonzero(present & many).tolist():
            if depth(texts[i]) > self.depth:
                self.taken.faults[self.first + i] = "json.too_deep"

    def _descend(self, column: Raws, kinds: Kinds, node: Node, path: Path) -> None:
        """Take apart the objects that stand at `path`; what is no object stays, and is a fault."""
        decode = node.decode
        inside = [
            decode(raw) if kind == OBJECT else None for raw, kind in zip(column, kinds.tolist(), strict=True)
        ]
        self.take(column, inside, node, path)
        for i in np.flatnonzero((kinds > NULL) & (kinds != OBJECT)).tolist():
            self.taken.odd_parents.setdefault(path, []).append(self.first + i)
            if not node.covered:
                _place(self.taken.left, self.first + i, path, column[i])


def _lengths(column: Raws) -> Ints:
    """Bytes of each value; most columns of a block are full or empty, and an empty one is told by identity."""
    if column[0] is ABSENT and column.count(ABSENT) == len(column):
        return np.zeros(len(column), dtype=np.int64)
    return np.fromiter(map(len, column), dtype=np.int64, count=len(column))


def _place(left: dict[int, dict[str, Any]], row: int, path: Path, raw: bytes | msgspec.Raw) -> None:
    """Put a value at `path` of what is left of a record."""
    target = left.setdefault(row, {})
    for name in path[:-1]:
        target = target.setdefault(name, {})
    target[path[-1]] = raw
