"""Where records are sealed: the entry that names a data file, found by a hint or by reading the log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from tasks.errors import NotFoundError
from tasks.evidence import paths
from tasks.evidence.entry import parse_entry
from tasks.evidence.paths import RecordId
from tasks.evidence.policy import Policy
from tasks.evidence.seal_entry import DataFile, SealEntry
from tasks.export.log import SignedLog, VerifiersOf, open_log
from tasks.log import reader
from tasks.storage.protocol import ObjectStore

# The beginning of a data file's SHA-256, as record ids have it -> year and index of the entry that names it.
Hints = Mapping[str, tuple[int, int]]

_FILE_DIGITS = 32
_DIGEST = re.compile(rb"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Place:
    """A data file in the log.

    Attributes:
        log: the log, up to its newest checkpoint.
        index: the entry's index there.
        data: the entry's bytes, which nobody has checked against the log yet.
        entry: the same, parsed.
        file: the file's place in the entry's `files`.
    """

    log: SignedLog
    index: int
    data: bytes
    entry: SealEntry
    file: int

    @property
    def facts(self) -> DataFile:
        """What the entry says of the file."""
        return self.entry["files"][self.file]


def locate(
    store: ObjectStore,
    wanted: Iterable[RecordId],
    verifiers_of: VerifiersOf,
    witnesses: Policy | None = None,
    hints: Hints | None = None,
) -> dict[str, Place]:
    """The place of the data file of each wanted record.

    A hint costs one object where it is right, and nothing but time where it is wrong: then the logs are read, the
    newest year first.

    Args:
        store: where the logs lie.
        wanted: records.
        verifiers_of: year -> the keys of that year's log.
        witnesses: a policy; when it asks for witnesses, each log ends at a checkpoint that they cosigned.
        hints: where a file's entry may stand, for example from the catalog.

    Raises:
        NotFoundError: a file is in no log, or in one whose checkpoint does not cover it yet.
    """
    search = _Search(store, {record.file: record for record in wanted}, verifiers_of, witnesses)
    search.look_at(hints or {})
    search.read_logs()
    return search.found


class _Search:
    def __init__(
        self,
        store: ObjectStore,
        wanted: dict[str, RecordId],
        verifiers_of: VerifiersOf,
        witnesses: Policy | None,
    ) -> None:
        self._store, self._missing = store, wanted
        self._open = cache(lambda year: open_log(store, year, verifiers_of(year), witnesses))
        self.found: dict[str, Place] = {}

    def look_at(self, hints: Hints) -> None:
        """Take the places that the hints are right about."""
        for file in [file for file in self._missing if file in hints]:
            year, index = hints[file]
            log = self._open(year)
            if log is not None and file in self._missing and 0 <= index < log.checkpoint.size:
                try:
                    self._take(log, index, self._store.read(paths.sequence(year, index)))
                except NotFoundError:
                    continue

    def read_logs(self) -> None:
        """Find the rest by reading entries."""
        for year in reversed(reader.shards(self._store)) if self._missing else ():
            log = self._open(year)
            for index, data in enumerate(log.tiles.entries()) if log is not None else ():
                if log is not None and self._named_in(data):
                    self._take(log, index, data)
                    if not self._missing:
                        return
            self._refuse_pending(year, log.checkpoint.size if log is not None else 0)
        for record in self._missing.values():
            raise NotFoundError(
                f"no sealed file has the record id {record}",
                next_step="Copy a record_id from `indelible query 'SELECT record_id FROM access_events LIMIT 5'`.",
            )

    def _take(self, log: SignedLog, index: int, data: bytes) -> None:
        entry = parse_entry(data)
        if entry["type"] == "seal":
            for number, facts in enumerate(entry["files"]):
                if self._missing.pop(facts["sha256"][:_FILE_DIGITS], None) is not None:
                    self.found[facts["sha256"][:_FILE_DIGITS]] = Place(log, index, data, entry, number)

    def _refuse_pending(self, year: int, size: int) -> None:
        for index, data in reader.sequence(self._store, year, size):
            for file in self._named_in(data):
                raise NotFoundError(
                    f"record {self._missing[file]} is sealed as entry {index} of log/{year}, but no checkpoint "
                    "covers it yet",
                    next_step="Run `indelible deliver` for its source, which signs a checkpoint; then repeat.",
                )

    def _named_in(self, data: bytes) -> list[str]:
        """Wanted files of which the entry has the digest. Most entries are passed over without parsing."""
        digests = {digest[:_FILE_DIGITS].decode() for digest in _DIGEST.findall(data)}
        return sorted(digests & self._missing.keys())
