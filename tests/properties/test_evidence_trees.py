"""Trees and tiles against their definition (RFC 6962), against `pymerkle`, and against each other."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from tasks.errors import VerificationError
from tasks.evidence import merkle
from tests.support.logs import MemoryLog

ENTRIES = [b"entry %d" % number for number in range(1100)]
LEAVES = merkle.leaf_hashes(ENTRIES)
sizes = st.integers(1, len(ENTRIES))


@pytest.fixture(scope="module")
def oracle() -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    for entry in ENTRIES:
        tree.append_entry(entry)
    return tree


def leaves(size: int) -> bytes:
    return LEAVES[: 32 * size]


def definition(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, as it stands there."""
    if len(hashes) == 1:
        return hashes[0]
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    return merkle.node_hash(definition(hashes[:middle]), definition(hashes[middle:]))


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=70), st.integers(0, 8))
def test_the_root_is_the_one_of_the_definition(entries: list[bytes], height: int) -> None:
    packed = merkle.leaf_hashes(entries)
    expected = definition([merkle.leaf_hash(entry) for entry in entries])
    assert merkle.root(packed) == expected
    assert merkle.root(merkle.subtree_roots(packed, height)) == expected


@given(size=sizes, data=st.data())
@settings(max_examples=60, deadline=None)
def test_pymerkle_agrees_on_roots_and_proofs(oracle: InmemoryTree, size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    root = oracle.get_root(size)
    assert merkle.root(leaves(size)) == root
    inclusion = merkle.inclusion_proof(leaves(size), index)
    expected = list(oracle.prove_inclusion(index + 1, size).path)
    assert [merkle.leaf_hash(ENTRIES[index]), *inclusion] == expected
    merkle.verify_inclusion(merkle.leaf_hash(ENTRIES[index]), index, size, inclusion, root)
    consistency = merkle.consistency_proof(leaves(size), old)
    merkle.verify_consistency(old, size, consistency, oracle.get_root(old), root)


@given(size=sizes, data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_proof_with_one_flipped_bit_proves_nothing(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    root = merkle.root(leaves(size))

    def flipped(path: list[bytes]) -> list[bytes]:
        place, bit = data.draw(st.integers(0, len(path) * 256 - 1).map(lambda n: divmod(n, 256)))
        changed = (int.from_bytes(path[place], "big") ^ (1 << bit)).to_bytes(32, "big")
        return [*path[:place], changed, *path[place + 1 :]]

    if inclusion := merkle.inclusion_proof(leaves(size), index):
        with pytest.raises(VerificationError):
            merkle.verify_inclusion(merkle.leaf_hash(ENTRIES[index]), index, size, flipped(inclusion), root)
    if consistency := merkle.consistency_proof(leaves(size), old):
        old_root = merkle.root(leaves(old))
        with pytest.raises(VerificationError):
            merkle.verify_consistency(old, size, flipped(consistency), old_root, root)


@given(steps=st.lists(st.integers(0, 400), min_size=1, max_size=5), data=st.data())
@settings(max_examples=40, deadline=None)
def test_tiles_answer_as_the_leaves_do_however_the_log_grew(steps: list[int], data: st.DataObject) -> None:
    log = MemoryLog()
    for step in steps:
        log.grow(ENTRIES[log.size : log.size + step])
    reader = log.reader()
    assert reader.root() == merkle.root(leaves(log.size))
    assert list(reader.entries()) == ENTRIES[: log.size]
    if log.size:
        index = data.draw(st.integers(0, log.size - 1))
        assert reader.leaf_hash(index) == merkle.leaf_hash(ENTRIES[index])
        assert reader.inclusion_proof(index) == merkle.inclusion_proof(leaves(log.size), index)
        assert reader.consistency_proof(index + 1) == merkle.consistency_proof(leaves(log.size), index + 1)
