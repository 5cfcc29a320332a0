"""Inclusion proofs against the Merkle code of `sigstore`, which checks Rekor's log with it and is not ours."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore.errors import VerificationError as SigstoreError

from tasks.errors import VerificationError
from tasks.evidence import merkle

TREES = [1, 2, 3, 5, 8, 31, 32, 33, 100, 255, 256, 257, 1000]


def sigstore_accepts(body: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    inclusion = SimpleNamespace(log_index=index, tree_size=size, hashes=proof, root_hash=root)
    inner = SimpleNamespace(inclusion_proof=inclusion, canonicalized_body=body)
    try:
        verify_merkle_inclusion(cast("Any", SimpleNamespace(_inner=inner)))
    except SigstoreError:
        return False
    return True


def we_accept(body: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    try:
        merkle.verify_inclusion(merkle.leaf_hash(body), index, size, proof, root)
    except VerificationError:
        return False
    return True


@pytest.mark.parametrize("size", TREES)
def test_sigstore_accepts_our_proofs(size: int) -> None:
    chance = random.Random(size)
    bodies = [chance.randbytes(chance.randrange(80)) for _ in range(size)]
    leaves = [merkle.leaf_hash(body) for body in bodies]
    root = merkle.root(leaves)
    for index in {0, size - 1, *(chance.randrange(size) for _ in range(20))}:
        proof = merkle.inclusion_proof(leaves, index)
        assert sigstore_accepts(bodies[index], index, size, proof, root)


@pytest.mark.parametrize("size", [size for size in TREES if size > 1])
def test_both_decide_the_same_of_damaged_proofs(size: int) -> None:
    chance = random.Random(-size)
    bodies = [chance.randbytes(40) for _ in range(size)]
    leaves = [merkle.leaf_hash(body) for body in bodies]
    root = merkle.root(leaves)
    refused = 0
    for _ in range(200):
        index = chance.randrange(size)
        body, proof, stated, top = bodies[index], merkle.inclusion_proof(leaves, index), index, root
        match chance.randrange(6):
            case 0:
                stated = chance.randrange(size)
            case 1:
                proof = proof[: chance.randrange(len(proof) + 1)]
            case 2:
                proof.insert(chance.randrange(len(proof) + 1), chance.randbytes(32))
            case 3:
                chance.shuffle(proof)
            case 4:
                body += b"\x00"
            case 5:
                top = chance.randbytes(32)
        ours = we_accept(body, stated, size, proof, top)
        assert ours == sigstore_accepts(body, stated, size, proof, top)
        refused += not ours
    assert refused > 50
