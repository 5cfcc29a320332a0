"""Hashes of a log as it grows: the roots of all its beginnings, and the content of its tiles."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.evidence import merkle, tiles

HASH_SIZE = 32


class Frontier:
    """Roots of a tree while it grows: the complete subtrees of RFC 6962, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._subtrees: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        width, node = 1, leaf
        while self._subtrees and self._subtrees[-1][0] == width:
            node = merkle.node_hash(self._subtrees.pop()[1], node)
            width *= 2
        self._subtrees.append((width, node))
        self.size += 1

    def root(self) -> bytes:
        """Root over all leaves so far."""
        if not self._subtrees:
            return merkle.EMPTY_ROOT
        node = self._subtrees[-1][1]
        for _, left in reversed(self._subtrees[:-1]):
            node = merkle.node_hash(left, node)
        return node


def tile_levels(leaves: Sequence[bytes]) -> list[bytes]:
    """Packed hashes of each tile level: leaves, then roots of complete runs of 256."""
    levels = [b"".join(leaves)]
    run = HASH_SIZE * tiles.WIDTH
    while len(levels[-1]) >= run:
        below = levels[-1]
        levels.append(b"".join(merkle.root(below[i : i + run]) for i in range(0, len(below) - run + 1, run)))
    return levels
