"""Generated load: real events amplified by a tool that writes beside them what is true of each file.

The generator stands outside the repository and shares no code with it, so its counts are a judge.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.counts import salvage
from tests.support.shared import SHARED

SOURCES = ("cloudtrail", "gateway", "app")
DAMAGES = frozenset({"gz-truncated", "plain-named-gz", "zero-bytes", "gz-two-members", "bom"})
# Kinds of files that no contract takes up: load balancers and applications that write no JSON.
UNREAD = frozenset({"alb", "svc-logfmt", "svc-java", "syslog", "cloudtrail-digest"})


@dataclass(frozen=True)
class Truth:
    """What the generator says of one file.

    Attributes:
        path: `<source>/<key>` below the tree.
        kind: dialect, for example `apigw`.
        sha256: of the stored bytes.
        raw_sha256: of the text, before it was compressed or damaged; a BOM is part of it.
        records: sound records; `bad` and `blank` lines come on top.
        damage: what was done to the file, or "".
        redelivered: whether it repeats another file under a new name.
    """

    path: str
    kind: str
    sha256: str
    raw_sha256: str
    records: int
    bad: int
    blank: int
    damage: str
    redelivered: bool

    @property
    def source(self) -> str:
        """First folder: the landing place."""
        return self.path.partition("/")[0]

    @property
    def lines(self) -> int:
        """Lines or records of the undamaged file."""
        return self.records + self.bad + self.blank

    @staticmethod
    def of(row: Mapping[str, Any]) -> Truth:
        damage = next((flag for flag in row["flags"] if flag in DAMAGES), "")
        return Truth(
            row["path"],
            row["source"],
            row["sha256"],
            row["sha256_raw"],
            row["records"],
            row["bad"],
            row.get("blank", 0),
            damage,
            any(flag.startswith("dup-of") for flag in row["flags"]),
        )


@dataclass(frozen=True)
class Tree:
    """A generated tree.

    Attributes:
        root: with a folder for each source.
        files: those that a contract takes up.
        planted: kind -> sensitive values that were put in.
    """

    root: Path
    files: tuple[Truth, ...]
    planted: Mapping[str, frozenset[str]]

    @property
    def landing(self) -> dict[str, Any]:
        """URI of each source's landing place."""
        return {source: (self.root / source).as_uri() for source in SOURCES}

    def inflated(self, file: Truth) -> bytes:
        """The text of a file, as far as an independent decompressor gets."""
        return salvage((self.root / file.path).read_bytes())


def generate(root: Path, seed: str, **options: float | str) -> Tree:
    """Run the generator; equal arguments give equal bytes.

    Args:
        root: directory to make.
        seed: any text.
        options: the generator's own, for example `bad_file=0.1`; True for a flag, for example `digest`.
    """
    command = [
        sys.executable,
        str(SHARED / "tools" / "loadgen.py"),
        str(root),
        "--workers",
        "1",
        "--seed",
        seed,
    ]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    subprocess.run(command, check=True, capture_output=True)
    rows = [json.loads(line) for line in (root / "_truth" / "files.jsonl").read_text().splitlines()]
    planted = defaultdict(set)
    for line in (root / "_truth" / "sensitive.jsonl").read_text().splitlines():
        entry = json.loads(line)
        planted[entry["kind"]].add(entry["value"])
    files = tuple(Truth.of(row) for row in rows if row["source"] not in UNREAD)
    return Tree(root, files, {kind: frozenset(values) for kind, values in planted.items()})
