"""Contracts and a landing place in memory, for tests of reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import polars as pl

from tasks.batch import DROP, LENGTH, LINE, OFFSET, Drop, ReadBatch
from tasks.contracts.model import Contract, Field, FieldType, WireFormat
from tasks.ingest.limits import Limits
from tasks.ingest.read import read_batch
from tasks.storage.protocol import ObjectInfo, ObjectStore


class MemoryLanding:
    """As much of an `ObjectStore` as reading needs."""

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self.objects = dict(objects)

    def read(self, path: str, version_id: str | None = None) -> bytes:
        return self.objects[path]

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        for path in sorted(self.objects):
            yield ObjectInfo(path, "", len(self.objects[path]), "e", datetime(2026, 11, 1, tzinfo=UTC))


def field(name: str, kind: FieldType = "string", *paths: tuple[str, ...], **more: Any) -> Field:
    return Field(name, kind, paths or ((name,),), **more)


def contract(formats: tuple[WireFormat, ...], *fields: Field, **more: Any) -> Contract:
    return Contract("source", "1", b"", "", formats, fields, (), "time", (), "evolve", 1.0, 1, {}, **more)


def read(
    source: Contract, *contents: bytes, limits: Limits | None = None, names: tuple[str, ...] = ()
) -> ReadBatch:
    """Read `contents` as the drops of one batch, and check that every line is accounted for."""
    keys = names or tuple(f"drop-{i:05}" for i in range(len(contents)))
    landing = MemoryLanding(dict(zip(keys, contents, strict=True)))
    drops = [Drop("source", key, len(landing.objects[key]), "e", None, 0) for key in keys]
    batch = read_batch(cast("ObjectStore", landing), source, drops, limits or Limits())
    check_sums(batch)
    return batch


def check_sums(batch: ReadBatch) -> None:
    """Every line number of every drop occurs once, in one of the frames."""
    places = pl.concat([batch.frame.select(DROP, LINE), batch.set_aside.select(DROP, LINE)])
    found: dict[int, list[int]] = {i: [] for i in range(len(batch.drops))}
    for drop, line in places.rows():
        found[drop].append(line)
    assert {i: sorted(lines) for i, lines in found.items()} == {
        i: list(range(1, drop.lines + 1)) for i, drop in enumerate(batch.drops)
    }
    assert batch.frame.select(DROP, LINE).rows() == sorted(batch.frame.select(DROP, LINE).rows())


def rules(batch: ReadBatch) -> list[tuple[int, str]]:
    """(line, rule or disposition) of each line set aside."""
    rows = batch.set_aside.select(LINE, "disposition", "rules").rows()
    return [(line, ",".join(names) or disposition) for line, disposition, names in rows]


def slices(batch: ReadBatch, frame: pl.DataFrame) -> list[bytes]:
    """The bytes that the coordinates of `frame` point at."""
    rows = frame.select(DROP, OFFSET, LENGTH).rows()
    return [batch.drops[drop].buffer[offset : offset + length] for drop, offset, length in rows]
