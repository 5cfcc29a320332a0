"""The scan against sets that other people labelled: what it must find, and what it must leave."""

from __future__ import annotations

import json
import re
from collections import Counter
from urllib.parse import quote_plus

import polars as pl
import pytest

from tasks.redact.scan import TEXT, Scanner
from tests.support.shared import REAL

LABELLED = REAL / "pii" / "microsoft__presidio-research" / "generated_small.json"
LOGSTOP = REAL / "pii" / "ankane__logstop" / "logstop_test.rb"
NAUGHTY = REAL / "pii" / "minimaxir__big-list-of-naughty-strings" / "blns.json"
# National phone numbers without a mark between or before their groups look like any other numbers.
RECALL = {"CREDIT_CARD": 1.0, "EMAIL_ADDRESS": 1.0, "IP_ADDRESS": 1.0, "US_SSN": 1.0, "PHONE_NUMBER": 0.7}
# Forms with spaces only are sizes and status codes in an access log; a loopback address is nobody's.
LEFT_OUT = {"555 555 5555", "123 45 6789", "hello", "127.0.0.1"}


def scan(texts: list[str]) -> list[str]:
    (column,) = Scanner().scan([pl.Series(texts, dtype=pl.String)], TEXT)
    return [str(text) for text in column]


def test_recall_on_labelled_sentences() -> None:
    entries = json.loads(LABELLED.read_text())
    total: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for entry, text in zip(entries, scan([entry["full_text"] for entry in entries]), strict=True):
        for span in entry["spans"]:
            total[span["entity_type"]] += 1
            found[span["entity_type"]] += span["entity_value"] not in text
    assert {kind: found[kind] / total[kind] >= floor for kind, floor in RECALL.items()} == dict.fromkeys(
        RECALL, True
    )


def test_no_false_alarm_on_sentences_without_personal_data() -> None:
    clean = [entry["full_text"] for entry in json.loads(LABELLED.read_text()) if not entry["spans"]]
    assert len(clean) > 5
    assert scan(clean) == clean


@pytest.mark.parametrize("encode", [str, quote_plus])
def test_forms_that_another_scrubber_finds(encode: type[str]) -> None:
    listed = re.findall(r'^ *assert_filtered "([^"]+)"', LOGSTOP.read_text(), re.MULTILINE)
    values = [value for value in listed if value not in LEFT_OUT]
    assert len(values) > 20
    texts = [f"begin {encode(value)} end" for value in values]
    missed = [text for text, result in zip(texts, scan(texts), strict=True) if text == result]
    assert missed == []


def test_naughty_strings_pass_through() -> None:
    texts = json.loads(NAUGHTY.read_text())
    results = scan(texts)
    assert len(results) == len(texts)
    assert sum(one != other for one, other in zip(texts, results, strict=True)) < len(texts) * 0.05
