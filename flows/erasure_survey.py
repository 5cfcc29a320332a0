"""Where a person is: what the key table has noted, and what the lines that were set aside say when they are read.

Rows are found without reading any, since their places were noted when they were sealed. Quarantined lines have no
such index, because nobody could parse them: those of all months whose key exists are decrypted and looked through.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from flows import holding
from flows.erasure_drops import drops_alone
from flows.wiring import Runtime
from tasks.errors import KeyDestroyedError
from tasks.evidence.key_table_entry import SUBJECT, commitment
from tasks.evidence.privacy_entry import Basis
from tasks.evidence.terms import instant
from tasks.keyring.derived import subject_key_id
from tasks.redact.mentions import Mentions
from tasks.redact.quarantine import decrypt_lines
from tasks.subjects.backup import living_backups

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog


@dataclass(frozen=True)
class Plan:
    """What was found, and so what is to be done.

    Attributes:
        approver: who decided.
        basis: of a refusal.
        decided_at: `YYYY-MM-DDThh:mm:ssZ`.
        nonce: makes the certificate's digest tell nothing about its content.
        log: year -> entries that were looked at.
        keys: commitments of the person's keys.
        files: data files with rows of the person: `source`, `path`, `rows`, `entry`, `replay`.
        identities: files with ciphertexts under the person's keys: `source`, `path`, `ciphertexts`.
        lines: quarantined lines that mention the person: `source`, `entry`, `drop`, `lines`.
        alone: drops that are about the person alone: `source`, `entry`, `drops` (how many).
        searched: quarantined lines that were read.
        unreadable: quarantined lines that nobody can read, since their keys were destroyed before.
        backups: living backups of the key table: when each was written and when it expires; as they were found
            after the destruction, once there was one.
        holds: ids of the legal holds for which nothing is done.
        destroyed: whether all that was to be destroyed is gone, and `backups` was listed since.
    """

    approver: str
    basis: Basis
    decided_at: str
    nonce: str
    log: dict[str, int]
    keys: list[str] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    identities: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    alone: list[dict[str, Any]] = field(default_factory=list)
    searched: int = 0
    unreadable: int = 0
    backups: list[list[str]] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)
    destroyed: bool = False

    @property
    def numbers(self) -> dict[str, set[int]]:
        """SHA-256 of each drop -> numbers of its lines that mention the person."""
        found: dict[str, set[int]] = {}
        for item in self.lines:
            found.setdefault(item["drop"], set()).update(item["lines"])
        return found

    @property
    def outcome(self) -> str:
        """`refused`, `erased`, or `nothing found`."""
        if self.holds:
            return "refused"
        return "erased" if self.keys or self.lines else "nothing found"

    def encode(self) -> bytes:
        """For the key table."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Plan:
        """Of what `encode` gave."""
        return cls(**json.loads(data))


def survey(
    runtime: Runtime,
    catalog: Catalog,
    subjects: Sequence[str],
    words: Sequence[str],
    approver: str,
    basis: Basis,
    progress: Callable[[str], None],
) -> Plan:
    """Look for a person everywhere, and for legal holds on what is found. Changes nothing.

    Args:
        runtime: the deployment.
        catalog: read up to the end of the log.
        subjects: subject ids.
        words: the identifiers, normalised.
        approver: who decides.
        basis: of a refusal, should it come to that.
        progress: is told how far the search is.
    """
    table = runtime.key_table
    keys = [key for subject in subjects if (key := table.known_key(subject)) is not None]
    progress("looking up rows")
    files = _files(runtime, catalog, subjects)
    lines, searched, unreadable = mentioned_lines(runtime, catalog, words, progress)
    now = runtime.store.now()
    plan = Plan(
        approver=approver,
        basis=basis,
        decided_at=instant(now),
        nonce=secrets.token_hex(16),
        log=_sizes(catalog),
        keys=sorted(commitment(SUBJECT, key).hex() for key in keys),
        files=files,
        identities=_identities(catalog, files, [subject_key_id(key) for key in keys]),
        lines=lines,
        alone=drops_alone(runtime, catalog, subjects, lines),
        searched=searched,
        unreadable=unreadable,
        backups=[list(times) for times in living_backups(table, now)],
    )
    plan.holds.extend(holds_on(catalog, plan))
    return plan


def is_begun(runtime: Runtime, subjects: Sequence[str], plan: Plan) -> bool:
    """Whether one of the keys that a plan is to destroy is gone."""
    table = runtime.key_table
    keys = {commitment(SUBJECT, key).hex() for subject in subjects if (key := table.known_key(subject))}
    lines = [table.known_line_keys(drop, numbers).keys() == numbers for drop, numbers in plan.numbers.items()]
    return not (keys.issuperset(plan.keys) and all(lines))


