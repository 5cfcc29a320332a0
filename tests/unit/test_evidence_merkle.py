from __future__ import annotations

import pytest

from tasks.errors import VerificationError
from tasks.evidence import merkle

LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(70)]


def test_packed_and_listed_hashes_are_the_same_tree() -> None:
    packed = b"".join(LEAVES)
    assert merkle.leaf_hashes(bytes([number]) for number in range(70)) == packed
    assert merkle.root(packed) == merkle.root(LEAVES) == merkle.root(tuple(LEAVES))
    assert merkle.inclusion_proof(packed, 33) == merkle.inclusion_proof(LEAVES, 33)
    assert merkle.consistency_proof(packed, 33) == merkle.consistency_proof(LEAVES, 33)


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert merkle.root(b"") == merkle.root([]) == merkle.EMPTY_ROOT


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 48, 63, 70])
def test_subtree_roots_are_the_roots_of_the_parts(size: int) -> None:
    leaves = LEAVES[:size]
    parts = merkle.subtree_roots(leaves, 4)
    expected = [merkle.root(leaves[start : start + 16]) for start in range(0, size, 16)]
    assert parts == b"".join(expected)
    assert merkle.root(parts) == merkle.root(leaves)


@pytest.mark.parametrize("hashes", [b"x" * 33, [b"x" * 31], [b"x" * 32, b""]])
def test_hashes_of_the_wrong_length_are_refused(hashes: bytes | list[bytes]) -> None:
    with pytest.raises(VerificationError) as error:
        merkle.root(hashes)
    assert error.value.reason == "malformed-hashes"


@pytest.mark.parametrize("index", [-1, 70, 2**70])
def test_no_proof_for_a_leaf_outside_the_tree(index: int) -> None:
    with pytest.raises(VerificationError) as error:
        merkle.inclusion_proof(LEAVES, index)
    assert error.value.reason == "out-of-range"
    with pytest.raises(VerificationError) as error:
        merkle.verify_inclusion(LEAVES[0], index, 70, [], LEAVES[0])
    assert error.value.reason == "out-of-range"


@pytest.mark.parametrize("old_size", [-1, 0, 71])
def test_no_consistency_proof_from_nothing_or_from_the_future(old_size: int) -> None:
    with pytest.raises(VerificationError) as error:
        merkle.consistency_proof(LEAVES, old_size)
    assert error.value.reason == "out-of-range"


def test_a_rewritten_tree_is_not_consistent() -> None:
    other = [merkle.leaf_hash(b"other"), *LEAVES[1:]]
    proof = merkle.consistency_proof(LEAVES, 40)
    with pytest.raises(VerificationError) as error:
        merkle.verify_consistency(40, 70, proof, merkle.root(other[:40]), merkle.root(LEAVES))
    assert error.value.reason == "consistency-proof-bad"
    assert "signed" in error.value.next_step
