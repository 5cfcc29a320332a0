"""Chain of custody of a source: read AWS's digest files where drops land, check, archive and seal what came out.

The digests are copied into the store as they were found, AWS's keys with them, so that nobody needs AWS, or
the landing place, to check again. Not here: what is checked (`tasks.custody`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flows import pipeline
from flows.entries import append_entry
from flows.shards import log_until
from flows.wiring import Runtime
from tasks.custody import (
    EVERYTHING,
    Checked,
    Drops,
    StoredDigest,
    Window,
    check,
    is_digest,
    named_time,
    read_keys,
)
from tasks.custody.findings import CODES
from tasks.custody.keys import MAX_KEY_FILE_BYTES
from tasks.custody.report import encode_report
from tasks.errors import AlreadyExistsError, UsageError, VerificationError
from tasks.evidence import paths
from tasks.ingest.listing import list_drops
from tasks.storage.metadata import SIDECAR, user_metadata
from tasks.storage.protocol import ObjectStore

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

KIND: Final = "cloudtrail-custody"
MAX_STORED_BYTES: Final = 64 << 20
_COUNTS: Final = ("digests", "listed", "matched", "uncovered", "unlisted", "valid")


@dataclass(frozen=True, slots=True)
class Sealed:
    """A check and where it is sealed.

    Attributes:
        checked: what was found.
        place: shard and index of the entry.
        report: path of the report.
    """

    checked: Checked
    place: tuple[int, int]
    report: str


def check_custody(
    runtime: Runtime, source: str, key_files: Sequence[Path] = (), window: Window = EVERYTHING
) -> Sealed:
    """Check a source against the digest files in its landing place, and seal the result.

    Args:
        runtime: the deployment.
        source: whose drops.
        key_files: answers of ListPublicKeys, beside those that earlier checks archived.
        window: the days to check.

    Raises:
        UsageError: there are no digest files, or a key file cannot be read.
        VerificationError: `custody-key-bad`; an archived key file is not as it was sealed.
    """
    landing = runtime.landing(source)
    archive = _Archive(runtime.store, source, log_until(runtime))
    given = [_key_file(path) for path in key_files]
    with runtime.catalog() as catalog:
        known = _archived_keys(runtime.store, catalog, source)
        keys = {path: data for path, (data, _) in known.items()}
        named = {path: facts for path, (_, facts) in known.items()}
        for data in given:
            facts = archive.keep(data, "json")
            keys[facts["path"]], named[facts["path"]] = data, facts
        rows = catalog.connection.execute("SELECT key, raw_sha256 FROM drops WHERE source = ?", [source])
        landed = [drop.key for drop in list_drops(landing, runtime.contract(source))]
        by_fingerprint = {name: key for data in keys.values() for name, key in read_keys(data).items()}
        checked = check(
            _read(landing, archive, window), by_fingerprint, Drops(rows.fetchall(), landed), window
        )
        if not checked.digests:
            raise UsageError(
                f"{landing.uri} has no digest files of these days",
                next_step="Copy AWSLogs/<account>/CloudTrail-Digest/ there too, with object metadata.",
            )
        report = archive.keep(encode_report(checked, archive.digests), "jsonl")
        body = _body(source, window, checked, report, list(named.values()), runtime.software)
        place = append_entry(runtime, catalog, "audit", body)
        pipeline.publish(runtime, catalog)
    return Sealed(checked, place, report["path"])


class _Archive:
    """What a check keeps in the store, by content."""

    def __init__(self, store: ObjectStore, source: str, until: datetime) -> None:
        self._store, self._source, self._until = store, source, until
        self.digests: dict[str, dict[str, Any]] = {}

    def keep(self, data: bytes, ending: str) -> dict[str, Any]:
        """Store bytes, unless an earlier check did, and say of them what an entry says."""
        digest = hashlib.sha256(data).hexdigest()
        path = paths.custody(self._source, digest, ending)
        try:
            version_id = self._store.create(path, data, retain_until=self._until).version_id
        except AlreadyExistsError:
            version_id = self._store.head(path).version_id
            if self._store.worm:
                self._store.extend_retention(path, version_id, self._until)
        return {"bytes": len(data), "path": path, "sha256": digest, "version_id": version_id}


def _read(landing: ObjectStore, archive: _Archive, window: Window) -> Iterator[StoredDigest]:
    """Digest files of the window, each archived before it is judged. A huge one is cut off: it is none."""
    listed = {info.path for info in landing.list() if is_digest(info.path.removesuffix(SIDECAR))}
    for path in sorted(path for path in listed if is_digest(path)):
        time = named_time(path)
        if time is not None and not window.covers(time):
            continue
        data = landing.read_range(path, 0, MAX_STORED_BYTES)
        metadata = user_metadata(landing, path, sidecar=f"{path}{SIDECAR}" in listed)
        archive.digests[path] = archive.keep(data, "json.gz")
        yield StoredDigest(path, data, metadata)


def _archived_keys(
    store: ObjectStore, catalog: Catalog, source: str
) -> dict[str, tuple[bytes, dict[str, Any]]]:
    """Path -> key file and what the log says of it. Only what is sealed is believed, not what lies there."""
    rows = catalog.connection.execute("SELECT document FROM entries WHERE type = 'audit'").fetchall()
    entries = [json.loads(document) for (document,) in rows]
    mine = [entry for entry in entries if entry["kind"] == KIND and entry["scope"]["source"] == source]
    found: dict[str, tuple[bytes, dict[str, Any]]] = {}
    for facts in (facts for entry in mine for facts in entry["keys"]):
        if facts["path"] in found:
            continue
        data = store.read(facts["path"], facts["version_id"] or None)
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise VerificationError(
                "object-hash", f"{facts['path']} is not as it was sealed", next_step="Run: indelible verify"
            )
        found[facts["path"]] = data, facts
    return found


def _key_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", next_step="Check --keys.") from error
    read_keys(data)  # before it is archived for good
    return data


def _body(
    source: str,
    window: Window,
    checked: Checked,
    report: dict[str, Any],
    keys: list[dict[str, Any]],
    software: str,
) -> dict[str, Any]:
    days = {"since": window.since, "until": window.until}
    return {
        "counts": {name: checked.counts.get(name, 0) for name in _COUNTS},
        "findings": [
            {"code": code, "count": count, "verdict": CODES[code][0]}
            for code, count in checked.totals().items()
        ],
        "holds": checked.holds,
        "keys": sorted(keys, key=lambda facts: str(facts["path"])),
        "kind": KIND,
        "report": report,
        "scope": {name: None if day is None else day.isoformat() for name, day in days.items()}
        | {"source": source, "subject": None},
        "software": software,
    }
