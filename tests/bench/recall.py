"""How much the scan finds, and how much it alters for nothing: the tables of `infra/docs/privacy.md`.

`python -m tests.bench.recall` prints them, `--write` puts them into the page; a test holds the two together.

Recall is the share of labelled or planted values of which nothing is left. A false alarm is a value of a real log
that was altered although it holds no personal data and no credential. Every distinct e-mail, IP and user
replacement in those logs was read; secrets, AWS ids and MACs were judged by their key name and samples. `HARMLESS` is
what came out of it, and all else counts as rightly replaced.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl

from tasks.batch import EXTRA, Drop
from tasks.contracts import load_contract
from tasks.contracts.model import Field
from tasks.ingest.limits import Limits
from tasks.ingest.read import read_batch
from tasks.redact.canaries import hatch, placed
from tasks.redact.rescan import decoded, find_leaks
from tasks.redact.scan import JSON, TEXT, Scanner
from tasks.redact.treatments import scan_mode
from tasks.storage import open_store
from tests.support.shared import REAL, REPO

PAGE: Final = REPO / "infra" / "docs" / "privacy.md"
START, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
SEEDS: Final = 100
PRESIDIO: Final = REAL / "pii" / "microsoft__presidio-research" / "generated_small.json"
LOGSTOP: Final = REAL / "pii" / "ankane__logstop" / "logstop_test.rb"
LABELS: Final = {
    "CREDIT_CARD": "card",
    "EMAIL_ADDRESS": "email",
    "IP_ADDRESS": "IP address",
    "PHONE_NUMBER": "phone, any national form",
    "US_SSN": "US social security number",
}
# Words, numbers without a mark between their groups, and what stays on the host.
LEFT_OUT: Final = {"hello", "555 555 5555", "123 45 6789", "127.0.0.1"}
# Source, folder and files.
LOGS: Final = (
    ("gateway", "gateway/elastic__examples", "apache_logs"),
    ("gateway", "gateway/aws-solutions__centralized-logging-with-opensearch", "apigateway1.log"),
    ("cloudtrail", "cloudtrail/invictus-ir__aws_dataset", "*.json"),
    ("cloudtrail", "cloudtrail/umccr__cloudtrail-parquet-lambda", "*.json*"),
    ("cloudtrail", "cloudtrail/DataDog__stratus-red-team", "*.json"),
)
_MARKER: Final = re.compile(r"(\[(?:secret|user|email|ip|phone|card|iban|mac|ssn|aws_id|jwt|private_key)\])")
# Marker -> what stands before a text, the text, and what follows, where that is nobody's and no secret.
HARMLESS: Final = {
    "[ip]": re.compile(
        r".*(?:engineVersion\"\s*:\s*\"|ec2-api-tools )\x00.*|.*\x00[0-9.]+\x00/(?:[0-9]|1[0-9]|2[0-4])\b.*"
    ),
    "[user]": re.compile(r".*\"(?:owner|imageOwnerAlias)\"\s*:\s*\"\x00amazon\x00.*"),
    "[secret]": re.compile(r".*\x00HIDDEN_DUE_TO_SECURITY_REASONS\x00.*"),
}


@cache
def labelled() -> dict[str, tuple[int, int]]:
    """Kind -> (values, found) in sets that others labelled."""
    entries = json.loads(PRESIDIO.read_text())
    texts = [entry["full_text"] for entry in entries]
    (column,) = Scanner().scan([pl.Series(texts, dtype=pl.String)], TEXT)
    total: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for entry, text in zip(entries, column, strict=True):
        for span in entry["spans"]:
            if span["entity_type"] in LABELS:
                total[span["entity_type"]] += 1
                found[span["entity_type"]] += span["entity_value"] not in text
    listed = re.findall(r'^ *assert_filtered "([^"]+)"', LOGSTOP.read_text(), re.MULTILINE)
    listed = [value for value in listed if value not in LEFT_OUT]
    (column,) = Scanner().scan([pl.Series([f"begin {value} end" for value in listed])], TEXT)
    altered = sum(value not in text for value, text in zip(listed, column, strict=True))
    return {LABELS[kind]: (total[kind], found[kind]) for kind in sorted(LABELS)} | {
        "forms of logstop": (len(listed), altered)
    }


@cache
def planted() -> dict[str, tuple[int, int, int]]:
    """Structured kind -> (values, redacted, found by the re-scan), in every place where values stand."""
    items = [item for n in range(SEEDS) for item in placed(hatch(f"recall {n}".encode()))]
    texts = pl.Series("f", [text for _, _, text in items], dtype=pl.String)
    is_json = texts.str.starts_with("{")
    results = dict[int, str]()
    for mode, rows in ((JSON, is_json.arg_true()), (TEXT, (~is_json).arg_true())):
        results |= zip(rows, Scanner().scan([texts.gather(rows)], mode)[0], strict=True)
    leaks = {(int(row), leak.detector) for leak in find_leaks([texts]) for row in leak.rows}
    counts: dict[str, tuple[int, int, int]] = {}
    for row, (canary, _, _) in enumerate(items):
        total, redacted, again = counts.get(canary.kind, (0, 0, 0))
        gone = not any(canary.value in form for form in decoded(results[row]))
        counts[canary.kind] = (total + 1, redacted + gone, again + ((row, canary.kind) in leaks))
    return dict(sorted(counts.items()))


@cache
def false_alarms() -> dict[str, tuple[int, int, int]]:
    """Real log -> (values scanned, altered, altered for nothing), by log and in all logs of a source."""
    return {folder: _alarms(source, REAL / folder, pattern) for source, folder, pattern in LOGS}


def _alarms(source: str, folder: Path, pattern: str) -> tuple[int, int, int]:
    contract = load_contract(source)
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    drops = [
        Drop(source, str(path.relative_to(folder)), path.stat().st_size, "etag", None, 0) for path in files
    ]
    frame = read_batch(open_store(folder.as_uri()), contract, drops, Limits()).frame
    values = altered = harmless = 0
    for field in (*contract.fields, Field(EXTRA, "json", ((EXTRA,),), treatment="scan")):
        mode, column = scan_mode(field), frame[field.name].drop_nulls()
        if mode is None or column.dtype != pl.String:
            continue
        (result,) = Scanner().scan([column], mode)
        changed = column != result
        values += len(column)
        altered += int(changed.sum())
        pairs = zip(column.filter(changed), result.filter(changed), strict=True)
        harmless += sum(all(map(_is_harmless, _replaced(before, after))) for before, after in pairs)
    return values, altered, harmless


def _replaced(before: str, after: str) -> Iterator[tuple[str, str]]:
    """Each marker, and what it stands for in its surroundings: before NUL text NUL after."""
    parts = _MARKER.split(after)
    end = 0
    for kept, marker, following in zip(parts[::2], parts[1::2], parts[2::2], strict=False):
        start = end + len(kept)
        end = before.find(following, start) if following else len(before)
        yield (
            marker,
            f"{before[max(0, start - 30) : start]}\x00{before[start:end]}\x00{before[end : end + 10]}",
        )


def _is_harmless(replaced: tuple[str, str]) -> bool:
    marker, place = replaced
    return marker in HARMLESS and HARMLESS[marker].fullmatch(place) is not None


def tables() -> str:
    """All that was measured, as Markdown."""
    lines = [
        "| labelled sets | values | found | recall |",
        "|---|---:|---:|---:|",
        *(f"| {kind} | {n} | {found} | {found / n:.1%} |" for kind, (n, found) in labelled().items()),
        "",
        "| planted, in nine places each | values | redacted | recall | seen by the re-scan |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {k} | {n:,} | {one:,} | {one / n:.1%} | {two / n:.1%} |"
            for k, (n, one, two) in planted().items()
        ),
        "",
        "| real log | values scanned | altered | for nothing | false alarms |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {log} | {n:,} | {altered:,} | {nothing} | {nothing / n:.3%} |"
            for log, (n, altered, nothing) in false_alarms().items()
        ),
    ]
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """The page with what is measured now."""
    head, rest = text.split(START)
    return f"{head}{START}\n{tables()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(PAGE.read_text()))
    else:
        sys.stdout.write(tables())
