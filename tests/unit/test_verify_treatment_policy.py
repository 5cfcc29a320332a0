"""The Rego policy that an entry names is part of the evidence: altered, gone or unnamed, it is pointed out."""

from __future__ import annotations

from dataclasses import replace

from tasks.evidence.paths import treatment_policy
from tasks.verify import reasons, verify
from tests.support.sealed_tree import SealedTree, example_batches

POLICY = b'package indelible.redaction\n\ntreatment := "drop"\n'


def tree() -> SealedTree:
    made = SealedTree()
    made.genesis()
    made.add(replace(example_batches()[0], rego=POLICY))
    return made.seal()


def found(made: SealedTree) -> list[tuple[str, str]]:
    return [(finding.reason, finding.path) for finding in verify(made, made.policy).findings]


def test_a_policy_as_it_was_sealed_holds() -> None:
    made = tree()
    assert made.objects[made.entries[1]["rego"]["path"]] == POLICY
    assert found(made) == []


def test_an_altered_policy_is_pointed_out() -> None:
    made = tree()
    path = made.entries[1]["rego"]["path"]
    made.objects[path] = POLICY.replace(b"drop", b"keep")
    assert found(made) == [(reasons.OBJECT_HASH, path)]


def test_a_policy_that_is_gone_is_missing() -> None:
    made = tree()
    path = made.entries[1]["rego"]["path"]
    del made.objects[path]
    assert found(made) == [(reasons.OBJECT_MISSING, path)]


def test_a_policy_that_no_entry_names_is_no_evidence() -> None:
    made = tree()
    other = made.put(b"package other\n", treatment_policy)
    assert found(made) == [(reasons.OBJECT_UNNAMED, other["path"])]
