"""Batches in a store, sealed by the real writer from frames that a test makes: no reading, no validation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from tasks.batch import Drop, Gate, LedgerDrop, RedactedBatch, SealedBatch
from tasks.contracts.load import load_contract
from tasks.evidence import merkle
from tasks.evidence.note import NoteSigner, NoteVerifier
from tasks.log import reader, writer
from tasks.seal.seal import Retention, seal
from tasks.storage.protocol import ObjectStore
from tests.support.logs import private_key
from tests.support.sealed_tree import redaction_report

YEAR = 2026
SEALED_AT = datetime(2026, 11, 24, 10, 0, 0, tzinfo=UTC)
LATER = datetime(2040, 1, 1, tzinfo=UTC)


def signer(year: int = YEAR) -> NoteSigner:
    """The signer of a year's log, with a key of its own."""
    return NoteSigner(f"audit.example/test/{year}", private_key(f"export {year}"))


def verifiers_of(year: int) -> tuple[NoteVerifier, ...]:
    """The public keys of a year's log."""
    return (signer(year).verifier,)


SIGNER = signer()


@dataclass
class Position:
    """Where the next entry of a source goes."""

    size: int
    source_seq: int
    previous: tuple[int, str] | None


@dataclass
class SealedStore:
    """A store with one log; `clock` moves on with each batch.

    `column` names one column of the records and the values that it takes in turn; none: a pseudonym each.
    """

    store: ObjectStore
    year: int = YEAR
    until: datetime = LATER
    clock: datetime = SEALED_AT
    sealed: list[SealedBatch] = field(default_factory=list)
    column: tuple[str, Sequence[str]] = ("actor", ())

    def open(self) -> SealedStore:
        """Write the genesis entry."""
        at = self.clock.strftime("%Y-%m-%dT%H:%M:%SZ")
        writer.open_shard(self.store, self.year, signer(self.year), self.until, sealed_at=at)
        return self

    def add(
        self, source: str, day: date | None, rows: int = 3, *, rules: Sequence[str] = ("json.syntax",)
    ) -> SealedBatch:
        """Seal one drop of `rows` records on `day` (None: no record), and one line set aside a rule."""
        self.clock += timedelta(minutes=1)
        sealed = seal(
            _batch(source, day, rows if day else 0, rules, len(self.sealed), self.column),
            load_contract(source),
            self.store,
            b"k" * 32,
            year=self.year,
            locate=lambda: self._position(source),
            planned_seq=self._position(source).source_seq,
            retention=Retention(self.until, self.until),
            sealed_at=self.clock,
            software="indelible/test",
        )
        self.sealed.append(sealed)
        return sealed

    def sign(self) -> SealedStore:
        """Bring the checkpoint up to the end."""
        writer.integrate(self.store, self.year, signer(self.year), self.until)
        return self

    def _position(self, source: str) -> Position:
        entries = list(reader.sequence(self.store, self.year, 0))
        mine = [(index, data) for index, data in entries if json.loads(data).get("source") == source]
        previous = (mine[-1][0], merkle.leaf_hash(mine[-1][1]).hex()) if mine else None
        return Position(len(entries), len(mine), previous)


def _batch(
    source: str,
    day: date | None,
    rows: int,
    rules: Sequence[str],
    number: int,
    column: tuple[str, Sequence[str]],
) -> RedactedBatch:
    start = datetime.combine(day or date(2026, 1, 1), datetime.min.time(), UTC)
    row = pl.int_range(rows, eager=True)
    name, values = column
    frame = pl.DataFrame(
        {
            name: pl.Series([values[i % len(values)] for i in range(rows)], dtype=pl.String)
            if values
            else "psn:" + row.cast(pl.String),
            "ok": row % 2 == 0,
            "groups": pl.Series([["a", "b"]] * rows, dtype=pl.List(pl.String)),
            "_drop": pl.Series([0] * rows, dtype=pl.Int32),
            "_line": row + 1,
            "_offset": row * 10,
            "_extra": pl.Series([None] * rows, dtype=pl.String),
        }
    ).with_columns(_time=pl.lit(start, pl.Datetime("us", "UTC")) + pl.duration(microseconds=pl.col("_line")))
    aside = pl.DataFrame(
        [(0, rows + i + 1, rows * 10 + i, "quarantined", [rule], "q_2026-11.AAAA") for i, rule in enumerate(rules)],
        schema={
            "_drop": pl.Int32, "_line": pl.Int64, "_offset": pl.Int64,
            "disposition": pl.String, "rules": pl.List(pl.String), "raw": pl.String,
        },
        orient="row",
    )  # fmt: skip
    lines = rows + len(rules)
    ledger = LedgerDrop(
        drop=Drop(source, f"{number}.json", 10 * lines, "etag", None, 1_790_000_000_000_000),
        sha256="ab" * 32, raw_sha256="ab" * 32, raw_size=10 * lines, lines=lines,
        accepted=rows, quarantined=len(rules), duplicate=0, blank=0,
    )  # fmt: skip
    return RedactedBatch(
        source=source,
        drops=(ledger,),
        frame=frame,
        set_aside=aside,
        gate=Gate(True, _gate_result(rules)),
        violations={},
        unknown_fields={},
        keys=("pseudonym/2026-11",),
        report=redaction_report(source, rows, load_contract(source).sha256),
    )


def _gate_result(rules: Sequence[str]) -> bytes:
    results: list[Any] = [
        {"expectation_config": {"meta": {"rule": rule}}, "result": {"unexpected_count": 1}} for rule in rules
    ]
    return json.dumps({"great_expectations": {"results": results, "success": True}}).encode()
