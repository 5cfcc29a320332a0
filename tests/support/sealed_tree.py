"""A complete small sealed tree, made from FORMAT.md with `tasks.evidence` and pyarrow, not `tasks.seal`.

A test changes it with one line. What is changed in `objects` is changed after sealing; what is changed in
`entries` before `seal()` is what an insider with the signing key would do.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.errors import NotFoundError
from tasks.evidence import merkle, paths, proof, tiles
from tasks.evidence.canonical import canonical_json
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.note import NoteSigner, make_note
from tasks.evidence.policy import Policy, parse_policy
from tasks.evidence.redaction import RedactionReport
from tasks.evidence.rows import row_leaf, salts, withhold

YEAR = 2026
ORIGIN = "audit.example/test/2026"
ROWS_PER_GROUP = 4
DAY = "2026-11-01"
CONTRACT = b"version: 1\n"
DAY_US = 1_793_491_200_000_000
SEALED_AT = "2026-11-24T10:00:00Z"

DATA_SCHEMA = pa.schema(
    [
        ("actor", pa.string()),
        ("status", pa.int64()),
        ("read_only", pa.bool_()),
        ("tags", pa.list_(pa.string())),
        ("_drop", pa.int32()),
        ("_line", pa.int64()),
        ("_offset", pa.int64()),
        ("_time", pa.timestamp("us", "UTC")),
        ("_extra", pa.string()),
    ]
)
QUARANTINE_SCHEMA = pa.schema(
    [
        ("_drop", pa.int32()),
        ("_line", pa.int64()),
        ("_offset", pa.int64()),
        ("disposition", pa.string()),
        ("rules", pa.list_(pa.string())),
        ("raw", pa.string()),
    ]
)

PERSONAL = ("_extra", "_offset", "actor")

IDENTITIES_SCHEMA = pa.schema([(name, pa.string()) for name in ("pseudonym", "field", "kid", "ciphertext")])

Row = dict[str, Any]
Hashes = list[bytes]


def signer(name: str = ORIGIN, seed: int = 7) -> NoteSigner:
    """A log's key that is the same in every run."""
    return NoteSigner(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def policy_text(key: NoteSigner) -> str:
    """A policy that trusts one log and asks for no witness."""
    return f"log {key.vkey}\nquorum none\n"


def parquet(
    rows: Sequence[Row],
    schema: pa.Schema,
    seed: bytes,
    *,
    metadata: Mapping[str, str] | None = None,
    group: int = ROWS_PER_GROUP,
) -> bytes:
    """A Parquet file of rows whose timestamps are integer microseconds."""
    columns = [pa.array([row[item.name] for row in rows], item.type) for item in schema]
    table = pa.Table.from_arrays(columns, schema=schema)
    seeds = {"indelible.salt_seed": seed.hex(), "indelible.personal_salt_seed": personal_seed(seed).hex()}
    about = seeds if metadata is None else dict(metadata)
    sink = io.BytesIO()
    # Without the Arrow schema, so that readers see Parquet's own types; metadata is then written apart.
    with pq.ParquetWriter(sink, schema, compression="zstd", store_schema=False) as writer:
        writer.write_table(table, row_group_size=group)
        writer.add_key_value_metadata(about)
    return sink.getvalue()


def personal_seed(seed: bytes) -> bytes:
    """The seed of the personal group of a file with the seed `seed`."""
    return hashlib.sha256(b"personal" + seed).digest()


def leaf_hashes(rows: Sequence[Row], seed: bytes, personal: Sequence[str] = ()) -> list[bytes]:
    """Leaf of each row, by the plain path."""
    if personal:
        hidden = personal_seed(seed)
        rows = [withhold(row, personal, salts(hidden, i, 1)) for i, row in enumerate(rows)]
    return [row_leaf(row, salts(seed, i, 1)) for i, row in enumerate(rows)]


@dataclass
class Batch:
    """Rows of one entry before they become objects; tests may change them."""

    source: str
    data: list[Row]
    aside: list[Row]
    drops: list[dict[str, Any]]
    seed: bytes
    identities: list[Row] = field(default_factory=list)
    rego: bytes | None = None


def example_batch(source: str, number: int, drops: int = 2, lines: int = 9) -> Batch:
    """Drops of `lines` lines: of each nine, one is quarantined, one a duplicate, one blank."""
    data: list[Row] = []
    aside: list[Row] = []
    ledger: list[dict[str, Any]] = []
    for drop in range(drops):
        first = len(data)
        for line in range(1, lines + 1):
            where = {"_drop": drop, "_line": line, "_offset": 100 * (line - 1)}
            outcome = {3: "quarantined", 5: "duplicate", 7: "blank"}.get(line % 9)
            if outcome is None:
                data.append(_record(source, number, drop, line) | where)
            else:
                aside.append(_set_aside(outcome) | where)
        here = [row for row in aside if row["_drop"] == drop]
        count = {
            name: sum(r["disposition"] == name for r in here)
            for name in ("quarantined", "duplicate", "blank")
        }
        ledger.append(_ledger_drop(source, number, drop, lines, count, first, len(data) - first))
    seed = hashlib.sha256(f"{source}/{number}".encode()).digest()
    return Batch(source, data, aside, ledger, seed, _identities(number))


def _record(source: str, number: int, drop: int, line: int) -> Row:
    return {
        "actor": f"{source}-é-{line}" if line % 2 else None,
        "status": 200 + line,
        "read_only": line % 2 == 0,
        "tags": ["a", None, f"t{line}"] if line % 3 else None,
        "_time": DAY_US + 1_000_000 * (1000 * number + 100 * drop + line),
        "_extra": '{"x":1.5}' if line % 4 == 0 else None,
    }


def _identities(number: int) -> list[Row]:
    """Two encrypted actors; the first batch of a tree has none."""
    pseudonyms = [f"s_{digit * 32}" for digit in "1a"] if number else []
    return [
        {"pseudonym": name, "field": "actor", "kid": f"subject/{number:032x}", "ciphertext": "AAAA"}
        for name in pseudonyms
    ]


def _set_aside(outcome: str) -> Row:
    rules = ["json.syntax"] if outcome == "quarantined" else []
    raw = "Y2lwaGVydGV4dA==" if outcome == "quarantined" else None
    return {"disposition": outcome, "rules": rules, "raw": raw}


def _ledger_drop(
    source: str, number: int, drop: int, lines: int, count: Mapping[str, int], first: int, rows: int
) -> dict[str, Any]:
    digest = hashlib.sha256(f"{source}/{number}/{drop}".encode()).hexdigest()
    return {
        "_s": digest[:32],
        "accepted": rows,
        **count,
        "bytes": 100 * lines,
        "etag": f'"{digest[:8]}"',
        "flags": [],
        "index": drop,
        "key": f"{source}/{number}/{drop}.json",
        "landed_at": DAY_US,
        "lines": lines,
        "raw_bytes": 100 * lines,
        "raw_sha256": digest,
        "rows": [[0, first, rows]] if rows else [],
        "sha256": digest,
        "version_id": None,
    }


def redaction_report(source: str, rows: int, contract: str = "") -> RedactionReport:
    """A report of `rows` accepted rows, as small as there is, by the contract with that SHA-256."""
    return {
        "canaries": {"planted": 2, "redacted": 2, "rescanned": 2},
        "contract": contract or hashlib.sha256(CONTRACT).hexdigest(),
        "fields": [{"field": "actor", "rows": rows, "treatment": "pseudonym"}],
        "format": "indelible/1",
        "hits": [],
        "leaks": [],
        "rows": rows,
        "source": source,
    }


@dataclass
class SealedTree:
    """Objects by path, and the entries that `seal` makes a signed log of."""

    key: NoteSigner = field(default_factory=signer)
    objects: dict[str, bytes] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    year: int = YEAR

    @property
    def policy(self) -> Policy:
        """The auditor's policy, from outside the tree."""
        return parse_policy(policy_text(self.key))

    def genesis(self, previous_shard: str | None = None) -> None:
        """Start the log."""
        self.entries.append(
            {
                "format": "indelible/1",
                "origin": self.key.verifier.name,
                "previous_shard": previous_shard,
                "sealed_at": SEALED_AT,
                "type": "genesis",
            }
        )

    def add(self, batch: Batch) -> dict[str, Any]:
        """Make a batch's objects and its entry, without a place in the log yet."""
        source = batch.source
        entry = {
            "contract": {
                "version": "1.0.0",
                **self._put(CONTRACT, lambda s: paths.contract(source, s)),
            },
            "files": [self._data_file(batch)] if batch.data else [],
            "format": "indelible/1",
            "gate": {
                "held": False,
                "success": True,
                **self.put(b'{"success":true}', lambda s: paths.gate(source, s)),
            },
            "keys": ["pseudonym/2026-11"],
            "leaf": "jcs-salted/2",
            "ledger": self.ledger(source, [canonical_json(drop) for drop in batch.drops]),
            "personal": list(PERSONAL),
            "identities": [self._identities_file(batch)] if batch.identities else [],
            "quarantine": [self._quarantine_file(batch)] if batch.aside else [],
            "redaction": self.put(
                canonical_json(redaction_report(source, sum(drop["accepted"] for drop in batch.drops))),
                lambda s: paths.redaction(source, s),
            ),
            "rego": self._rego(batch.rego),
            "retain_until": "2033-11-24T00:00:00Z",
            "sealed_at": SEALED_AT,
            "software": "test/1",
            "source": source,
            "sums": {
                name: sum(drop[name] for drop in batch.drops)
                for name in ("accepted", "blank", "bytes", "duplicate", "lines", "quarantined")
            }
            | {"drops": len(batch.drops)},
            "type": "seal",
        }
        self.entries.append(entry)
        return entry

    def _rego(self, policy: bytes | None) -> dict[str, Any] | None:
        if policy is None:
            return None
        return {"purpose": "audit", "tenant": "test", **self.put(policy, paths.treatment_policy)}

    def put(self, data: bytes, path: Callable[[str], str]) -> dict[str, Any]:
        """Store an object under its content address."""
        return {"bytes": len(data), **self._put(data, path)}

    def ledger(self, source: str, lines: Sequence[bytes]) -> dict[str, Any]:
        """Store a ledger."""
        facts = self.put(b"".join(line + b"\n" for line in lines), lambda s: paths.ledger(source, s))
        return {"drops": len(lines), "root": merkle.root(merkle.leaf_hashes(lines)).hex(), **facts}

    def seal(self, *checkpoint_sizes: int) -> SealedTree:
        """Chain the entries and make the log: a checkpoint at each size, by default one over all.

        Entries past the last size are left in the sequence only.
        """
        self.objects = {
            path: data for path, data in self.objects.items() if not path.startswith(self._prefix)
        }
        encoded = self._chained()
        for index, data in enumerate(encoded):
            self.objects[paths.sequence(self.year, index)] = data
        self.objects[paths.policy(self.year)] = policy_text(self.key).encode()
        old = 0
        for size in checkpoint_sizes or (len(encoded),):
            made = tiles.new_tiles(self._log_object, old, encoded[old:size])
            self.objects |= {self._prefix + path: data for path, data in made.items()}
            self.sign(size, merkle.root(merkle.leaf_hashes(encoded[:size])))
            old = size
        return self

    def sign(self, size: int, root: bytes, key: NoteSigner | None = None) -> None:
        """Store a signed checkpoint and point to it."""
        note = self.note(size, root, key)
        self.objects[paths.checkpoint_at(self.year, size)] = note
        self.objects[paths.checkpoint(self.year)] = note

    def note(self, size: int, root: bytes, key: NoteSigner | None = None) -> bytes:
        """A signed checkpoint."""
        key = key or self.key
        text = Checkpoint(key.verifier.name, size, root).text()
        return make_note(text, key.sign(text))

    def record_proof(self, batch: Batch, index: int, row: int) -> bytes:
        """Proof file of one row of the batch that is sealed as entry `index`."""
        hashes = leaf_hashes(batch.data, batch.seed, PERSONAL)
        note = self.objects[paths.checkpoint(self.year)]
        size = int(note.split(b"\n")[1])
        reader = tiles.TileReader(self._log_object, size)
        return proof.build(
            proof.RecordProof(
                record=batch.data[row],
                salt=salts(batch.seed, row, 1),
                personal_salt=salts(personal_seed(batch.seed), row, 1),
                row=row,
                row_path=merkle.inclusion_proof(hashes, row),
                file=0,
                entry=self.objects[paths.sequence(self.year, index)],
                index=index,
                entry_path=reader.inclusion_proof(index),
                checkpoint=note,
            )
        )

    def write(self, directory: Path) -> Path:
        """Write all objects below `directory`."""
        for path, data in self.objects.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_bytes(data)
        return directory

    # The read calls of `tasks.verify.readers.Reader`, so that a tree can be verified in memory.

    def read(self, path: str, version_id: str | None = None) -> bytes:
        try:
            return self.objects[path]
        except KeyError:
            raise NotFoundError(path) from None

    def size(self, path: str, version_id: str | None = None) -> int | None:
        return len(self.objects[path]) if path in self.objects else None

    def list(self, prefix: str = "") -> Iterator[str]:
        return (path for path in sorted(self.objects) if path.startswith(prefix))

    def _chained(self) -> Sequence[bytes]:
        encoded: Hashes = []
        last: dict[str, tuple[int, str]] = {}
        for index, entry in enumerate(self.entries):
            if entry["type"] == "seal":
                before = last.get(entry["source"])
                number = sum(e.get("source") == entry["source"] for e in self.entries[:index])
                previous = before and {"entry": before[0], "leaf": before[1]}
                entry = {"previous": previous, "source_seq": number} | entry
            encoded.append(canonical_json(entry))
            if entry["type"] == "seal":
                last[entry["source"]] = (index, merkle.leaf_hash(encoded[-1]).hex())
        return encoded

    def _data_file(self, batch: Batch) -> dict[str, Any]:
        times = [row["_time"] for row in batch.data]
        data = parquet(batch.data, DATA_SCHEMA, batch.seed)
        return {
            "event_date": DAY,
            "max_time": max(times),
            "min_time": min(times),
            "root": merkle.root(leaf_hashes(batch.data, batch.seed, PERSONAL)).hex(),
            "rows": len(batch.data),
            **self.put(data, lambda s: paths.data_file(batch.source, DAY, s)),
        }

    def _quarantine_file(self, batch: Batch) -> dict[str, Any]:
        data = parquet(batch.aside, QUARANTINE_SCHEMA, batch.seed)
        return {
            "root": merkle.root(leaf_hashes(batch.aside, batch.seed)).hex(),
            "rows": len(batch.aside),
            **self.put(data, lambda s: paths.quarantine_file(batch.source, s)),
        }

    def _identities_file(self, batch: Batch) -> dict[str, Any]:
        data = parquet(batch.identities, IDENTITIES_SCHEMA, batch.seed)
        return {
            "root": merkle.root(leaf_hashes(batch.identities, batch.seed)).hex(),
            "rows": len(batch.identities),
            **self.put(data, lambda s: paths.identities_file(batch.source, s)),
        }

    def _put(self, data: bytes, path: Callable[[str], str]) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        self.objects[path(digest)] = data
        return {"path": path(digest), "sha256": digest, "version_id": ""}

    @property
    def _prefix(self) -> str:
        return paths.log_prefix(self.year)

    def _log_object(self, path: str) -> bytes:
        return self.read(self._prefix + path)


def example_batches() -> list[Batch]:
    """Four batches of two sources."""
    return [
        example_batch("cloudtrail", 0),
        example_batch("gateway", 1, drops=3, lines=11),
        example_batch("cloudtrail", 2, drops=1, lines=20),
        example_batch("gateway", 3, drops=1, lines=2),
    ]


def example_tree(batches: Sequence[Batch] | None = None, sizes: Sequence[int] = (3, 5)) -> SealedTree:
    """Genesis and four seal entries of two sources, under two checkpoints."""
    tree = SealedTree()
    tree.genesis()
    for batch in example_batches() if batches is None else batches:
        tree.add(batch)
    return tree.seal(*sizes)
