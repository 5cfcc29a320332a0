"""FORMAT.md and its schemas say what the verifier does."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tasks.errors import VerificationError
from tasks.evidence import paths
from tasks.evidence import reasons as evidence_reasons
from tasks.evidence.canonical import canonical_json
from tasks.evidence.entry import parse_entry
from tasks.verify import reasons
from tests.support.sealed_tree import YEAR, example_batches, example_tree

DELIVERED = files("data_contracts").joinpath("delivered")
FORMAT = DELIVERED.joinpath("FORMAT.md").read_text(encoding="utf-8")
TREE = example_tree()
SEAL = json.loads(TREE.objects[paths.sequence(YEAR, 1)])


def schema(name: str) -> Draft202012Validator:
    document = json.loads(DELIVERED.joinpath(f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


def test_every_reason_code_is_documented_with_its_meaning_and_no_other() -> None:
    documented = dict(
        re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", FORMAT.split("### 11.3")[1].split("## 12")[0], re.M)
    )
    assert documented == {**evidence_reasons.MEANINGS, **reasons.MEANINGS}


def test_every_code_of_the_module_has_a_meaning() -> None:
    codes = {value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)}
    assert codes <= {*reasons.MEANINGS, *evidence_reasons.MEANINGS}


def test_every_verdict_is_documented() -> None:
    from tasks.verify import Verdict

    assert all(f"| `{verdict.value}` |" in FORMAT for verdict in Verdict)


@pytest.mark.parametrize("index", range(5))
def test_entries_that_the_parser_takes_satisfy_the_schema(index: int) -> None:
    data = TREE.objects[paths.sequence(YEAR, index)]
    parse_entry(data)
    assert schema("entry").is_valid(json.loads(data))


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"format": "indelible/2"},
        {"source": "a/b"},
        {"source_seq": -1},
        {"source_seq": True},
        {"sealed_at": "2026-11-24"},
        {"sums": {}},
        {"previous": {"entry": 0}},
        {"files": [{}]},
        {"type": "unknown"},
    ],
)
def test_entries_that_the_parser_refuses_break_the_schema(change: dict[str, Any]) -> None:
    entry = SEAL | change
    with pytest.raises(VerificationError):
        parse_entry(canonical_json(entry))
    assert not schema("entry").is_valid(entry)


def test_ledger_lines_satisfy_the_schema_and_other_lines_do_not() -> None:
    line = example_batches()[0].drops[0]
    assert schema("ledger").is_valid(line)
    for change in (
        {"rows": [[0, 1]]},
        {"lines": -1},
        {"sha256": "x"},
        {"more": 1},
        {"_s": ""},
        {"rows": [[0, 0, 0]]},
    ):
        assert not schema("ledger").is_valid(line | change)
