"""Witnesses for tests: in this process, or behind HTTP on the loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from flows.witness import WitnessServer
from tasks.evidence.note import CosignatureSigner, NoteVerifier
from tasks.witness.decision import Logs
from tasks.witness.memory import Memory
from tasks.witness.service import Witness
from tests.support.logs import WITNESSED_AT, private_key


def witness_signer(name: str = "w1") -> CosignatureSigner:
    """A witness's key that is the same in every run."""
    return CosignatureSigner(f"witness.example/{name}", private_key(f"witness {name}"))


def by_origin(keys: Sequence[NoteVerifier]) -> Logs:
    return {key.name: [other for other in keys if other.name == key.name] for key in keys}


def make_witness(
    directory: Path,
    keys: Callable[[], Sequence[NoteVerifier]],
    name: str = "w1",
    clock: Callable[[], float] = lambda: WITNESSED_AT,
) -> Witness:
    """A witness whose memory lies in `directory`."""
    memory = Memory(directory / f"{name}.sqlite")
    return Witness(witness_signer(name), memory, lambda: by_origin(keys()), clock)


@contextmanager
def serving(witness: Witness, port: int = 0) -> Iterator[WitnessServer]:
    """The witness behind HTTP; nothing answers at its port afterwards."""
    with WitnessServer(("127.0.0.1", port), witness) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
