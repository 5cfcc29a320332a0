"""Merkle trees of RFC 6962 section 2.1 and RFC 9162 section 2.1: SHA-256, 0x00 leaves, 0x01 nodes.

A tree is given by its leaf hashes: packed (`bytes` of 32 a leaf, the fast way) or a sequence of hashes.
Which subtrees a proof consists of is said once, as leaf ranges, by `inclusion_ranges` and
`consistency_ranges`; whoever can hash a range (here from leaves, `tiles` from stored nodes) can prove.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from struct import iter_unpack
from typing import Final

from tasks.evidence.encoding import HASH_SIZE
from tasks.evidence.reasons import (
    CONSISTENCY_PROOF_BAD,
    INCLUSION_PROOF_BAD,
    MALFORMED_HASHES,
    OUT_OF_RANGE,
    failure,
)

Hashes = bytes | Sequence[bytes]
Range = tuple[int, int]

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Hash of one leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def leaf_hashes(leaves: Iterable[bytes]) -> bytes:
    """Packed hashes of many leaves."""
    sha256 = hashlib.sha256
    return b"".join([sha256(b"\x00" + leaf).digest() for leaf in leaves])


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an interior node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(hashes: Hashes) -> bytes:
    """Root of the tree over `hashes`; the hash of nothing for an empty tree."""
    level = pack(hashes)
    while len(level) > HASH_SIZE:
        level = _parents(level)
    return level or EMPTY_ROOT


def subtree_roots(hashes: Hashes, height: int) -> bytes:
    """Packed roots of the subtrees of `2**height` leaves, the last of which may be incomplete.

    `root(subtree_roots(hashes, height)) == root(hashes)`, so a tree can be built in pieces.
    """
    level = pack(hashes)
    for _ in range(height):
        level = _parents(level)
    return level


def inclusion_proof(hashes: Hashes, index: int) -> list[bytes]:
    """Siblings of leaf `index`, from the leaf to the root.

    Raises:
        VerificationError: `out-of-range`.
    """
    packed = pack(hashes)
    ranges = inclusion_ranges(index, len(packed) // HASH_SIZE)
    return [root(packed[lo * HASH_SIZE : hi * HASH_SIZE]) for lo, hi in ranges]


def consistency_proof(hashes: Hashes, old_size: int) -> list[bytes]:
    """Proof that the tree's first `old_size` leaves are the older tree.

    Raises:
        VerificationError: `out-of-range` unless `1 <= old_size <=` the number of leaves.
    """
    packed = pack(hashes)
    ranges = consistency_ranges(old_size, len(packed) // HASH_SIZE)
    return [root(packed[lo * HASH_SIZE : hi * HASH_SIZE]) for lo, hi in ranges]


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Leaf ranges whose roots are the inclusion proof (PATH of RFC 6962 section 2.1.1)."""
    if not 0 <= index < size:
        raise failure(OUT_OF_RANGE, f"leaf {index} is not in a tree of {size}")
    ranges: list[Range] = []
    lo, hi = 0, size
    while hi - lo > 1:
        middle = lo + split(hi - lo)
        if index < middle:
            ranges.append((middle, hi))
            hi = middle
        else:
            ranges.append((lo, middle))
            lo = middle
    return ranges[::-1]


def consistency_ranges(old_size: int, size: int) -> list[Range]:
    """Leaf ranges whose roots are the consistency proof (SUBPROOF of RFC 6962 section 2.1.2)."""
    if not 1 <= old_size <= size:
        raise failure(OUT_OF_RANGE, f"no consistency proof leads from size {old_size} to {size}")
    ranges: list[Range] = []
    lo, hi = 0, size
    while hi != old_size:
        middle = lo + split(hi - lo)
        if old_size <= middle:
            ranges.append((middle, hi))
            hi = middle
        else:
            ranges.append((lo, middle))
            lo = middle
    if lo > 0:
        ranges.append((lo, hi))
    return ranges[::-1]


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that `proof` leads to (RFC 9162 section 2.1.3.2).

    Raises:
        VerificationError: `out-of-range`, `malformed-hashes`, or `inclusion-proof-bad` for a proof of
            the wrong length.
    """
    pack([leaf, *proof])
    if not 0 <= index < size:
        raise failure(OUT_OF_RANGE, f"leaf {index} is not in a tree of {size}")
    node, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise failure(INCLUSION_PROOF_BAD, "the proof is too long for the tree")
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise failure(INCLUSION_PROOF_BAD, "the proof is too short for the tree")
    return result


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> None:
    """Check that leaf `index` of the tree with root `expected` has the hash `leaf`.

    Raises:
        VerificationError: `out-of-range`, `malformed-hashes` or `inclusion-proof-bad`.
    """
    if root_from_inclusion(leaf, index, size, proof) != expected:
        raise failure(INCLUSION_PROOF_BAD, f"leaf {index} does not lead to the root of size {size}")


def verify_consistency(
    old_size: int, size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Check that the tree of `size` begins with the tree of `old_size` (RFC 9162 section 2.1.4.2).

    Size 0 is refused, as transparency-dev/merkle does: every tree begins with the empty one, so such a
    proof would say nothing while its roots go unchecked. RFC 9162 leaves the case undefined.

    Raises:
        VerificationError: `out-of-range`, `malformed-hashes` or `consistency-proof-bad`.
    """
    if not 1 <= old_size <= size:
        raise failure(OUT_OF_RANGE, f"no consistency proof leads from size {old_size} to {size}")
    if old_size == size:
        if proof or old_root != new_root:
            raise failure(CONSISTENCY_PROOF_BAD, f"two roots or a needless proof for size {size}")
        return
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    pack(path)
    if not path or _replay(old_size - 1, size - 1, path) != (old_root, new_root):
        raise failure(CONSISTENCY_PROOF_BAD, f"size {old_size} is not shown to be a beginning of size {size}")


def split(size: int) -> int:
    """Largest power of two below `size` (`size >= 2`): leaves in the left subtree."""
    return 1 << (size - 1).bit_length() - 1


def pack(hashes: Hashes) -> bytes:
    """`hashes` as packed bytes.

    Raises:
        VerificationError: `malformed-hashes`.
    """
    if isinstance(hashes, bytes):
        packed = hashes
    elif all(len(item) == HASH_SIZE for item in hashes):
        packed = b"".join(hashes)
    else:
        raise failure(MALFORMED_HASHES, "a leaf hash is not 32 bytes")
    if len(packed) % HASH_SIZE:
        raise failure(MALFORMED_HASHES, "packed leaf hashes are not a multiple of 32 bytes")
    return packed


def _parents(level: bytes) -> bytes:
    """The level above; a last node without sibling is promoted as it is."""
    sha256 = hashlib.sha256
    paired = len(level) - len(level) % (2 * HASH_SIZE)
    pairs = iter_unpack("64s", memoryview(level)[:paired])
    return b"".join([sha256(b"\x01" + pair).digest() for (pair,) in pairs]) + level[paired:]


def _replay(node: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Old and new root as `path` makes them; None when its length does not fit."""
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return (old, new) if last == 0 else None
