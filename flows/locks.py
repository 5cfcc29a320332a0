"""Is what was sealed still locked for as long as its entry says? Asked of the store, version by version.

Hashes show that bytes are what was sealed; only the store can tell that nobody may delete them. Tiles and
entry bundles are left out: they are functions of the sequence and can be made again.
Put here: which lock each version must have. Do not put here: setting or extending locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tasks.errors import NotFoundError, StoreRefusedError, VerificationError
from tasks.evidence import paths
from tasks.evidence.entry import ObjectList, parse_entry
from tasks.evidence.terms import instant
from tasks.log import reader
from tasks.storage.protocol import ObjectInfo, ObjectStore
from tasks.verify import reasons
from tasks.verify.holds import parse_list
from tasks.verify.report import Findings

Version = tuple[str, str]
"""Path and version id."""
Versions = Mapping[str, Sequence[ObjectInfo]]
Progress = Callable[[str, int, int], None]
_AT_ONCE = 8
_ANY = datetime.min.replace(tzinfo=UTC)
_OPEN = frozenset({"access", "disposition"})  # their keys are not settled
_EXTEND = (
    "Allow these credentials s3:GetObjectRetention; if the lock is really so, extend it with "
    "`indelible retention extend` and find out who stored the object."
)


def check_locks(store: ObjectStore, versions: Versions, findings: Findings, progress: Progress) -> None:
    """Compare the COMPLIANCE lock of each sealed version with the date of the entries that rest on it.

    Looked at are the objects that entries name, the entries themselves, the checkpoints, and what an
    extension lists. What is not there at all is left to the checks of content.

    Args:
        store: a store with Object Lock; one request a version.
        versions: path -> its versions, as the store lists them.
        findings: where to report.
        progress: called with a stage, what is done and how much there is.
    """
    wanted = dict[Version, datetime]()
    for year in reader.shards(store):
        for version, until in _of_log(store, versions, year):
            wanted[version] = max(until, wanted.get(version, until))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        judged = pool.map(partial(_judge, store), wanted.keys(), wanted.values())
        for done, report in enumerate(judged):
            progress("locks", done, len(wanted))
            report(findings)
    findings.counted["locks"] += len(wanted)
    progress("locks", len(wanted), len(wanted))


def skip_locks(findings: Findings) -> None:
    """Say that nobody looked."""
    findings.unmeasured(reasons.LOCKS_SKIPPED, paths.LOG_PREFIX, "Locks were not checked, as was asked for.")


def _of_log(store: ObjectStore, versions: Versions, year: int) -> Iterator[tuple[Version, datetime]]:
    """Each version that a log vouches for, with the end of the lock that it must have at least."""
    ends: list[datetime] = []
    for path in sorted(path for path in versions if path.startswith(paths.sequence_prefix(year))):
        version = _sealed_version(versions, path)
        try:
            entry: Any = parse_entry(store.read(*version))
        except (VerificationError, NotFoundError):
            continue  # the checks of content name it
        until = _own_end(entry)
        ends.append(until)
        yield version, until
        yield from _named(store, entry)
    before = 0
    for path in sorted(path for path in versions if path.startswith(paths.checkpoints_prefix(year))):
        size = paths.parse_number(path)
        if new := ends[before:size]:
            yield _sealed_version(versions, path), max(new)
        before = size


def _named(store: ObjectStore, entry: Any) -> Iterator[tuple[Version, datetime]]:
    if entry["type"] in _OPEN:
        return
    extends = "log_retain_until" in entry
    until = _instant(entry["log_retain_until"]) if extends else _own_end(entry)
    for version in _versions_in(entry):
        yield version, until
    if extends:
        for path, version_id in _extended(store, entry["objects"]):
            end = "log_retain_until" if path.startswith(paths.LOG_PREFIX) else "retain_until"
            yield (path, version_id), _instant(entry[end])


def _own_end(entry: Any) -> datetime:
    """The date that an entry gives for itself; without one, any lock will do."""
    return _instant(entry["retain_until"]) if entry["type"] == "seal" else _ANY


def _versions_in(value: Any) -> Iterator[Version]:
    """Every object version that an entry names, whatever its type."""
    if isinstance(value, list):
        for item in value:
            yield from _versions_in(item)
    elif isinstance(value, dict):
        if "path" in value and "version_id" in value:
            yield value["path"], value["version_id"]
        for item in value.values():
            yield from _versions_in(item)


def _extended(store: ObjectStore, facts: ObjectList) -> Iterator[Version]:
    try:
        data = store.read(facts["path"], facts["version_id"] or None)
        for line in parse_list(data, facts["count"]):
            yield line["path"], line["version_id"]
    except (ValueError, VerificationError, NotFoundError):
        return  # the checks of content name it


def _judge(store: ObjectStore, version: Version, until: datetime) -> Callable[[Findings], None]:
    """Ask the store for one lock. What it means is reported by the caller's thread."""
    path, version_id = version
    try:
        lock = store.head(path, version_id or None).retain_until
    except NotFoundError:
        return lambda _: None
    except StoreRefusedError:
        sentence = "The store does not show this version to these credentials."
        return lambda findings: findings.unmeasured(reasons.LOCKS_SKIPPED, path, sentence, _EXTEND)
    if lock is None:
        sentence = "It is under no COMPLIANCE lock that these credentials may see."
        return lambda findings: findings.changed(reasons.LOCK_MISSING, path, sentence, _EXTEND)
    if lock < until:
        sentence = f"Its lock ends at {instant(lock)}; an entry gives {instant(until)}."
        return lambda findings: findings.changed(reasons.LOCK_SHORT, path, sentence, _EXTEND)
    return lambda _: None


def _sealed_version(versions: Versions, path: str) -> Version:
    """The oldest one: a create-only object has no other, and what lies above it was not sealed."""
    kept = [info for info in versions[path] if not info.is_delete_marker]
    return path, min(kept, key=lambda info: info.modified).version_id if kept else ""


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
