"""Entries of holds and retention: one form, the same in parser, schema and verifier."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tasks.errors import VerificationError
from tasks.evidence import paths
from tasks.evidence.canonical import canonical_json
from tasks.evidence.entry import parse_entry
from tasks.verify.tree import verify
from tests.support.sealed_tree import SealedTree, example_batch

COMMON = {"format": "indelible/1", "sealed_at": "2026-11-24T10:00:00Z"}
SCOPE = {"since": None, "source": "app", "subject": None, "until": "2026-11-02"}
WHO = {"approver": "Dana Legal", "reason": "matter 7", "requested_by": "kim"}
LIST = b"".join(
    canonical_json({"path": path, "version_id": "v"}) + b"\n" for path in ("data/a", "data/b", "ledger/c")
)


def named(data: bytes = LIST, count: int = 3) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    where = {"path": paths.object_list(digest), "sha256": digest, "version_id": ""}
    return {"bytes": len(data), "count": count, **where}


HOLD = {**COMMON, **WHO, "type": "hold", "case": None, "objects": named(), "scope": SCOPE}
RELEASE = {**COMMON, **WHO, "type": "release", "hold": "2026-1"}
CLASS = {
    **COMMON, "type": "retention", "action": "class", "data_days": 366, "log_days": 732, "maximum_days": None,
    "retention_class": "standard", "rule": "contract", "scope": SCOPE,
}  # fmt: skip
EXTEND = {
    **COMMON, **WHO, "type": "retention", "action": "extend", "log_retain_until": "2041-01-02T00:00:00Z",
    "objects": named(), "retain_until": "2040-01-02T00:00:00Z", "scope": SCOPE,
}  # fmt: skip
ALL = {"hold": HOLD, "release": RELEASE, "class": CLASS, "extend": EXTEND}


def schema() -> Draft202012Validator:
    text = files("data_contracts").joinpath("delivered", "entry.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


@pytest.mark.parametrize("entry", ALL.values(), ids=ALL)
def test_an_entry_comes_back_and_satisfies_the_schema(entry: dict[str, Any]) -> None:
    assert parse_entry(canonical_json(entry)) == entry
    assert schema().is_valid(entry)


@pytest.mark.parametrize("entry", ALL.values(), ids=ALL)
def test_every_key_is_needed_and_no_other_is_allowed(entry: dict[str, Any]) -> None:
    for changed in ({**entry, "more": 1}, *({k: v for k, v in entry.items() if k != key} for key in entry)):
        with pytest.raises(VerificationError):
            parse_entry(canonical_json(changed))
        assert not schema().is_valid(changed)


@pytest.mark.parametrize(
    ("entry", "change"),
    [
        (HOLD, {"scope": {**SCOPE, "until": "2026-13-01"}}),
        (HOLD, {"scope": {**SCOPE, "more": 1}}),
        (HOLD, {"reason": ""}),
        (RELEASE, {"hold": "2026-01"}),
        (RELEASE, {"hold": 1}),
        (CLASS, {"action": "another"}),
        (CLASS, {"action": ["class"]}),
        (CLASS, {"maximum_days": -1}),
        (EXTEND, {"retain_until": "2040-01-02"}),
    ],
)
def test_parser_and_schema_refuse_the_same(entry: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(VerificationError):
        parse_entry(canonical_json(entry | change))
    assert not schema().is_valid(entry | change)


def test_nobody_approves_what_they_asked_for_and_a_list_lies_at_its_digest() -> None:
    for changed in (HOLD | {"approver": "kim"}, HOLD | {"objects": named() | {"path": "lists/x"}}):
        with pytest.raises(VerificationError, match="malformed-entry"):
            parse_entry(canonical_json(changed))


def found(*entries: dict[str, Any], lists: tuple[bytes, ...] = (LIST,)) -> set[tuple[str, str]]:
    """What the verifier says of a log with these entries from index 2 on, after a batch."""
    tree = SealedTree()
    tree.genesis()
    tree.add(example_batch("app", 0))
    tree.entries += entries
    for data in lists:
        tree.objects[paths.object_list(hashlib.sha256(data).hexdigest())] = data
    tree.seal()
    return {(f.reason, f.verdict.value) for f in verify(tree, tree.policy).findings}


def test_holds_that_are_placed_released_and_placed_again_verify() -> None:
    assert found(CLASS, HOLD, RELEASE | {"hold": "2026-3"}, HOLD, EXTEND) == set()


@pytest.mark.parametrize(
    "entries",
    [
        (RELEASE | {"hold": "2026-1"},),
        (RELEASE | {"hold": "2026-3"}, HOLD),
        (HOLD, RELEASE | {"hold": "2026-2"}, RELEASE | {"hold": "2026-2"}),
        (HOLD, RELEASE | {"hold": "2025-2"}),
    ],
)
def test_a_release_of_no_hold_in_force_is_named(entries: tuple[dict[str, Any], ...]) -> None:
    assert found(*entries) >= {("hold-unknown", "changed")}


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (LIST, 4),
        (LIST + b"\n", 4),
        (LIST[:-1], 3),
        (b"".join(reversed(LIST.splitlines(keepends=True))), 3),
        (LIST.splitlines(keepends=True)[0] * 2, 2),
        (b'{"path": "a","version_id":""}\n', 1),
        (b'{"path":"a"}\n', 1),
        (b"\xff\n", 1),
    ],
)
def test_a_list_of_another_form_is_named(data: bytes, count: int) -> None:
    assert found(HOLD | {"objects": named(data, count)}, lists=(data,)) == {("object-list", "changed")}


def test_a_list_that_is_missing_changed_or_named_by_nothing_is_told_apart() -> None:
    assert found(HOLD, lists=()) == {("object-missing", "missing")}
    assert found(CLASS) == {("object-not-named", "not-sealed-yet")}
