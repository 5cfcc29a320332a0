"""A deployment of the small contract on a real S3 server, for tests of retention and legal holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flows import evidence, pipeline
from flows.holding import Order
from flows.receipts import BatchReceipt, CheckpointReceipt
from flows.wiring import Runtime
from tasks.errors import StoreRefusedError
from tasks.storage.s3 import S3Store
from tests.support.faults import SOURCE, FaultyStore, small_runtime, write_contract
from tests.support.s3 import S3

ORDER = Order("Dana Legal", "kim", "matter 7")


@dataclass
class LateStore(FaultyStore):
    """A store whose clock is late: a lock of a day ends `ends_in` after it was asked for."""

    ends_in: timedelta = timedelta(days=1)

    def now(self) -> datetime:
        return self.inner.now() - timedelta(days=1) + self.ends_in


@dataclass
class Place:
    """A landing directory, a prefix of the bucket, and runs of the deployment as new processes.

    Attributes:
        clock: what runs take for the time; None for the server's.
        ends_in: how long a lock of a day lasts; see `LateStore`.
        document: the contract; None for the small one.
    """

    base: Path
    s3: S3
    store: S3Store
    clock: datetime | None = None
    ends_in: timedelta | None = None
    document: dict[str, Any] | None = None
    sections: dict[str, Any] = field(default_factory=dict)

    def runtime(self, identity: str = "admin", **sections: Any) -> Runtime:
        """A new process with somebody's credentials."""
        write_contract(self.base / "contracts", self.document)
        prefix = self.store.uri.removeprefix("s3://indelible/")
        inner = self.s3.store("indelible", prefix, identity)
        store = FaultyStore(inner, clock=self.clock)
        if self.ends_in is not None:
            store = LateStore(inner, ends_in=self.ends_in)
        given = {"store": self.s3.section(identity), **self.sections, **sections}
        return small_runtime(store.as_store(), self.base, self.base / "landing", **given)

    def land(self, name: str, day: str, *users: str) -> None:
        """One drop with one record a user."""
        path = self.base / "landing" / name
        path.parent.mkdir(exist_ok=True)
        lines = (
            {"time": f"{day}T10:00:00Z", "id": f"{name}{number}", "user": user, "status": 200}
            for number, user in enumerate(users)
        )
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def deliver(
        self, identity: str = "admin", **sections: Any
    ) -> tuple[list[BatchReceipt], CheckpointReceipt]:
        """One run."""
        return pipeline.deliver(self.runtime(identity, **sections), SOURCE)

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """Entries of a type, from the sequence."""
        found = [info.path for info in self.store.list("log/") if "/seq/" in info.path]
        entries = [json.loads(self.store.read(path)) for path in found]
        return [entry for entry in entries if entry["type"] == kind]

    def data(self) -> dict[str, tuple[str, str]]:
        """Event date -> path and version of its one data file."""
        files = [file for entry in self.entries("seal") for file in entry["files"]]
        return {file["event_date"]: (file["path"], file["version_id"]) for file in files}

    def held(self) -> set[str]:
        """Paths of all versions that the server holds."""
        infos = [v for v in self.store.list_versions() if not v.is_delete_marker]
        return {v.path for v in infos if self.store.legal_hold(v.path, v.version_id)}

    def can_delete(self, path: str, version_id: str) -> bool:
        """Whether the server deletes a version for its administrator. It is then gone."""
        try:
            self.store.delete(path, version_id)
        except StoreRefusedError:
            return False
        return True

    def check(self) -> None:
        """Everything verifies, and nothing is left over."""
        report = evidence.verify_store(self.runtime())
        assert report.findings == ()
