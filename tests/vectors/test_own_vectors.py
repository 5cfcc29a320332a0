"""Our own vectors are what the code makes now, and the verifier takes them as they lie there."""

from __future__ import annotations

import json
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import VerificationError
from tasks.evidence import merkle, proof
from tasks.evidence.policy import parse_policy
from tasks.verify.readers import DirectoryReader
from tasks.verify.tree import verify
from tests.vectors.own_vectors import FILE, PROVEN_ROW, generate

VECTORS: dict[str, Any] = json.loads(FILE.read_text())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path, data in VECTORS["objects"].items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b64decode(data))
    return tmp_path


def test_made_anew_they_are_the_same() -> None:
    """If this fails, the format has changed: it needs another name, or the change is an error."""
    assert generate().decode() == FILE.read_text()


def test_the_log_holds_under_its_policy_alone(tree: Path) -> None:
    report = verify(DirectoryReader(tree), parse_policy(VECTORS["policy"]))
    assert report.ok, report.findings
    assert report.findings == ()
    assert (report.counted["entries"], report.counted["rows"]) == (3, 8)


def test_the_witness_is_missed_until_its_line_is_there(tree: Path) -> None:
    policy = parse_policy(VECTORS["policy_with_witness"])
    note = VECTORS["checkpoint"]
    with pytest.raises(VerificationError, match="witness-quorum-missing"):
        policy.open_checkpoint(note.encode())
    assert policy.open_checkpoint((note + VECTORS["cosignature_line"]).encode()).size == 3


def test_the_proof_holds_with_and_without_the_person() -> None:
    parsed = proof.parse(VECTORS["proof"]["text"].encode())
    proof.check(parsed, parse_policy(VECTORS["policy"]))
    assert parsed.row == PROVEN_ROW
    public = proof.parse(VECTORS["proof"]["withheld"].encode())
    assert proof.check(public, parse_policy(VECTORS["policy"])) == parsed.withhold().record
    assert public.is_withheld


def test_leaves_and_roots_follow_from_their_data_by_hashing_alone() -> None:
    """Without our tree code, as somebody else would begin."""
    for file in VECTORS["files"]:
        for row in file["rows"]:
            if "personal_data" in row:
                assert sha256(b"\x02" + row["personal_data"].encode()).hexdigest() == row["personal_hash"]
                assert json.loads(row["leaf_data"])["_p"] == row["personal_hash"]
        leaves = [sha256(b"\x00" + row["leaf_data"].encode()).digest() for row in file["rows"]]
        assert [leaf.hex() for leaf in leaves] == [row["leaf"] for row in file["rows"]]
        assert plain_root(leaves).hex() == file["root"]
    leaves = [sha256(b"\x00" + entry["text"].encode()).digest() for entry in VECTORS["entries"]]
    assert b64decode(VECTORS["checkpoint"].split("\n")[2]) == plain_root(leaves) == merkle.root(leaves)


def plain_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + plain_root(leaves[:split]) + plain_root(leaves[split:])).digest()
