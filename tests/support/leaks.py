"""Planted values, searched for in whatever a delivery leaves: decoded, as substrings, in clear and in disguise."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq

from tests.support.loadgen import Tree

# The generator puts a user's name also where an assumed role is named. Names of roles are kept: they are no
# persons, and an auditor needs them (`arn:aws:sts::<account>:assumed-role/<role>/[user]`).
ROLE = "role/"


def planted_in(tree: Tree) -> dict[str, set[str]]:
    """Kind -> planted values that really stand in what landed."""
    text = "\n".join(tree.inflated(file).decode("utf-8", "replace") for file in tree.files)
    return {kind: {v for v in values if v in text} for kind, values in tree.planted.items()}


def count(values: Iterable[str], text: str) -> int:
    """How often any of `values` stands in `text`, overlaps included."""
    found = pl.Series([text]).str.extract_many(sorted(values), overlapping=True)
    return len(found[0])


def roles(values: Iterable[str]) -> set[str]:
    """The values where each is the name of a role."""
    return {f"{ROLE}{value}" for value in values}


def disguises(value: str) -> Iterator[str]:
    """The forms of a value that anybody could undo, or recognise."""
    yield value
    yield hashlib.sha256(value.encode()).hexdigest()
    if len(value) > 8:
        yield base64.b64encode(value.encode()[: len(value) // 3 * 3]).decode()


def parquet_text(data: bytes) -> str:
    """Names, metadata and every value of every column."""
    file = pq.ParquetFile(io.BytesIO(data))
    parts = [str(file.schema_arrow), str(file.metadata.metadata)]
    for column in file.read().columns:
        values = column.to_pylist()
        parts += ["\n".join(value) if isinstance(value, list) else str(value) for value in values]
    return "\n".join(parts)


def catalog_text(path: Path) -> str:
    """Every table and view definition of a DuckDB file."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        assert tables
        parts = [str(connection.execute(f'SELECT * FROM "{name}"').fetchall()) for name in tables]
        parts.append(str(connection.execute("SELECT sql FROM duckdb_views()").fetchall()))
    return "\n".join(parts)


def zip_text(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return "\n".join(f"{name}\n{bytes_text(Path(name), data)}" for name, data in members.items())


def bytes_text(path: Path, data: bytes) -> str:
    """Stored bytes as they are, and decoded where they are compressed."""
    text = data.decode("utf-8", "replace")
    if data.startswith(b"PAR1"):
        text += parquet_text(data)
    elif data.startswith(b"PK"):
        text += zip_text(data)
    elif path.suffix == ".duckdb" and path.is_file():
        text += catalog_text(path)
    return text


def files(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): bytes_text(path, path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
