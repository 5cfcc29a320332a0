"""Builds validated batches by hand, so that redaction can be tested without a reader."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

import polars as pl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.batch import (
    DROP,
    EXTRA,
    FINGERPRINT,
    LENGTH,
    LINE,
    OFFSET,
    TIME,
    Drop,
    Gate,
    ReadDrop,
    ValidatedBatch,
)
from tasks.contracts.model import Contract, Field
from tasks.evidence.note import NoteSigner
from tasks.keyring import Purpose

NOVEMBER = datetime(2026, 11, 3, 10, 30, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, 0, 0, tzinfo=UTC)


class FixedKeyring:
    """Keys that differ by purpose, epoch and person and are the same in every run.

    Attributes:
        places: what was noted, by source and path.
    """

    def __init__(self) -> None:
        self.places: dict[tuple[str, str], dict[str, list[int]]] = {}
        self.destroyed_lines: set[int] = set()
        self._destroyed: Counter[str] = Counter()

    def subject_ids(self, identifiers: Sequence[str]) -> list[str]:
        return [hashlib.sha256(b"index" + text.encode()).hexdigest()[:32] for text in identifiers]

    def subject_keys(self, identifiers: Sequence[str]) -> list[bytes]:
        assert len(set(identifiers)) == len(identifiers)
        keys = zip(self.subject_ids(identifiers), identifiers, strict=True)
        return [
            hashlib.sha256(f"{self._destroyed[subject]}{text}".encode()).digest() for subject, text in keys
        ]

    def destroy_subject(self, identifier: str) -> None:
        self._destroyed.update(self.subject_ids([identifier]))

    def line_keys(self, drop: str, lines: Collection[int]) -> dict[int, bytes]:
        left = set(lines) - self.destroyed_lines
        return {line: hashlib.sha256(f"{drop}{line}".encode()).digest() for line in left}

    known_line_keys = line_keys

    def note_places(self, source: str, rows: Mapping[str, Mapping[str, Sequence[int]]]) -> None:
        self.places |= {
            (source, path): {subject: list(numbers) for subject, numbers in found.items()}
            for path, found in rows.items()
        }

    def secret(self, purpose: Purpose, epoch: str = "") -> bytes:
        return hashlib.sha256(self.key_id(purpose, epoch).encode()).digest()

    def key_id(self, purpose: Purpose, epoch: str = "") -> str:
        return f"{purpose}/{epoch}" if epoch else purpose

    def signers(self, name: str) -> tuple[NoteSigner, ...]:
        return (self.signer(name),)

    def new_signer(self, name: str, number: int = 0) -> NoteSigner:
        return self.signer(name)

    def signer(self, name: str) -> NoteSigner:
        return NoteSigner(name, Ed25519PrivateKey.from_private_bytes(self.secret("salt")))


def contract(*fields: Field) -> Contract:
    return Contract(
        source="hand",
        version="1.0.0",
        document=b"",
        sha256="0" * 64,
        formats=("ndjson",),
        fields=fields,
        rules=(),
        time_field="time",
        key=(),
        drift="evolve",
        threshold_pct=5.0,
        retention_days=1,
        access_events={},
    )


def read_drop(lines: int, buffer: bytes = b"", landed: datetime = NOVEMBER) -> ReadDrop:
    digest = hashlib.sha256(buffer).hexdigest()
    listed = Drop("hand", "a.ndjson", len(buffer), "etag", None, int(landed.timestamp()) * 1_000_000)
    return ReadDrop(listed, digest, digest, len(buffer), lines, buffer)


def set_aside(rows: Sequence[tuple[int, int, int, int, str]] = ()) -> pl.DataFrame:
    """Rows of (drop, line, offset, length, disposition)."""
    schema = {DROP: pl.Int32, LINE: pl.Int64, OFFSET: pl.Int64, LENGTH: pl.Int64, "disposition": pl.String}
    frame = pl.DataFrame(list(rows), schema=schema, orient="row")
    return frame.with_columns(pl.lit(["json.syntax"], dtype=pl.List(pl.String)).alias("rules"))


def batch(
    columns: dict[str, pl.Series],
    times: Sequence[datetime] | None = None,
    extra: Sequence[str | None] | None = None,
    aside: pl.DataFrame | None = None,
    drops: Sequence[ReadDrop] | None = None,
) -> ValidatedBatch:
    """One drop whose lines are the given rows, unless drops are given."""
    height = len(next(iter(columns.values())))
    frame = pl.DataFrame(columns).with_columns(
        pl.Series(DROP, [0] * height, dtype=pl.Int32),
        pl.int_range(1, height + 1, dtype=pl.Int64, eager=True).alias(LINE),
        pl.Series(OFFSET, [0] * height, dtype=pl.Int64),
        pl.Series(LENGTH, [0] * height, dtype=pl.Int64),
        pl.Series(TIME, list(times or [NOVEMBER] * height), dtype=pl.Datetime("us", "UTC")),
        pl.Series(EXTRA, list(extra or [None] * height), dtype=pl.String),
        pl.Series(FINGERPRINT, ["f" * 32] * height, dtype=pl.String),
    )
    return ValidatedBatch(
        source="hand",
        drops=tuple(drops) if drops is not None else (read_drop(height),),
        frame=frame,
        set_aside=set_aside() if aside is None else aside,
        gate=Gate(success=True, result=b"{}"),
        violations={},
        unknown_fields={},
    )
