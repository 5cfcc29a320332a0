"""Faults at exact moments of a delivery, and the judgement afterwards: is there one complete history?

The only fake is the fault. What is written goes through a real store, and the judgement reads what lies in
the store with the standard library alone.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, cast

import polars as pl
import pytest
import yaml

from flows import evidence, pipeline, wiring
from flows.settings import Settings
from tasks.contracts.model import Contract
from tasks.errors import AlreadyExistsError, StoreUnavailableError
from tasks.storage.local import LocalStore
from tasks.storage.protocol import ObjectInfo, ObjectStore
from tasks.verify import reasons
from tests.support import contracts, counts
from tests.support.s3 import S3

SOURCE = contracts.SOURCE
MOMENT = datetime(2026, 11, 24, 10, 0, 0, tzinfo=UTC)
SHARED_LINE = b'{"time":"2026-11-02T09:00:00Z","id":"z1","user":"sam","status":200}\n'
# Imported once, by the server that forks the processes of a test: Great Expectations alone takes seconds.
_PRELOAD = [
    "great_expectations",
    "s3fs",
    "tasks.validate.duckdb_source",
    "tasks.catalog.catalog",
    "flows.evidence",
]


@contextmanager
def remembered_gate() -> Iterator[None]:
    """The real gate, asked once for equal frames: fault tests deliver a few batches again and again."""
    from tasks.validate.gate import run_gate  # Great Expectations; killed processes never come here

    known: dict[str, tuple[bool, dict[str, Any]]] = {}

    @functools.wraps(run_gate)
    def remembered(frame: pl.DataFrame, contract: Contract) -> tuple[bool, dict[str, Any]]:
        buffer = io.BytesIO()
        frame.write_ipc(buffer)
        key = hashlib.sha256(buffer.getvalue() + contract.document).hexdigest()
        if key not in known:
            known[key] = run_gate(frame, contract)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.validate.stage.run_gate", remembered)
        yield


class ProcessDiedError(BaseException):
    """Stands for the end of the process: no handler of the production code may catch it."""


def fail() -> NoReturn:
    """The write gets no answer."""
    raise StoreUnavailableError("the store did not answer")


def die() -> NoReturn:
    """The process ends, as far as one can tell from inside of it."""
    raise ProcessDiedError


def kill() -> NoReturn:
    """The process really ends, without a chance to do anything."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a killed process went on")


@dataclass(frozen=True)
class Fault:
    """What happens at write number `at` (from 0): the object is stored or not, and then `strike`."""

    at: int
    persisted: bool
    strike: Callable[[], NoReturn]


@dataclass
class FaultyStore:
    """A real store with a fault at one of its writes.

    Attributes:
        writes: path of each write so far, that of the fault included.
        clock: what the store says the time is; None for its own.
    """

    inner: ObjectStore
    fault: Fault | None = None
    clock: datetime | None = None
    writes: list[str] = field(default_factory=list)
    dead: bool = False

    def as_store(self) -> ObjectStore:
        return cast("ObjectStore", self)

    def create(self, path: str, data: bytes, *, retain_until: datetime | None) -> ObjectInfo:
        return self._write(path, lambda: self.inner.create(path, data, retain_until=retain_until))

    def replace(self, path: str, data: bytes) -> ObjectInfo:
        return self._write(path, lambda: self.inner.replace(path, data))

    def now(self) -> datetime:
        return self.clock or self.inner.now()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _write(self, path: str, write: Callable[[], ObjectInfo]) -> ObjectInfo:
        assert not self.dead, f"a dead process wrote {path}"
        self.writes.append(path)
        if self.fault is None or self.fault.at != len(self.writes) - 1:
            return write()
        if self.fault.persisted:
            with suppress(AlreadyExistsError):
                write()
        self.dead = self.fault.strike is die
        return self.fault.strike()


def write_contract(directory: Path, document: dict[str, Any] | None = None) -> Path:
    """A directory of contracts with the small one."""
    place = directory / SOURCE
    place.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(document or contracts.document(), sort_keys=False)
    (place / "contract.odcs.yaml").write_text(text)
    return directory


def drop_text(number: int) -> bytes:
    """Three records of its own, one that every drop repeats, one broken line, one blank line."""
    own = [
        b'{"time":"2026-11-%02dT10:00:0%dZ","id":"a%d","user":"kim","status":200}\n'
        % (1 + number % 2, line, 10 * number + line)
        for line in range(3)
    ]
    return b"".join([*own, SHARED_LINE, b"broken line of drop %d\n" % number, b"\n"])


def land(directory: Path, *numbers: int) -> dict[str, bytes]:
    """Let drops land. Times are those of their numbers, so a drop has one ETag wherever it lands."""
    contents = {f"2026-11-02/{number:03d}.ndjson": drop_text(number) for number in numbers}
    for number, (key, data) in zip(numbers, contents.items(), strict=True):
        path = directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (1_795_000_000 + number,) * 2)
    return contents


