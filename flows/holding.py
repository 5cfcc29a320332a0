"""Which object versions a legal hold covers, and keeping the store's holds as the log says.

The log is the register: a hold is in force from its entry to the entry that releases it. What is done to the
store follows from that and can be repeated. Every publication brings the store up to date; a file in the
state directory remembers how far, and where that is lost everything is asked of the store again.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.wiring import Runtime
from flows.wording import check_wording
from tasks.errors import AlreadyExistsError, NotFoundError, StoreRefusedError, UsageError
from tasks.evidence import paths
from tasks.evidence.canonical import canonical_json
from tasks.evidence.seal_entry import sealed_objects
from tasks.evidence.terms import person
from tasks.evidence.tiles import TileReader
from tasks.export.files import whole_file
from tasks.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

Version = tuple[str, str]
"""Path and version id."""
Sizes = Mapping[int, int]
"""Shard -> number of its entries under the newest checkpoint."""
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Scope:
    """What a hold or an extension covers; days are event dates, both included."""

    source: str
    since: date | None = None
    until: date | None = None
    subject: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """As it stands in an entry."""
        since, until = (None if day is None else day.isoformat() for day in (self.since, self.until))
        return {"since": since, "source": self.source, "subject": self.subject, "until": until}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Scope:
        """Of an entry."""
        since, until = (document[key] and date.fromisoformat(document[key]) for key in ("since", "until"))
        return cls(document["source"], since, until, document["subject"])


@dataclass(frozen=True, slots=True)
class Order:
    """Who decided something about what is sealed, and why."""

    approver: str
    requested_by: str
    reason: str

    def check(self) -> None:
        """Two people must agree.

        Raises:
            UsageError: a name or the reason is empty, the reason holds an identifier, or the two are one.
        """
        if not all(
            text.strip() and text.isprintable() for text in (self.approver, self.requested_by, self.reason)
        ):
            raise UsageError(
                "approver, requester and reason must be one line each", next_step="Give all of them."
            )
        if person(self.approver) == person(self.requested_by):
            raise UsageError(
                f"{self.approver} cannot approve what {self.requested_by} asks for",
                next_step="Let somebody else approve it, or name who asked with --requested-by.",
            )
        check_wording(reason=self.reason)


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold, and the entry that released it, if any."""

    shard: int
    index: int
    entry: Mapping[str, Any]
    release: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        """Its place in the logs."""
        return f"{self.shard:04d}-{self.index}"

    @property
    def scope(self) -> Scope:
        """What it covers."""
        return Scope.of(self.entry["scope"])

    def as_json(self) -> dict[str, Any]:
        """For the register."""
        kept = ("approver", "case", "reason", "requested_by", "scope", "sealed_at")
        end = self.release and {key: self.release[key] for key in ("approver", "reason", "sealed_at")}
        entry = {key: self.entry[key] for key in kept}
        return {"id": self.id, **entry, "objects": self.entry["objects"]["count"], "released": end}


def register(catalog: Catalog) -> list[Hold]:
    """All holds that were ever placed, the oldest first."""
    rows = catalog.connection.execute(
        "SELECT shard, entry, document FROM entries WHERE type IN ('hold', 'release') ORDER BY shard, entry"
    ).fetchall()
    entries = [(shard, index, json.loads(document)) for shard, index, document in rows]
    released = {entry["hold"]: entry for _, _, entry in entries if entry["type"] == "release"}
    holds = (Hold(*place) for place in entries if place[2]["type"] == "hold")
    return [Hold(h.shard, h.index, h.entry, released.get(h.id)) for h in holds]


def covered(
    store: ObjectStore, catalog: Catalog, scope: Scope, sizes: Sizes, start: Sizes | None = None
) -> set[Version]:
    """Every object version that a scope covers, as FORMAT.md, section 5.3, defines it.

    Args:
        store: tells the version ids of log objects, which no entry names.
        catalog: read to the end of the log.
        scope: what is asked for.
        sizes: only entries under these checkpoints.
        start: shard -> first entry to look at; None for all.
    """
    versions: set[Version] = set()
    logs: set[str] = set()
    proofs = cache(partial(_Proofs, store))
    for shard, index, entry, files in _matching(catalog, scope, sizes, start or {}):
        named = sealed_objects({**entry, "files": files})
        versions.update((facts["path"], facts["version_id"]) for facts in named)
        logs.update(proofs(shard).of(index))
    return versions | set(_versions(store, logs))


