"""Subject access: everything that is sealed about one person, over all sources, with a proof of each record.

The key table knows for each person which rows of which files are about them, so the work grows with the person's
records and with the batches that they are in, and not with the lake. Put here: who is asked for, what is found, and
that the access is sealed first. Do not put here: what the archive looks like (`tasks.export.person`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from flows.access import seal_access
from flows.erasure_survey import mentioned_lines
from flows.identities import own_values
from flows.shards import log_keys
from flows.trust import own_policy, policy_for
from flows.wiring import Runtime
from tasks.errors import UsageError
from tasks.evidence.access_entry import coarse
from tasks.evidence.paths import record_id
from tasks.evidence.terms import instant
from tasks.export.files import whole_file, write_zip
from tasks.export.person import Answer, OwnRecord, SourceTerms, Value, person_members
from tasks.export.prove import ProvenRecord, prove_all
from tasks.log import reader
from tasks.redact import normal_text
from tasks.redact.mentions import Mentions

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog

MAX_IDENTIFIERS = 100
MAX_RECORDS = 1_000_000
PURPOSE = "subject access"
MAX_INPUT_BYTES = 64 << 10
_AT_ONCE = 1_000
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SubjectExport:
    """What an archive holds.

    Attributes:
        sources: records by source.
        quarantined: lines set aside that mention the person, by source; None if nobody looked.
        entry: where the access was sealed.
        size: bytes of the archive.
    """

    sources: Mapping[str, int]
    quarantined: Mapping[str, int] | None
    entry: str
    size: int

    @property
    def records(self) -> int:
        """Of all sources."""
        return sum(self.sources.values())


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a sealed data file that are about the person."""

    source: str
    shard: int
    entry: int
    sha256: str
    subject: str
    numbers: tuple[int, ...]

    @property
    def ids(self) -> list[str]:
        return [str(record_id(self.sha256, number)) for number in self.numbers]


def read_identifiers(given: Iterable[str]) -> list[str]:
    """The distinct identifiers of one person, in the form under which persons are known.

    Args:
        given: as they were given, with whatever space is around them.

    Raises:
        UsageError: there is none, or more than 100, or one is too long.
    """
    names = sorted({normal_text(text.strip()) for text in given if text.strip()})
    if not names:
        raise UsageError(
            "nobody is named",
            next_step="Give the names of one person, one a line of --ids FILE or of --ids -.",
        )
    if len(names) > MAX_IDENTIFIERS or sum(map(len, names)) > MAX_INPUT_BYTES:
        raise UsageError(
            f"more than {MAX_IDENTIFIERS} names, or too long ones",
            next_step="Give the names of one person only.",
        )
    return names


def check_words(runtime: Runtime, words: Sequence[str], *texts: str) -> None:
    """What is sealed must not name the person: it could never be taken back.

    Raises:
        UsageError: one of `texts` holds one of the identifiers `words`, or is not one line.
    """
    mentions = Mentions(words, runtime.limits().max_drop_bytes)
    if not all(text.strip() and text.isprintable() for text in texts):
        raise UsageError("names and the reason must be one line each", next_step="Give all of them.")
    if any(mentions.within(text.encode()) for text in texts):
        raise UsageError(
            "a name or the reason holds an identifier of the person, and both are sealed for ever",
            next_step="Name a case number instead, and the desk that hands the request in.",
        )


def export_subject(
    runtime: Runtime,
    identifiers: Sequence[str],
    target: Path,
    requested_by: str,
    progress: Progress = lambda _: None,
    *,
    quarantine: bool = True,
) -> SubjectExport:
    """Write the archive of one person. It appears whole, after its `access` entry is sealed, or not at all.

    Args:
        runtime: the deployment.
        identifiers: of one person; see `read_identifiers`.
        target: a `.zip`; the person's own data, so give it to nobody else.
        requested_by: who exports it; sealed. Not the person.
        progress: told what is being done.
        quarantine: also look through the lines that were set aside, and say how many mention the person. Nobody
            could parse them, so all of them are read: this part grows with what is set aside.

    Raises:
        UsageError: there are more records than one archive takes, it cannot be written, or who exports it is
            named as the person is.
        StoreRefusedError: the access could not be sealed under a checkpoint.
        VerificationError: a record is not what was sealed.
    """
    table = runtime.key_table
    check_words(runtime, identifiers, requested_by)
    with runtime.catalog() as catalog:
        rows = sorted(_find(runtime, catalog, table.subject_ids(identifiers)), key=lambda found: found.source)
        counts = _count(rows)
        aside = _mentions(runtime, catalog, identifiers, progress) if quarantine else None
        progress(f"sealing that {sum(counts.values()):,} records are exported")
        body = {
            "action": "subject-export",
            "purpose": PURPOSE,
            "records": coarse(sum(counts.values())),
            "requested_by": requested_by,
        }
        entry = seal_access(runtime, catalog, body)
        policy = policy_for(
            runtime, [key.vkey for year in reader.shards(runtime.store) for key in log_keys(runtime, year)]
        )
        made_at = instant(runtime.store.now())
        answer = Answer(made_at, sum(counts.values()), entry, aside)
        terms = {source: _terms(runtime, catalog, source, rows) for source in counts}
        records = _records(runtime, catalog, rows, progress)
        with whole_file(target) as file:
            Path(file.name).chmod(0o600)
            write_zip(file, person_members(records, terms, answer, policy))
            size = file.tell()
    return SubjectExport(counts, aside, entry, size)


