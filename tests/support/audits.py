"""A small deployment to audit, on a real store, and what an operator of it can do wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from flows import pipeline
from flows.wiring import Runtime
from tasks.storage.protocol import ObjectInfo, ObjectStore
from tasks.storage.s3 import S3Store
from tests.support import contracts
from tests.support.faults import SOURCE, land, small_runtime, write_contract
from tests.support.s3 import S3

VANISHING_DAY = datetime.now(UTC).date() - timedelta(days=2)


@contextmanager
def open_gate() -> Iterator[None]:
    """No batch gate: audits look at its result as at any object, and Great Expectations takes seconds to load."""
    with pytest.MonkeyPatch.context() as patch:
        result = {"not_measured": "a test of something else", "results": [], "success": True}
        patch.setattr("tasks.validate.stage.run_gate", lambda _frame, _contract: (True, result))
        patch.setattr("tasks.validate.stage.check_agreement", lambda *_: None)
        yield


@dataclass
class UnlockedStore:
    """A store of a deliverer that was changed: it locks some objects not at all."""

    inner: ObjectStore
    unlocked: Callable[[str], bool]

    def create(self, path: str, data: bytes, *, retain_until: datetime | None) -> ObjectInfo:
        return self.inner.create(path, data, retain_until=None if self.unlocked(path) else retain_until)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def document() -> dict[str, Any]:
    """The small contract, of a source that need not deliver often."""
    content = contracts.document()
    content["slaProperties"] += [
        {"property": "frequency", "value": 300, "unit": "d"},
        {"property": "latency", "value": 1, "unit": "h"},
    ]
    contracts.set_property(content, "rhythm", {"interval": "day"})
    return content


@dataclass
class Audited:
    """A deployment of the small contract, with what a test needs to damage it."""

    base: Path
    store: ObjectStore
    settings: dict[str, Any]

    @classmethod
    def on(cls, s3: S3, base: Path, **settings: Any) -> Audited:
        """One on SeaweedFS with Object Lock."""
        return cls(base, s3.fresh("indelible", "writer"), {"store": s3.section("writer"), **settings})

    @property
    def landing(self) -> Path:
        return self.base / "landing"

    def runtime(self, store: ObjectStore | None = None) -> Runtime:
        """The deployment as a process that starts now finds it."""
        return small_runtime(store or self.store, self.base, self.landing, **self.settings)

    def deliver(self, *numbers: int, unlocked: Callable[[str], bool] = lambda _: False) -> None:
        """Seal drops."""
        if not (self.base / "contracts").exists():
            write_contract(self.base / "contracts", document())
        land(self.landing, *numbers)
        store = cast("ObjectStore", UnlockedStore(self.store, unlocked))
        pipeline.deliver(self.runtime(store), SOURCE)

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """Entries of a type, in order."""
        found = [info.path for info in self.store.list("log/") if "/seq/" in info.path]
        read = (json.loads(self.store.read(path)) for path in sorted(found))
        return [entry for entry in read if entry["type"] == kind]

    @property
    def s3(self) -> S3Store:
        assert isinstance(self.store, S3Store)
        return self.store