def covers(catalog: Catalog, scope: Scope, objects: Collection[str]) -> bool:
    """Whether a scope covers one of some objects that entries name, under a checkpoint or not."""
    sizes = dict(
        catalog.connection.execute("SELECT shard, max(entry) + 1 FROM entries GROUP BY shard").fetchall()
    )
    return any(
        facts["path"] in objects
        for *_, entry, files in _matching(catalog, scope, sizes, {})
        for facts in sealed_objects({**entry, "files": files})
    )


def keep_up(runtime: Runtime, catalog: Catalog, sizes: Sizes, *, afresh: bool = False) -> str:
    """Put holds in force on what they cover by now, and lift those that were released.

    Args:
        runtime: the deployment.
        catalog: read to the end of the log.
        sizes: newest checkpoints.
        afresh: ask the store for everything, whatever is remembered.

    Returns:
        Empty; or why it could not be done: the store refuses these credentials, or keeps no holds.
    """
    holds = register(catalog)
    if not holds:
        return ""
    memory = _Memory.of(runtime, afresh=afresh)
    try:
        _put(runtime.store, catalog, [h for h in holds if h.release is None], sizes, memory)
        _lift(runtime.store, catalog, holds, sizes, memory)
    except StoreRefusedError as error:
        return f"{error}. {error.next_step}"
    memory.write()
    return ""


def _put(store: ObjectStore, catalog: Catalog, holds: Sequence[Hold], sizes: Sizes, memory: _Memory) -> None:
    for hold in holds:
        start = memory.settled.get(hold.id, {})
        wanted = covered(store, catalog, hold.scope, sizes, start)
        if hold.id not in memory.settled:
            wanted |= _own(store, hold)
        set_holds(store, wanted, held=True)
        memory.settled[hold.id] = dict(sizes)


def _lift(store: ObjectStore, catalog: Catalog, holds: Sequence[Hold], sizes: Sizes, memory: _Memory) -> None:
    ended = [h for h in holds if h.release is not None and h.id not in memory.lifted]
    if not ended:
        return
    active = [h for h in holds if h.release is None]
    kept, freed = (
        {v for h in some for v in covered(store, catalog, h.scope, sizes) | _own(store, h)}
        for some in (active, ended)
    )
    set_holds(store, freed - kept, held=False)
    memory.lifted.extend(h.id for h in ended)


def set_holds(store: ObjectStore, versions: Iterable[Version], *, held: bool) -> None:
    """Make the legal hold of each version as it should be; those that are so already are left alone."""

    def settle(version: Version) -> None:
        if store.legal_hold(*version) != held:
            store.set_legal_hold(*version, held=held)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(settle, sorted(versions)))


def store_list(runtime: Runtime, versions: Iterable[Version], retain_until: datetime) -> dict[str, Any]:
    """Store a list of object versions, and say of it what an entry says."""
    lines = [
        canonical_json({"path": path, "version_id": version}) + b"\n" for path, version in sorted(versions)
    ]
    data = b"".join(lines)
    digest = hashlib.sha256(data).hexdigest()
    path = paths.object_list(digest)
    try:
        version_id = runtime.store.create(path, data, retain_until=retain_until).version_id
    except AlreadyExistsError:  # the same objects were listed before; that list must now stay longer
        version_id = runtime.store.head(path).version_id
        runtime.store.extend_retention(path, version_id, retain_until)
    return {
        "bytes": len(data),
        "count": len(lines),
        "path": path,
        "sha256": digest,
        "version_id": version_id,
    }


def _own(store: ObjectStore, hold: Hold) -> set[Version]:
    """The hold's own entry and list: whoever asks why an object is held needs them as long as it is."""
    named = hold.entry["objects"]
    sequence = paths.sequence(hold.shard, hold.index)
    return {(named["path"], named["version_id"]), *_versions(store, [sequence])}