def small_runtime(place: ObjectStore, base: Path, landing: Path, **sections: Any) -> wiring.Runtime:
    """A deployment of the small contract: keys and contract in `base`, the catalog where `state` says."""
    values = {
        "state": base / "state",
        "contracts": base / "contracts",
        "landing": {"uris": {SOURCE: landing.as_uri()}},
        "log": {"origin": "audit.example/faults"},
        "keys": {"directory": base / "keys"},
        "limits": {"clock_difference_s": 10**9},  # tests set the store's clock
        **sections,
    }
    return wiring.build(Settings.model_validate(values), store=place)


def seal_entries(store: ObjectStore) -> list[dict[str, Any]]:
    """All seal entries, from `seq/`."""
    found = [info.path for info in store.list("log/") if "/seq/" in info.path]
    entries = [json.loads(store.read(path)) for path in found]
    return [entry for entry in entries if entry["type"] == "seal"]


def ledger_lines(store: ObjectStore) -> list[dict[str, Any]]:
    """The lines of every ledger that an entry names."""
    return [
        json.loads(line)
        for entry in seal_entries(store)
        for line in store.read(entry["ledger"]["path"], entry["ledger"]["version_id"] or None).splitlines()
    ]


def check_history(runtime: wiring.Runtime, contents: Mapping[str, bytes], *, leftovers: bool = False) -> None:
    """Each drop is sealed once, each line is counted once, and everything proves itself.

    Args:
        runtime: the deployment after a complete run.
        contents: the drops that landed.
        leftovers: whether a run that never committed may have left objects that no entry names.
    """
    report = evidence.verify_store(runtime)
    assert report.ok, report.findings
    expected = {reasons.OBJECT_UNNAMED} if leftovers else set()
    assert {finding.reason for finding in report.findings} <= expected, report.findings
    lines = ledger_lines(runtime.store)
    assert Counter(line["key"] for line in lines) == Counter(dict.fromkeys(contents, 1))
    for line in lines:
        assert line["lines"] == counts.lines(contents[line["key"]])
    records = [text for data in contents.values() for text in data.splitlines() if text.startswith(b"{")]
    broken = [text for data in contents.values() for text in data.splitlines() if text.startswith(b"broken")]
    entries = seal_entries(runtime.store)
    sums = {name: sum(entry["sums"][name] for entry in entries) for name in entries[0]["sums"]}
    assert sums == {
        "accepted": len(set(records)),
        "duplicate": len(records) - len(set(records)),
        "quarantined": len(broken),
        "blank": len(contents),
        "lines": sum(map(counts.lines, contents.values())),
        "bytes": sum(map(len, contents.values())),
        "drops": len(contents),
    }
    assert sum(file["rows"] for entry in entries for file in entry["files"]) == sums["accepted"]


def fresh_bucket(s3: S3) -> dict[str, Any]:
    """Arguments of `S3Store` for an empty place in a bucket with Object Lock."""
    bucket, _, prefix = s3.fresh("indelible").uri.removeprefix("s3://").partition("/")
    keys = asdict(s3.server.credentials("admin"))
    return {"bucket": bucket, "prefix": prefix, "endpoint": s3.endpoint, **keys}


@dataclass(frozen=True)
class Delivery:
    """A delivery in a process of its own. Every part can be pickled.

    Attributes:
        base: see `small_runtime`.
        landing: directory where drops land.
        state: directory of this deliverer's catalog.
        directory: the store, if it is a directory.
        s3: the store otherwise: arguments of `S3Store`.
        kill_at: number of the write at which the process kills itself; None lets it live.
        persisted: whether that write is done first.
        batch_drops: most drops of a batch.
    """

    base: Path
    landing: Path
    state: Path
    directory: Path | None = None
    s3: Mapping[str, Any] | None = None
    kill_at: int | None = None
    persisted: bool = False
    batch_drops: int = 100

    def start(self) -> multiprocessing.process.BaseProcess:
        """Start the process; `exitcode` tells how it ended."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOAD)
        process = context.Process(target=_deliver, args=(self,))
        process.start()
        return process

    def store(self) -> ObjectStore:
        """The store, without a fault."""
        if self.directory is not None:
            return LocalStore(self.directory)
        from tasks.storage.s3 import S3Store

        return S3Store(**dict(self.s3 or {}))

    def runtime(self, store: ObjectStore) -> wiring.Runtime:
        """The deployment of this deliverer."""
        s3 = dict(self.s3 or {})
        reach = {name: s3[name] for name in ("endpoint", "access_key", "secret_key") if name in s3}
        limits = {"batch_drops": self.batch_drops, "clock_difference_s": 10**9}
        return small_runtime(
            store,
            self.base,
            self.landing,
            state=self.state,
            limits=limits,
            **({"store": reach} if reach else {}),
        )


def _deliver(delivery: Delivery) -> None:
    fault = None if delivery.kill_at is None else Fault(delivery.kill_at, delivery.persisted, kill)
    store = FaultyStore(delivery.store(), fault)
    pipeline.deliver(delivery.runtime(store.as_store()), SOURCE)
