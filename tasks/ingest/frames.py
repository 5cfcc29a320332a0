"""Records in columns to rows of the contract: one place where all wire formats meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from tasks.batch import DROP, EXTRA, LENGTH, LINE, OFFSET, TYPE_FAULTS
from tasks.contracts.model import Contract, Field
from tasks.ingest import combined, requests
from tasks.ingest.tree import Node, Path, take_apart
from tasks.ingest.values import DTYPES, convert
from tasks.ingest.wire import NOTHING, Wire, bare, nothing

if TYPE_CHECKING:
    from tasks.ingest.units import Ints, Mask, Places

_REQUEST: Path = (requests.SOURCE,)
_PARTS: tuple[Path, ...] = tuple((name,) for name in requests.PARTS)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a contract wants of each record, worked out once for a batch.

    Attributes:
        root: all paths to read, as a tree.
        splits_requests: whether a field asks for a part of the request line.
        parents: paths below which some field must find its value, having no other place for it.
    """

    fields: tuple[Field, ...]
    root: Node
    splits_requests: bool
    parents: frozenset[Path]

    @staticmethod
    def of(contract: Contract) -> Plan:
        """The plan for `contract`."""
        paths = [path for field in contract.fields for path in field.paths]
        splits = not set(paths).isdisjoint(_PARTS)
        parents = frozenset(
            parent
            for field in contract.fields
            for parent in (field.paths[0][:depth] for depth in range(1, len(field.paths[0])))
            if all(path[: len(parent)] == parent for path in field.paths)
        )
        return Plan(contract.fields, Node.of([*paths, _REQUEST] if splits else paths), splits, parents)

    def schema(self) -> dict[str, pl.DataType]:
        """Columns and types of `ReadBatch.frame`."""
        own = {field.name: DTYPES[field.type] for field in self.fields}
        places = {DROP: pl.Int32(), LINE: pl.Int64(), OFFSET: pl.Int64(), LENGTH: pl.Int64()}
        return own | {EXTRA: pl.String(), TYPE_FAULTS: pl.List(pl.String())} | places


def json_frame(
    plan: Plan, texts: Sequence[bytes], places: Places, max_depth: int
) -> tuple[pl.DataFrame, dict[int, str]]:
    """Parse JSON records.

    Returns:
        The rows of the sound records, and index -> rule of the others.
    """
    taken = take_apart(texts, plan.root, max_depth)
    mapped = _Mapped.of(plan, taken.columns, len(texts))
    for path, rows in mapped.unwanted(taken.columns):
        taken.put_back(path, rows)
    odd = [
        (f"{'.'.join(path)}.type", np.array(rows))
        for path, rows in taken.odd_parents.items()
        if path in plan.parents
    ]
    frame = _assemble(mapped.series, taken.remainder(len(texts)), mapped.faults + odd, places)
    if taken.faults:
        sound = np.ones(len(texts), dtype=np.bool_)
        sound[list(taken.faults)] = False
        frame = frame.filter(pl.Series(sound))
    return frame, taken.faults


def combined_frame(plan: Plan, lines: pl.Series, places: Places) -> tuple[pl.DataFrame, Mask]:
    """Parse access log lines.

    Returns:
        The rows of the lines that have the format, and a mask of those that have it.
    """
    parts = combined.parse_lines(lines)
    sound = combined.is_sound(parts)
    parts, mask = parts.filter(sound), sound.to_numpy()
    columns: dict[Path, Wire] = {(name,): bare(parts[name]) for name in combined.NAMES}
    mapped = _Mapped.of(plan, columns, parts.height)
    extra = _extra(columns, mapped.unwanted(columns), parts.height)
    return _assemble(mapped.series, extra, mapped.faults, places.take(mask)), mask


@dataclass(frozen=True, slots=True)
class _Mapped:
    """Typed columns of all fields, the type faults, and which values the fields used."""

    series: list[pl.Series]
    faults: list[tuple[str, Ints]]
    wanted: dict[Path, Mask]

    @staticmethod
    def of(plan: Plan, columns: Mapping[Path, Wire], height: int) -> _Mapped:
        absent = nothing(height)
        parts = _request_parts(columns.get(_REQUEST, absent)) if plan.splits_requests else {}
        mapped = _Mapped([], [], {})
        for field in plan.fields:
            wire = mapped._first_given(field, columns, absent)
            for path in field.paths:
                if path in parts:
                    wire = wire.filled_from(parts[path])
            typed = convert(field, wire)
            mapped.series.append(typed.column)
            if typed.faults.any():
                mapped.faults.append((f"{field.name}.type", np.flatnonzero(typed.faults)))
        return mapped

    def _first_given(self, field: Field, columns: Mapping[Path, Wire], absent: Wire) -> Wire:
        """The value at the first of the field's paths that has one."""
        result = absent
        for path in field.paths:
            wire = columns.get(path, absent)
            used = wire.given() & ~result.given()
            self.wanted[path] = self.wanted[path] | used if path in self.wanted else used
            result = wire if result is absent else result.filled_from(wire)
        return result

    def unwanted(self, columns: Mapping[Path, Wire]) -> list[tuple[Path, Mask]]:
        """Paths, with the rows whose value there went into no field; a null counts where no field looks."""
        left = [
            (path, wire.given() & ~self.wanted[path] if path in self.wanted else wire.kinds != NOTHING)
            for path, wire in columns.items()
        ]
        return [(path, rows) for path, rows in left if rows.any()]


def _request_parts(request: Wire) -> dict[Path, Wire]:
    parts = requests.split_requests(request.text)
    return {(name,): bare(text) for name, text in parts.items()}


def _extra(columns: Mapping[Path, Wire], left: list[tuple[Path, Mask]], height: int) -> pl.Series:
    """Values that no field wanted, as the text of a JSON object a row."""
    rows: list[dict[str, str]] = [{} for _ in range(height if left else 0)]
    for path, mask in left:
        which = np.flatnonzero(mask)
        for i, text in zip(which.tolist(), columns[path].text.gather(which), strict=True):
            rows[i][path[0]] = text
    texts = [msgspec.json.encode(row).decode() if row else None for row in rows] or [None] * height
    return pl.Series(texts, dtype=pl.String)


def _assemble(
    series: list[pl.Series], extra: pl.Series, faults: list[tuple[str, Ints]], places: Places
) -> pl.DataFrame:
    lists = _fault_lists(faults, len(places)).alias(TYPE_FAULTS)
    return pl.DataFrame([*series, extra.alias(EXTRA), lists, *places.series()])


def _fault_lists(faults: list[tuple[str, Ints]], height: int) -> pl.Series:
    """The names of each row's faults, in the order of the contract; an empty list where there is none."""
    lists = pl.Series([[]], dtype=pl.List(pl.String)).new_from_index(0, height)
    if not faults:
        return lists
    rows = np.concatenate([indices for _, indices in faults])
    names = [name for name, indices in faults for _ in range(len(indices))]
    faulty = pl.DataFrame({"row": rows, "name": names}).group_by("row", maintain_order=True).all()
    order = np.full(height, -1, dtype=np.int64)
    order[faulty["row"].to_numpy()] = np.arange(faulty.height)
    index = pl.Series(np.where(order < 0, faulty.height, order))
    return pl.concat([faulty["name"], lists.head(1)]).gather(index)
