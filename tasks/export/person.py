"""What a person gets who asks for what is stored of them: a page to read, tables for machines, a proof of each record.

Values that only the person's own key opens are shown in clear; everything else stands as it is sealed, since it may
tell of somebody else. Put here: what the archive holds. Do not put here: who is asked for and who may ask (`flows`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import groupby, islice
from typing import Any, Final

import jinja2

from tasks.contracts.model import Contract, Treatment
from tasks.export.files import Member
from tasks.export.prove import ProvenRecord
from tasks.export.verifier import verifier_archive

PAGE: Final = "index.html"
SHOWN: Final = 100
_ROWS: Final = 5_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A spreadsheet takes a cell that begins so for a formula; what stands in logs was written by anybody.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_WORDS: Final[Mapping[Treatment, str]] = {
    "keep": "as it came",
    "drop": "not stored",
    "mask": "its shape only: every letter an x, every digit a 9",
    "truncate_ip": "the network it belongs to, without the rest of the address",
    "prefix_pseudonym": "a code in place of the address",
    "pseudonym": "a code in place of the value; the value is not stored",
    "encrypt": "a code in place of the value; the value is kept encrypted under a key of its own",
    "scan": "as it came, with personal data that was found in it replaced",
}

Value = str | list[str]


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """A record and its proof; `own` has the values behind its pseudonyms that are the person's own, by column."""

    proven: ProvenRecord
    own: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class SourceTerms:
    """Why and how long the records of a source are kept. `kept_until` is the latest lock of those concerned."""

    contract: Contract
    purpose: str
    kept_until: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the page says besides the records.

    Attributes:
        made_at: RFC 3339.
        records: how many there are.
        entry: where the access was sealed, for example `entry 12 of audit.example/acme/2026`.
        quarantined: lines that could not be read as records and contain an identifier, by source; None if nobody
            looked.
    """

    made_at: str
    records: int
    entry: str
    quarantined: Mapping[str, int] | None


@dataclass(slots=True)
class _Seen:
    terms: SourceTerms
    records: int = 0
    first: int = 1 << 62
    last: int = -(1 << 62)
    columns: set[str] = field(default_factory=set)
    shown: list[dict[str, Any]] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)


def person_members(
    records: Iterable[OwnRecord], terms: Mapping[str, SourceTerms], answer: Answer, policy: str
) -> Iterator[Member]:
    """The members of the archive, each made when it is written; the page comes last.

    Args:
        records: all records of the person, source by source.
        terms: of each of their sources.
        answer: what else the page says.
        policy: the trust policy, with which the proofs can be checked.
    """
    seen: list[_Seen] = []
    for source, of_source in groupby(records, key=lambda record: record.proven.source):
        seen.append(_Seen(terms[source]))
        yield from _of_source(source, of_source, seen[-1])
    yield Member.of("policy", policy.encode())
    yield Member.of("verifier/indelible-verify.pyz", verifier_archive())
    yield Member.of(PAGE, _page(seen, answer))


def _of_source(source: str, records: Iterator[OwnRecord], seen: _Seen) -> Iterator[Member]:
    number = 0
    while part := list(islice(records, _ROWS)):
        number += 1
        part.sort(key=lambda record: (record.proven.record["_time"], record.proven.record_id))
        rows = [_readable(record, seen.terms.contract) for record in part]
        for record, row in zip(part, rows, strict=True):
            _note(seen, record, row)
            yield Member.of(f"proofs/{record.proven.record_id}.proof", record.proven.data)
        name = f"records/{source}-{number:04d}"
        seen.tables.append(f"{name}.csv")
        yield Member.of(f"{name}.csv", _csv(part, rows, seen.terms.contract))
        yield Member.of(f"{name}.jsonl", _jsonl(part))


def _note(seen: _Seen, record: OwnRecord, row: dict[str, Any]) -> None:
    time = record.proven.record["_time"]
    seen.records += 1
    seen.first, seen.last = min(seen.first, time), max(seen.last, time)
    seen.columns.update(name for name, value in row.items() if value is not None)
    if len(seen.shown) < SHOWN:
        seen.shown.append({"row": row, "own": record.own, "id": record.proven.record_id, "time": time})


def _readable(record: OwnRecord, contract: Contract) -> dict[str, Any]:
    """The columns that a sender filled, with own values in clear and times as people write them."""
    times = {field.name for field in contract.fields if field.type == "timestamp"}
    values = {name: value for name, value in record.proven.record.items() if not name.startswith("_")}
    return {
        name: _instant(value) if name in times and isinstance(value, int) else value
        for name, value in {**values, **record.own}.items()
    }


def _csv(part: Sequence[OwnRecord], rows: Sequence[Mapping[str, Any]], contract: Contract) -> bytes:
    present = {name for row in rows for name, value in row.items() if value is not None}
    known = [field.name for field in contract.fields if field.name in present]
    names = [*known, *sorted(present.difference(known))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["record_id", *names])
    for record, row in zip(part, rows, strict=True):
        writer.writerow([record.proven.record_id, *(_cell(row.get(name)) for name in names)])
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _jsonl(records: Sequence[OwnRecord]) -> bytes:
    lines = [
        {
            "record_id": record.proven.record_id,
            "source": record.proven.source,
            "sealed_at": record.proven.sealed_at,
            "record": record.proven.record,
            "own": record.own,
        }
        for record in records
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def _page(seen: Sequence[_Seen], answer: Answer) -> bytes:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["n"] = lambda value: f"{value:,}"
    environment.filters["instant"] = _instant
    template = environment.from_string(files("tasks.export").joinpath("person.html.j2").read_text("utf-8"))
    return template.render(seen=seen, answer=answer, words=_WORDS, most=SHOWN).encode()


def _instant(microseconds: int) -> str:
    return (_EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%d %H:%M:%S UTC")