def _sizes(catalog: Catalog) -> dict[str, int]:
    rows = catalog.connection.execute(
        "SELECT shard, max(entry) + 1 FROM entries GROUP BY shard ORDER BY shard"
    )
    return {str(shard): int(size) for shard, size in rows.fetchall()}


def _files(runtime: Runtime, catalog: Catalog, subjects: Sequence[str]) -> list[dict[str, Any]]:
    """Data files with rows of the person. Those that no entry names are left out: nobody sealed them."""
    rows: dict[str, int] = {}
    for subject in subjects:
        for place in runtime.key_table.places(subject):
            rows[place.path] = rows.get(place.path, 0) + place.rows
    named = catalog.connection.execute(
        "SELECT f.source, f.path, f.shard || '-' || f.entry, EXISTS (SELECT 1 FROM drops d WHERE d.shard = f.shard"
        "   AND d.entry = f.entry AND d.key LIKE 'replay/%' AND d.etag = d.sha256)"
        " FROM files f WHERE f.role = 'data' AND f.path IN (SELECT unnest(?)) ORDER BY f.source, f.path",
        [sorted(rows)],
    ).fetchall()
    return [
        {"source": source, "path": path, "rows": rows[path], "entry": entry, "replay": replay}
        for source, path, entry, replay in named
    ]


def _identities(
    catalog: Catalog, files: Sequence[dict[str, Any]], kids: Sequence[str]
) -> list[dict[str, Any]]:
    """Identities files beside these data files, with how many of their ciphertexts are under the person's keys."""
    named = catalog.connection.execute(
        "SELECT source, path FROM files WHERE role = 'identities' AND shard || '-' || entry IN (SELECT unnest(?))"
        " ORDER BY source, path",
        [sorted({file["entry"] for file in files})],
    ).fetchall()
    found = []
    for source, path in named:
        counted = catalog.connection.execute(
            "SELECT count(*) FROM read_parquet(?, hive_partitioning = false) WHERE kid IN (SELECT unnest(?))",
            [[catalog.locate(path)], list(kids)],
        ).fetchone()
        if counted and counted[0]:
            found.append({"source": source, "path": path, "ciphertexts": int(counted[0])})
    return found


def mentioned_lines(
    runtime: Runtime, catalog: Catalog, words: Sequence[str], progress: Callable[[str], None]
) -> tuple[list[dict[str, Any]], int, int]:
    """Quarantined lines that mention the person, how many were read, and how many cannot be."""
    mentions = Mentions(words, runtime.limits().max_drop_bytes)
    entries = catalog.connection.execute(
        "SELECT DISTINCT source, shard, entry FROM files WHERE role = 'quarantine' ORDER BY shard, entry"
    ).fetchall()
    found, searched, unreadable = [], 0, 0
    for number, (source, shard, entry) in enumerate(entries, 1):
        progress(f"reading quarantined lines: batch {number:,} of {len(entries):,}")
        digests = dict(
            catalog.connection.execute(
                "SELECT index, sha256 FROM drops WHERE shard = ? AND entry = ?", [shard, entry]
            ).fetchall()
        )
        for index, rows in groupby(catalog.quarantined_raw(shard, entry), key=itemgetter(0)):
            texts = {line: raw for _, line, raw in rows}
            try:
                raws = decrypt_lines(texts, digests[index], runtime.keyring)
            except KeyDestroyedError:
                raws = dict.fromkeys(texts)
            unreadable += sum(raw is None for raw in raws.values())
            searched += sum(raw is not None for raw in raws.values())
            if hit := sorted(line for line, raw in raws.items() if raw is not None and mentions.within(raw)):
                place = {"source": source, "entry": f"{shard}-{entry}"}
                found.append(place | {"drop": digests[index], "lines": hit})
    return found, searched, unreadable


def holds_on(catalog: Catalog, plan: Plan) -> list[str]:
    """Holds in force that cover a data file or a quarantine file of the person."""
    aside = catalog.connection.execute(
        "SELECT path FROM files WHERE role = 'quarantine' AND shard || '-' || entry IN (SELECT unnest(?))",
        [sorted({item["entry"] for item in plan.lines})],
    ).fetchall()
    objects = {file["path"] for file in plan.files} | {path for (path,) in aside}
    if not objects:
        return []
    return sorted(
        hold.id
        for hold in holding.register(catalog)
        if hold.release is None and holding.covers(catalog, hold.scope, objects)
    )
