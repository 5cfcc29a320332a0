"""Makes our own vectors: a tiny complete sealed log from fixed seeds, so that somebody else can try a verifier.

`python -m tests.vectors.own_vectors` writes `data/indelible-1.json`. The Parquet files beside it are input and
are only written when they are absent: other writers, and other versions of this one, give other bytes.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.evidence import merkle, paths
from tasks.evidence.canonical import canonical_json
from tasks.evidence.note import CosignatureSigner, NoteSigner
from tasks.evidence.proof import build, parse
from tasks.evidence.rows import WITHHELD, salts, withhold
from tests.support.sealed_tree import (
    DATA_SCHEMA,
    DAY_US,
    IDENTITIES_SCHEMA,
    PERSONAL,
    QUARANTINE_SCHEMA,
    YEAR,
    Batch,
    Row,
    SealedTree,
    leaf_hashes,
    parquet,
    personal_seed,
)

DATA = Path(__file__).with_name("data")
FILE = DATA / "indelible-1.json"
PROVEN_ENTRY, PROVEN_ROW = 1, 2
_SEED = "indelible/1 vectors: "
_WITNESSED_AT = 1_795_514_400
_VALUES: tuple[tuple[str | None, int | None, bool | None, list[str] | None], ...] = (
    ("psn:00", 200, True, []),
    (None, None, None, None),
    ('a"b\\c\u0001\u00e9\u2028\U0001f600', -(2**53) + 1, False, ["z", "", "\u00e9"]),
    ("", 2**53 - 1, True, ["a"]),
    ("psn:04", 0, False, ["x"] * 3),
)


class _Tree(SealedTree):
    """Takes the bytes of Parquet files from the files beside the vectors."""

    def _data_file(self, batch: Batch) -> dict[str, Any]:
        times = [row["_time"] for row in batch.data]
        data = _parquet(batch, "data")
        return {
            "event_date": "2026-11-01",
            "max_time": max(times),
            "min_time": min(times),
            "root": merkle.root(leaf_hashes(batch.data, batch.seed, PERSONAL)).hex(),
            "rows": len(batch.data),
            **self.put(data, lambda s: paths.data_file(batch.source, "2026-11-01", s)),
        }

    def _quarantine_file(self, batch: Batch) -> dict[str, Any]:
        data = _parquet(batch, "quarantine")
        return {
            "root": merkle.root(leaf_hashes(batch.aside, batch.seed)).hex(),
            "rows": len(batch.aside),
            **self.put(data, lambda s: paths.quarantine_file(batch.source, s)),
        }

    def _identities_file(self, batch: Batch) -> dict[str, Any]:
        data = _parquet(batch, "identities")
        return {
            "root": merkle.root(leaf_hashes(batch.identities, batch.seed)).hex(),
            "rows": len(batch.identities),
            **self.put(data, lambda s: paths.identities_file(batch.source, s)),
        }


def generate() -> bytes:
    """The vectors, as they lie in `data/`."""
    key = NoteSigner("audit.example/vectors/2026", _private_key("log"))
    witness = CosignatureSigner("witness.example/vectors", _private_key("witness"))
    batches = [_batch(0, 5), _batch(1, 1)]
    tree = _Tree(key=key)
    tree.genesis()
    for batch in batches:
        tree.add(batch)
    tree.seal(2, 3)
    note = tree.objects[paths.checkpoint(YEAR)]
    text = note.decode().partition("\n\n")[0] + "\n"
    document = {
        "format": "indelible/1",
        "log_private_key": _seed("log").hex(),
        "witness_private_key": _seed("witness").hex(),
        "policy": f"log {key.vkey}\nquorum none\n",
        "policy_with_witness": f"log {key.vkey}\nwitness w {witness.vkey}\nquorum w\n",
        "cosignature_line": witness.sign(text, _WITNESSED_AT),
        "files": [item for batch in batches for item in _files(batch)],
        "entries": [_entry(tree, index) for index in range(3)],
        "checkpoint": note.decode(),
        "proof": {
            "entry": PROVEN_ENTRY,
            "row": PROVEN_ROW,
            "text": _as_kept("text", proof := tree.record_proof(batches[0], PROVEN_ENTRY, PROVEN_ROW)),
            "withheld": _as_kept("withheld", build(parse(proof).withhold())),
        },
        "objects": {path: b64encode(data).decode() for path, data in sorted(tree.objects.items())},
    }
    return json.dumps(document, indent=1, ensure_ascii=True).encode() + b"\n"


def _batch(number: int, rows: int) -> Batch:
    data = [
        {
            "actor": actor, "status": status, "read_only": read_only, "tags": tags,
            "_drop": 0, "_line": line, "_offset": 100 * line, "_time": DAY_US + line, "_extra": None,
        }
        for line, (actor, status, read_only, tags) in enumerate(_VALUES[:rows], 1)
    ]  # fmt: skip
    aside = [
        {
            "_drop": 0, "_line": rows + 1, "_offset": 100 * rows,
            "disposition": "quarantined", "rules": ["json.syntax"], "raw": "AAAA",
        }
    ]  # fmt: skip
    digest = hashlib.sha256(f"drop {number}".encode()).hexdigest()
    drop = {
        "_s": _seed(f"ledger {number}")[:16].hex(), "accepted": rows, "blank": 0, "bytes": 50, "duplicate": 0,
        "etag": "e", "flags": [], "index": 0, "key": f"{number}.json", "landed_at": DAY_US, "lines": rows + 1,
        "quarantined": 1, "raw_bytes": 100, "raw_sha256": digest, "rows": [[0, 0, rows]], "sha256": digest,
        "version_id": None,
    }  # fmt: skip
    identities = [
        {"pseudonym": f"s_{digit * 32}", "field": "actor", "kid": "pseudonym/2026-11", "ciphertext": "AAAA"}
        for digit in ("01" if number == 0 else "")
    ]
    return Batch("gateway", data, aside, [drop], _seed(f"salts {number}"), identities)


def _files(batch: Batch) -> list[dict[str, Any]]:
    return [
        _file("data", batch.data, batch.seed, PERSONAL),
        _file("quarantine", batch.aside, batch.seed, ()),
        *([_file("identities", batch.identities, batch.seed, ())] if batch.identities else []),
    ]


def _file(kind: str, rows: list[Row], seed: bytes, personal: tuple[str, ...]) -> dict[str, Any]:
    leaves = leaf_hashes(rows, seed, personal)
    seeds = {"salt_seed": seed.hex()} | (
        {"personal_salt_seed": personal_seed(seed).hex()} if personal else {}
    )
    items = [_row(record, row, seed, personal) for row, record in enumerate(rows)]
    return {
        "kind": kind,
        **seeds,
        "root": merkle.root(leaves).hex(),
        "rows": [item | {"leaf": leaf.hex()} for item, leaf in zip(items, leaves, strict=True)],
    }


def _row(record: Row, row: int, seed: bytes, personal: tuple[str, ...]) -> dict[str, Any]:
    salt, public, group = salts(seed, row, 1), record, {}
    if personal:
        hidden = salts(personal_seed(seed), row, 1)
        public = withhold(record, personal, hidden)
        data = canonical_json({**{name: record[name] for name in personal}, "_s": hidden.hex()})
        group = {
            "personal_salt": hidden.hex(),
            "personal_data": data.decode(),
            "personal_hash": public[WITHHELD],
        }
    return {"salt": salt.hex(), **group, "leaf_data": canonical_json({**public, "_s": salt.hex()}).decode()}


def _entry(tree: SealedTree, index: int) -> dict[str, Any]:
    data = tree.objects[paths.sequence(YEAR, index)]
    return {"index": index, "text": data.decode(), "leaf": merkle.leaf_hash(data).hex()}


def _as_kept(name: str, proof: bytes) -> str:
    """A proof as it lies in `data/`, if it says the same: other compressors deflate to other bytes."""
    kept = json.loads(FILE.read_text())["proof"].get(name, "") if FILE.exists() else ""
    return kept if kept and parse(kept.encode()) == parse(proof) else proof.decode()


def _parquet(batch: Batch, kind: str) -> bytes:
    file = DATA / f"{kind}-{len(batch.data)}.parquet"
    if not file.exists():
        rows, schema = {
            "data": (batch.data, DATA_SCHEMA),
            "quarantine": (batch.aside, QUARANTINE_SCHEMA),
            "identities": (batch.identities, IDENTITIES_SCHEMA),
        }[kind]
        file.write_bytes(parquet(rows, schema, batch.seed))
    return file.read_bytes()


def _seed(name: str) -> bytes:
    return hashlib.sha256((_SEED + name).encode()).digest()


def _private_key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_seed(name))


if __name__ == "__main__":
    FILE.write_bytes(generate())
