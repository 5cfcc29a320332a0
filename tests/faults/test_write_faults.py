"""A fault at every single write of a delivery: afterwards one run gives the history of an undisturbed one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from flows import pipeline
from flows.wiring import Runtime
from tasks.errors import StoreUnavailableError
from tasks.storage.local import LocalStore
from tasks.storage.protocol import ObjectStore
from tests.support.faults import (
    MOMENT,
    SOURCE,
    Fault,
    FaultyStore,
    ProcessDiedError,
    check_history,
    die,
    fail,
    land,
    remembered_gate,
    small_runtime,
    write_contract,
)

FAULTS: dict[str, tuple[bool, Callable[[], NoReturn]]] = {
    "failed": (False, fail),
    "failed but persisted": (True, fail),
    "died before": (False, die),
    "died after": (True, die),
}


@dataclass
class Place:
    """Two states of one landing place, and what undisturbed runs make of them.

    Attributes:
        base: keys and contract of every run.
        first: the landing place when the disturbed run looks at it.
        later: the same place after another drop.
        writes: the writes of an undisturbed run over `first`.
        roots: log root of undisturbed runs, by the landing places that they were given in turn.
        objects: content of an undisturbed run over `first`, by path.
    """

    base: Path
    first: Path
    later: Path
    contents: dict[str, dict[str, bytes]]
    writes: list[str]
    roots: dict[tuple[str, ...], str]
    objects: dict[str, bytes]

    def deliver(self, store: FaultyStore, state: Path, landing: str) -> tuple[Runtime, str]:
        runtime = small_runtime(store.as_store(), self.base, self.base / landing, state=state)
        return runtime, pipeline.deliver(runtime, SOURCE)[1].root


def lasting(store: ObjectStore) -> dict[str, bytes]:
    """Content by path. DuckDB files are not reproducible; of a catalog only its being there counts."""
    return {
        info.path: b"" if info.path.startswith("catalog/") else store.read(info.path) for info in store.list()
    }


@pytest.fixture(scope="module", autouse=True)
def gate() -> Iterator[None]:
    with remembered_gate():
        yield


@pytest.fixture(scope="module")
def place(gate: None, tmp_path_factory: pytest.TempPathFactory) -> Place:
    base = tmp_path_factory.mktemp("faults")
    write_contract(base / "contracts")
    contents = {"first": land(base / "first", 1, 2), "later": land(base / "later", 1, 2, 3)}
    found = Place(base, base / "first", base / "later", contents, [], {}, {})
    for turns in (("first",), ("first", "later"), ("later",)):
        name = "-".join(turns)
        store = FaultyStore(LocalStore(base / f"store-{name}"), clock=MOMENT)
        for landing in turns:
            runtime, found.roots[turns] = found.deliver(store, base / f"state-{name}", landing)
        check_history(runtime, contents[turns[-1]])
        if turns == ("first",):
            found.writes, found.objects = list(store.writes), lasting(store.inner)
    return found


def strike(place: Place, fault: Fault, tmp_path: Path) -> FaultyStore:
    """A run over `first` that ends at the fault."""
    store = FaultyStore(LocalStore(tmp_path / f"store-{fault.at}"), fault, MOMENT)
    with pytest.raises((StoreUnavailableError, ProcessDiedError)):
        place.deliver(store, tmp_path / f"state-{fault.at}", "first")
    assert store.writes == place.writes[: fault.at + 1]
    return FaultyStore(store.inner, clock=MOMENT)


def test_a_delivery_has_the_writes_that_the_faults_are_meant_for(place: Place) -> None:
    kinds = [path.split("/")[0] for path in place.writes if not path.startswith("log/")]
    assert kinds == ["data", "data", "quarantine", "ledger", "gate", "redaction", "contracts", "catalog"]
    log = [path.split("/")[2] for path in place.writes if path.startswith("log/")]
    # The genesis entry, the source's retention class, a commitment to each of two keys of the month, the batch.
    assert sorted(log) == ["checkpoint", "checkpoints", "policy", *["seq"] * 5, "tile", "tile"]
    assert len(set(place.roots.values())) == len(place.roots)


@pytest.mark.parametrize("name", FAULTS)
def test_the_same_run_again_leaves_what_an_undisturbed_run_leaves(
    name: str, place: Place, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for at, path in enumerate(place.writes):
        with subtests.test(write=path):
            store = strike(place, Fault(at, *FAULTS[name]), tmp_path)
            runtime, root = place.deliver(store, tmp_path / f"state-{at}", "first")
            assert root == place.roots["first",]
            assert lasting(store.inner) == place.objects
            check_history(runtime, place.contents["first"])


@pytest.mark.parametrize("name", FAULTS)
def test_the_next_batch_after_a_fault_continues_the_one_history(
    name: str, place: Place, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    sealed = max(at for at, path in enumerate(place.writes) if "/seq/" in path)
    persisted, _ = FAULTS[name]
    for at, path in enumerate(place.writes):
        with subtests.test(write=path):
            store = strike(place, Fault(at, *FAULTS[name]), tmp_path)
            runtime, root = place.deliver(store, tmp_path / f"state-{at}", "later")
            committed = at > sealed or (at == sealed and persisted)
            assert root == place.roots[("first", "later") if committed else ("later",)]
            check_history(runtime, place.contents["later"], leftovers=not committed)
