"""Salted leaves, trees, proofs, tiles, notes and a tlog-proof from fixed seeds: `sealed-log.json`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.evidence import merkle
from tasks.evidence.canonical import canonical_json, parse_canonical
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.note import CosignatureSigner, NoteSigner, make_note
from tasks.evidence.policy import parse_policy
from tasks.evidence.rows import column_leaves, row_leaf, salts
from tasks.evidence.tiles import TileReader, new_tiles
from tasks.evidence.tlog_proof import TlogProof, parse_tlog_proof
from tests.support.logs import MemoryLog
from tests.support.shared import SHARED

COSIGNED_AT = 0x6AB13F04


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    value: dict[str, Any] = json.loads((SHARED / "vectors" / "sealed-log.json").read_text())
    return value


@pytest.fixture(scope="module")
def leaves(vectors: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(item["leaf"]) for item in vectors["records"]]


def without_salt(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "_s"}


def test_salts_come_from_the_seed(vectors: dict[str, Any]) -> None:
    records = vectors["records"]
    seed = bytes.fromhex(vectors["salt_seed_hex"])
    expected = [bytes.fromhex(item["record"]["_s"]) for item in records]
    assert salts(seed, 0, len(records)) == b"".join(expected)
    assert [salts(seed, item["index"], 1) for item in records] == expected


def test_records_have_the_given_bytes_and_leaves(vectors: dict[str, Any]) -> None:
    for item in vectors["records"]:
        record, jcs = item["record"], bytes.fromhex(item["jcs_hex"])
        assert canonical_json(record) == jcs
        assert parse_canonical(jcs) == record
        assert row_leaf(without_salt(record), bytes.fromhex(record["_s"])).hex() == item["leaf"]


def test_columns_have_the_leaves_of_their_rows(vectors: dict[str, Any], leaves: list[bytes]) -> None:
    records = [item["record"] for item in vectors["records"]]
    columns = {name: [record[name] for record in records] for name in without_salt(records[0])}
    packed = b"".join(bytes.fromhex(record["_s"]) for record in records)
    assert column_leaves(columns, packed) == b"".join(leaves)


def test_roots(vectors: dict[str, Any], leaves: list[bytes]) -> None:
    assert {size: merkle.root(leaves[: int(size)]).hex() for size in vectors["roots"]} == vectors["roots"]


def test_inclusion_proofs(vectors: dict[str, Any], leaves: list[bytes]) -> None:
    for case in vectors["inclusion"]:
        index, size = case["index"], case["size"]
        proof = merkle.inclusion_proof(leaves[:size], index)
        assert [item.hex() for item in proof] == case["proof"]
        merkle.verify_inclusion(leaves[index], index, size, proof, bytes.fromhex(vectors["roots"][str(size)]))


def test_consistency_proofs(vectors: dict[str, Any], leaves: list[bytes]) -> None:
    roots = {int(size): bytes.fromhex(value) for size, value in vectors["roots"].items()}
    for case in vectors["consistency"]:
        old, new = case["m"], case["n"]
        proof = merkle.consistency_proof(leaves[:new], old)
        assert [item.hex() for item in proof] == case["proof"]
        merkle.verify_consistency(old, new, proof, roots[old], roots[new])


def test_tiles(vectors: dict[str, Any]) -> None:
    entries = [bytes.fromhex(item["jcs_hex"]) for item in vectors["records"]]
    made = new_tiles(MemoryLog().read, 0, entries)
    assert {path: data.hex() for path, data in made.items()} == vectors["tiles"]


def test_keys_checkpoint_and_cosignature(vectors: dict[str, Any], leaves: list[bytes]) -> None:
    log = NoteSigner("audit.example/acme/2026", seeded(vectors["log_seed_hex"]))
    witness = CosignatureSigner("witness.example/w1", seeded(vectors["witness_seed_hex"]))
    assert (log.vkey, witness.vkey) == (vectors["vkey"], vectors["wkey"])
    text = Checkpoint("audit.example/acme/2026", 9, merkle.root(leaves)).text()
    assert make_note(text, log.sign(text)).decode() == vectors["checkpoint"]
    cosigned = make_note(text, log.sign(text), witness.sign(text, COSIGNED_AT))
    assert cosigned.decode() == vectors["cosigned"]


def test_policy_accepts_the_cosigned_checkpoint(vectors: dict[str, Any], leaves: list[bytes]) -> None:
    policy = parse_policy(f"log {vectors['vkey']}\nwitness w {vectors['wkey']}\nquorum w\n")
    checkpoint = policy.open_checkpoint(vectors["cosigned"].encode())
    assert checkpoint == Checkpoint("audit.example/acme/2026", 9, merkle.root(leaves))


def test_tlog_proof(vectors: dict[str, Any], leaves: list[bytes]) -> None:
    data = vectors["tlog_proof_4"].encode()
    proof = parse_tlog_proof(data)
    assert proof == TlogProof(4, tuple(merkle.inclusion_proof(leaves, 4)), vectors["cosigned"].encode())
    assert proof.encode() == data
    log = MemoryLog({path: bytes.fromhex(text) for path, text in vectors["tiles"].items()}, 9)
    assert TileReader(log.read, 9).inclusion_proof(4) == list(proof.path)


def seeded(seed_hex: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed_hex))
