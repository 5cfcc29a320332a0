"""The golden log of transparency-dev/tessera (Apache-2.0), reproduced byte for byte."""

from __future__ import annotations

from base64 import b64decode, b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.evidence import merkle
from tasks.evidence.checkpoint import Checkpoint, parse_checkpoint
from tasks.evidence.note import NoteSigner, make_note, open_note
from tasks.evidence.policy import parse_policy
from tasks.evidence.tiles import TileReader, new_tiles
from tests.support.logs import MemoryLog
from tests.support.shared import SHARED

GOLDEN = SHARED / "vectors" / "tessera-log"
ENTRIES = b"one,two,three,four,five,six,seven,eit,nain,ten,ileven,twelf,threeten,fourten,fivten".split(b",")


def signer() -> NoteSigner:
    """The key that upstream publishes with its test data: type byte and 32-byte seed."""
    key = b64decode("AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg")
    return NoteSigner("example.com/log/testdata", Ed25519PrivateKey.from_private_bytes(key[1:]))


def golden_objects() -> dict[str, bytes]:
    files = [path for path in (GOLDEN / "tile").rglob("*") if path.is_file()]
    return {str(path.relative_to(GOLDEN)): path.read_bytes() for path in files}


def golden_checkpoints() -> dict[int, bytes]:
    return {int(path.suffix[1:]): path.read_bytes() for path in GOLDEN.glob("checkpoint.*")}


def test_growing_one_entry_at_a_time_gives_the_golden_tiles() -> None:
    log = MemoryLog()
    for entry in ENTRIES:
        log.grow([entry])
    assert log.objects == golden_objects()


def test_growing_at_once_gives_the_golden_tiles_of_the_last_size_only() -> None:
    made = new_tiles(MemoryLog().read, 0, ENTRIES)
    assert made == {path: data for path, data in golden_objects().items() if path.endswith("/15")}


def test_checkpoints_are_signed_byte_for_byte() -> None:
    key = signer()
    assert key.vkey.split("+")[1] == "33d7b496"
    hashes = [merkle.leaf_hash(entry) for entry in ENTRIES]
    checkpoints = golden_checkpoints()
    assert sorted(checkpoints) == list(range(16))
    for size, golden in checkpoints.items():
        text = Checkpoint("example.com/log/testdata", size, merkle.root(hashes[:size])).text()
        assert make_note(text, key.sign(text)) == golden


def test_the_golden_log_reads_back_and_each_checkpoint_is_consistent_with_the_last() -> None:
    policy = parse_policy(f"log {signer().vkey}\nquorum none\n")
    last = policy.open_checkpoint((GOLDEN / "checkpoint").read_bytes())
    reader = TileReader(MemoryLog(golden_objects()).read, last.size)
    assert reader.root() == last.root
    assert list(reader.entries()) == ENTRIES
    for index, entry in enumerate(ENTRIES):
        proof = reader.inclusion_proof(index)
        merkle.verify_inclusion(merkle.leaf_hash(entry), index, last.size, proof, last.root)
    for size, note in golden_checkpoints().items():
        if size:
            old = parse_checkpoint(open_note(note, policy.logs).text)
            proof = reader.consistency_proof(size)
            merkle.verify_consistency(size, last.size, proof, old.root, last.root)


def test_vkey_spells_the_published_key_hash() -> None:
    public = b64encode(b"\x01" + signer().verifier.public_key).decode()
    assert signer().vkey == f"example.com/log/testdata+33d7b496+{public}"
