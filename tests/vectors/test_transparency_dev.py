"""Merkle proof checks against the vectors of transparency-dev/merkle (Apache-2.0)."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import VerificationError
from tasks.evidence import merkle
from tests.support.shared import SHARED

VECTORS = SHARED / "vectors" / "transparency-dev-merkle"


def load(kind: str) -> dict[str, dict[str, Any]]:
    files: list[Path] = sorted((VECTORS / kind).rglob("*.json"))
    return {str(file.relative_to(VECTORS)): json.loads(file.read_text()) for file in files}


def check_inclusion(case: dict[str, Any]) -> None:
    merkle.verify_inclusion(
        b64decode(case["leafHash"]),
        case["leafIdx"],
        case["treeSize"],
        [b64decode(item) for item in case["proof"] or []],
        b64decode(case["root"]),
    )


def check_subtree_inclusion(case: dict[str, Any]) -> None:
    size = case["end"] - case["start"]
    check_inclusion({**case, "leafIdx": case["leafIdx"] - case["start"], "treeSize": size})


def check_consistency(case: dict[str, Any]) -> None:
    merkle.verify_consistency(
        case["size1"],
        case["size2"],
        [b64decode(item) for item in case["proof"] or []],
        b64decode(case["root1"]),
        b64decode(case["root2"]),
    )


@pytest.mark.parametrize(
    ("kind", "count", "check"),
    [
        ("inclusion", 98, check_inclusion),
        ("consistency", 98, check_consistency),
        # A subtree that starts at a multiple of its size is a tree of its own.
        ("subtreeinclusion", 204, check_subtree_inclusion),
    ],
)
def test_every_case_is_decided_as_upstream_decides_it(
    kind: str, count: int, check: Callable[[dict[str, Any]], None]
) -> None:
    cases = load(kind)
    wrong = []
    for name, case in cases.items():
        try:
            check(case)
            refused = False
        except VerificationError:
            refused = True
        if refused != case["wantErr"]:
            wrong.append(name)
    assert len(cases) == count
    assert wrong == []


def test_a_consistency_proof_from_the_empty_tree_is_refused_even_when_it_is_empty() -> None:
    """RFC 9162 leaves size 0 open; the decision (with upstream) is to refuse what proves nothing."""
    with pytest.raises(VerificationError) as error:
        merkle.verify_consistency(0, 1, [], merkle.EMPTY_ROOT, merkle.leaf_hash(b"x"))
    assert error.value.reason == "out-of-range"
