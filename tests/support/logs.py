"""Small logs in memory, grown by the production code, for tests to read, mutate or write to disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.errors import NotFoundError
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.note import CosignatureSigner, NoteSigner, make_note
from tasks.evidence.policy import Policy, parse_policy
from tasks.evidence.tiles import TileReader, new_tiles

ORIGIN = "audit.example/acme/2026"
WITNESSED_AT = 1_790_000_000


def private_key(name: str) -> Ed25519PrivateKey:
    """A key that is the same in every run."""
    return Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())


class MemoryLog:
    """A log's objects by path, and its size."""

    def __init__(self, objects: Mapping[str, bytes] | None = None, size: int = 0) -> None:
        self.objects = dict(objects or {})
        self.size = size
        self.signer = NoteSigner(ORIGIN, private_key("log"))
        self.witness = CosignatureSigner("witness.example/w1", private_key("witness"))

    def read(self, path: str) -> bytes:
        try:
            return self.objects[path]
        except KeyError:
            raise NotFoundError(path) from None

    def grow(self, entries: Sequence[bytes]) -> None:
        self.objects |= new_tiles(self.read, self.size, entries)
        self.size += len(entries)

    def reader(self) -> TileReader:
        return TileReader(self.read, self.size)

    def checkpoint(self, *, cosigned: bool = False) -> bytes:
        text = Checkpoint(ORIGIN, self.size, self.reader().root()).text()
        cosignature = [self.witness.sign(text, WITNESSED_AT)] if cosigned else []
        return make_note(text, self.signer.sign(text), *cosignature)

    def policy(self, *, cosigned: bool = False) -> Policy:
        quorum = f"witness w1 {self.witness.vkey}\nquorum w1\n" if cosigned else "quorum none\n"
        return parse_policy(f"log {self.signer.vkey}\n{quorum}")

    def write(self, directory: Path) -> None:
        for path, data in self.objects.items():
            file = directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
