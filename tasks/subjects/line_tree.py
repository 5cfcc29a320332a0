"""A key for each line of a drop, out of one seed, so that a few can be destroyed and all others stay.

The tree of Goldreich, Goldwasser and Micali (How to construct random functions, 1986): a node's seed gives those of
its two children, and the leaf of a line is its key. Nobody can go up. To destroy keys, the nodes above them are
replaced by those that lead to all other lines only (a puncturable pseudo-random function): 32 bytes a drop until
somebody is forgotten, and at most 32 nodes more for each line from then on.
"""

from __future__ import annotations

import hmac
import struct
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

HEIGHT: Final = 32
_NODE: Final = struct.Struct(">BQ32s")


@dataclass(frozen=True, slots=True)
class Node:
    """Leads to the keys of the lines from `first`, `2 ** height` of them."""

    height: int
    first: int
    seed: bytes

    def split(self) -> tuple[Node, Node]:
        """Its two children."""
        height = self.height - 1
        low, high = (hmac.digest(self.seed, bytes([side]), "sha256") for side in (0, 1))
        return Node(height, self.first, low), Node(height, self.first + (1 << height), high)


@dataclass(frozen=True, slots=True)
class LineTree:
    """What is left of the keys of a drop's lines; lines count up to `2 ** HEIGHT - 1`."""

    nodes: tuple[Node, ...]

    @classmethod
    def grow(cls, seed: bytes) -> LineTree:
        """The keys of all lines, from 32 random bytes."""
        return cls((Node(HEIGHT, 0, seed),))

    @classmethod
    def decode(cls, data: bytes) -> LineTree:
        """Of what `encode` gave."""
        return cls(tuple(Node(*fields) for fields in _NODE.iter_unpack(data)))

    def encode(self) -> bytes:
        """41 bytes a node."""
        return b"".join(_NODE.pack(node.height, node.first, node.seed) for node in self.nodes)

    def keys(self, lines: Collection[int]) -> dict[int, bytes]:
        """The key of each line; none for those whose key is destroyed."""
        return {node.first: node.seed for node, wanted in self._walk(lines) if wanted}

    def without(self, lines: Collection[int]) -> LineTree:
        """The tree from which the keys of these lines cannot be had, and those of all others can."""
        kept = [node for node, destroyed in self._walk(lines) if not destroyed]
        return LineTree(tuple(sorted(kept, key=lambda node: node.first)))

    def _walk(self, lines: Collection[int]) -> Iterator[tuple[Node, bool]]:
        """The leaf of each line, and the highest nodes that lead to none of them."""
        todo = [(node, _within(node, sorted(lines))) for node in self.nodes]
        while todo:
            node, below = todo.pop()
            if not below or node.height == 0:
                yield node, bool(below)
                continue
            todo += [(child, _within(child, below)) for child in node.split()]


def _within(node: Node, lines: Sequence[int]) -> Sequence[int]:
    return lines[bisect_left(lines, node.first) : bisect_left(lines, node.first + (1 << node.height))]