def _matching(
    catalog: Catalog, scope: Scope, sizes: Sizes, start: Sizes
) -> Iterator[tuple[int, int, dict[str, Any], list[dict[str, Any]]]]:
    """Seal entries that a scope covers, in order, each with those of its data files that it covers."""
    rows = catalog.connection.execute(
        "SELECT shard, entry, document FROM entries WHERE type = 'seal' AND source = ? ORDER BY shard, entry",
        [scope.source],
    ).fetchall()
    found = []
    for shard, index, document in rows:
        if not start.get(shard, 0) <= index < sizes.get(shard, 0):
            continue
        entry = json.loads(document)
        files = [f for f in entry["files"] if _in_range(scope, f["event_date"])]
        undated = not entry["files"] and scope.subject is None and _in_range(scope, entry["sealed_at"][:10])
        if files or undated:
            found.append((shard, index, entry, files))
    if scope.subject is None:
        yield from found
        return
    holding = catalog.files_with((f["path"] for *_, files in found for f in files), scope.subject)
    for shard, index, entry, files in found:
        if chosen := [f for f in files if f["path"] in holding]:
            yield shard, index, entry, chosen


def _in_range(scope: Scope, day: str) -> bool:
    return (scope.since is None or day >= scope.since.isoformat()) and (
        scope.until is None or day <= scope.until.isoformat()
    )


class _Proofs:
    """The log objects that prove an entry: its own, the first checkpoint over it, its hash tiles there."""

    def __init__(self, store: ObjectStore, year: int) -> None:
        self._store, self._year = store, year
        listed = store.list(paths.checkpoints_prefix(year))
        self._sizes = sorted(paths.parse_number(info.path) for info in listed)
        self._tiles: dict[int, tuple[TileReader, list[str]]] = {}

    def of(self, index: int) -> list[str]:
        """Paths; the tiles are all that were read so far for entries under the same checkpoint."""
        size = self._sizes[bisect_right(self._sizes, index)]
        if size not in self._tiles:
            read: list[str] = []
            self._tiles[size] = TileReader(partial(self._read, read), size), read
        tiles, read = self._tiles[size]
        tiles.inclusion_proof(index)
        return [paths.sequence(self._year, index), paths.checkpoint_at(self._year, size), *read]

    def _read(self, read: list[str], path: str) -> bytes:
        data = self._store.read(paths.log_prefix(self._year) + path)
        read.append(paths.log_prefix(self._year) + path)
        return data


def _versions(store: ObjectStore, names: Iterable[str]) -> Iterator[Version]:
    """Every version of some objects: no entry names the one that is right, and too many do no harm.

    Raises:
        NotFoundError: one is not listed. It must be there; what a listing leaves out would go without a hold.
    """
    for name in sorted(names):
        listed = [info for info in store.list_versions(name) if info.path == name]
        found = [(name, info.version_id) for info in listed if not info.is_delete_marker]
        if not found:
            raise NotFoundError(
                f"{store.uri} lists no version of {name}",
                next_step="Run this again; if it stays so, run `indelible verify`.",
            )
        yield from found


@dataclass
class _Memory:
    """What this deployment has done in its store: hold -> shard -> entries settled; holds that were lifted."""

    path: Path
    settled: dict[str, dict[int, int]]
    lifted: list[str]

    @classmethod
    def of(cls, runtime: Runtime, *, afresh: bool) -> _Memory:
        """What is remembered of the deployment's store; nothing if that is lost or not wanted."""
        where = f"{getattr(runtime.store, 'endpoint', None)} {runtime.store.uri}"
        name = hashlib.sha256(where.encode()).hexdigest()[:32]
        path = runtime.settings.state / "holds" / f"{name}.json"
        if afresh or not path.exists():
            return cls(path, {}, [])
        document = json.loads(path.read_bytes())
        settled = {
            hold: {int(year): size for year, size in sizes.items()}
            for hold, sizes in document["settled"].items()
        }
        return cls(path, settled, document["lifted"])

    def write(self) -> None:
        """Replace the file, whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"lifted": self.lifted, "settled": self.settled}, sort_keys=True)
        with whole_file(self.path) as file:
            file.write(text.encode())