def _find(runtime: Runtime, catalog: Catalog, subjects: Sequence[str]) -> Iterator[_Rows]:
    """Rows about the person in files that an entry names; the key table may know of others, which a crash left."""
    total = 0
    for subject in subjects:
        known = {place.path: numbers for place, numbers in runtime.key_table.row_numbers(subject)}
        paths = sorted(known)
        for start in range(0, len(paths), _AT_ONCE):
            sealed = catalog.connection.execute(
                "SELECT path, source, shard, entry, sha256 FROM files"
                " WHERE role = 'data' AND path IN (SELECT unnest(?))",
                [paths[start : start + _AT_ONCE]],
            ).fetchall()
            for path, source, shard, entry, sha256 in sealed:
                total += len(known[path])
                _check_size(total)
                yield _Rows(source, shard, entry, sha256, subject, tuple(known[path]))


def _check_size(records: int) -> None:
    if records > MAX_RECORDS:
        raise UsageError(
            f"the person has more than {MAX_RECORDS:,} records, which is more than one archive takes",
            next_step="Export each of their names on its own.",
        )


def _count(rows: Iterable[_Rows]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for found in rows:
        counts[found.source] = counts.get(found.source, 0) + len(found.numbers)
    return counts


def _mentions(
    runtime: Runtime, catalog: Catalog, identifiers: Sequence[str], progress: Progress
) -> dict[str, int]:
    """Lines set aside that mention the person. Their content is nobody's to hand out: it was never told apart."""
    counts: dict[str, int] = {}
    found, _, _ = mentioned_lines(runtime, catalog, identifiers, progress)
    for place in found:
        counts[place["source"]] = counts.get(place["source"], 0) + len(place["lines"])
    return counts


def _records(
    runtime: Runtime, catalog: Catalog, rows: Sequence[_Rows], progress: Progress
) -> Iterator[OwnRecord]:
    done = 0
    for source in sorted({found.source for found in rows}):
        of_source = [found for found in rows if found.source == source]
        values: dict[tuple[str, str], str] = {}
        for subject in sorted({found.subject for found in of_source}):
            key = runtime.key_table.known_key(subject)
            batches = {(found.shard, found.entry) for found in of_source if found.subject == subject}
            values |= own_values(runtime, catalog, source, batches, key) if key is not None else {}
        hints = {found.sha256[:32]: (found.shard, found.entry) for found in of_source}
        ids = [text for found in of_source for text in found.ids]
        for proven in prove_all(
            runtime.store, ids, lambda year: log_keys(runtime, year), own_policy(runtime), hints
        ):
            done += 1
            if done % _AT_ONCE == 0:
                progress(f"{source}: {done:,} records")
            yield OwnRecord(proven, _own(proven, values))


def _own(proven: ProvenRecord, values: Mapping[tuple[str, str], str]) -> dict[str, Value]:
    """The record's columns in which a pseudonym of the person stands, with the values behind them."""
    own: dict[str, Value] = {}
    for column, value in proven.record.items():
        if isinstance(value, str) and (column, value) in values:
            own[column] = values[column, value]
        elif isinstance(value, list) and any((column, item) in values for item in value):
            own[column] = [values.get((column, item), item) for item in value]
    return own


def _terms(runtime: Runtime, catalog: Catalog, source: str, rows: Iterable[_Rows]) -> SourceTerms:
    contract = runtime.contract(source)
    batches = sorted({(found.shard, found.entry) for found in rows if found.source == source})
    locks = [
        catalog.connection.execute(
            "SELECT retain_until FROM batches WHERE shard = ? AND entry = ?", list(batch)
        ).fetchone()
        for batch in batches
    ]
    description = yaml.safe_load(contract.document).get("description")
    purpose = description.get("purpose") if isinstance(description, dict) else description
    return SourceTerms(contract, str(purpose or "").strip(), max(lock[0] for lock in locks if lock))
