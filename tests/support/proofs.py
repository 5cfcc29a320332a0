"""A synthetic seal entry and a record proof in a small log."""

from __future__ import annotations

from typing import Any

from tasks.evidence import merkle, paths
from tasks.evidence.entry import encode_entry
from tasks.evidence.proof import RecordProof
from tasks.evidence.rows import row_leaf, salts, withhold
from tasks.evidence.seal_entry import SealEntry
from tests.support.logs import MemoryLog

SEED = bytes(range(32))
PERSONAL_SEED = bytes(range(32, 64))
DIGEST = "ab" * 32


def seal_entry(*, root: str = DIGEST, rows: int = 1) -> SealEntry:
    """A well-formed seal entry of one data file."""
    source = "gateway"
    return {
        "contract": {
            "path": paths.contract(source, DIGEST),
            "sha256": DIGEST,
            "version": "1.0.0",
            "version_id": "",
        },
        "files": [
            {
                "bytes": 1234,
                "event_date": "2026-11-01",
                "max_time": 1_790_000_000_000_009,
                "min_time": 1_790_000_000_000_001,
                "path": paths.data_file(source, "2026-11-01", DIGEST),
                "root": root,
                "rows": rows,
                "sha256": DIGEST,
                "version_id": "v1",
            }
        ],
        "format": "indelible/1",
        "gate": {
            "bytes": 10,
            "held": False,
            "path": paths.gate(source, DIGEST),
            "sha256": DIGEST,
            "success": True,
            "version_id": "",
        },
        "identities": [
            {
                "bytes": 99,
                "path": paths.identities_file(source, DIGEST),
                "root": DIGEST,
                "rows": 2,
                "sha256": DIGEST,
                "version_id": "",
            }
        ],
        "keys": ["pseudonym/2026-11"],
        "leaf": "jcs-salted/2",
        "ledger": {
            "bytes": 10,
            "drops": 1,
            "path": paths.ledger(source, DIGEST),
            "root": DIGEST,
            "sha256": DIGEST,
            "version_id": "",
        },
        "personal": ["actor", "path"],
        "previous": {"entry": 0, "leaf": DIGEST},
        "quarantine": [
            {
                "bytes": 99,
                "path": paths.quarantine_file(source, DIGEST),
                "root": DIGEST,
                "rows": 2,
                "sha256": DIGEST,
                "version_id": "",
            }
        ],
        "redaction": {
            "bytes": 10,
            "path": paths.redaction(source, DIGEST),
            "sha256": DIGEST,
            "version_id": "",
        },
        "rego": {
            "bytes": 10,
            "path": paths.treatment_policy(DIGEST),
            "purpose": "audit",
            "sha256": DIGEST,
            "tenant": "test",
            "version_id": "",
        },
        "retain_until": "2033-11-24T00:00:00Z",
        "sealed_at": "2026-11-24T10:00:00Z",
        "software": "indelible/0.1.0",
        "source": source,
        "source_seq": 3,
        "sums": {
            "accepted": rows,
            "blank": 0,
            "bytes": 100,
            "drops": 1,
            "duplicate": 0,
            "lines": rows + 2,
            "quarantined": 2,
        },
        "type": "seal",
    }


def rows(count: int) -> list[dict[str, Any]]:
    """Synthetic sealed rows with a value of each type."""
    return [
        {
            "_drop": 0,
            "_line": number,
            "_time": 1_790_000_000_000_000 + number,
            "actor": f"psn:{number:032x}",
            "path": '/a?b="c"\\\u00e9\U0001f600',
            "ok": number % 2 == 0,
            "error": None,
            "groups": ["a", "b"],
        }
        for number in range(1, count + 1)
    ]


def record_proof(*, row: int = 3, count: int = 9, cosigned: bool = True) -> tuple[RecordProof, MemoryLog]:
    """A proof of `row` of a file of `count` rows, sealed as entry 2 of a log of 5, and this log."""
    records = rows(count)
    row_salts = [salts(SEED, number, 1) for number in range(count)]
    personal_salts = [salts(PERSONAL_SEED, number, 1) for number in range(count)]
    personal = seal_entry()["personal"]
    leaves = [
        row_leaf(withhold(record, personal, hidden), salt)
        for record, salt, hidden in zip(records, row_salts, personal_salts, strict=True)
    ]
    entry = encode_entry(seal_entry(root=merkle.root(leaves).hex(), rows=count))
    log = MemoryLog()
    log.grow([b"{}", b"[]", entry, b"1", b"2"])
    proof = RecordProof(
        record=records[row],
        salt=row_salts[row],
        personal_salt=personal_salts[row],
        row=row,
        row_path=tuple(merkle.inclusion_proof(leaves, row)),
        file=0,
        entry=entry,
        index=2,
        entry_path=tuple(log.reader().inclusion_proof(2)),
        checkpoint=log.checkpoint(cosigned=cosigned),
    )
    return proof, log
