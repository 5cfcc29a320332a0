"""An evidence bundle: what a period left behind, as one archive. Format: FORMAT.md, "Evidence bundles".

The archive has the store's own layout, so that whoever can check a copy of the store can check a bundle.
Equal evidence gives equal bytes: no clock, no random name, no order but that of the names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from tasks.errors import NotFoundError
from tasks.evidence import paths
from tasks.evidence.policy import NO_QUORUM, Policy
from tasks.evidence.tiles import new_tiles
from tasks.evidence.tlog_proof import TlogProof
from tasks.export.audits import audit_reports
from tasks.export.completeness import completeness_lists
from tasks.export.controls import framework
from tasks.export.custody import custody_objects
from tasks.export.facts import Facts, Progress, gather, load_object
from tasks.export.files import Member, whole_file, write_zip
from tasks.export.holds import PATH as HOLDS
from tasks.export.holds import holds, object_lists, render_holds
from tasks.export.log import SignedLog, VerifiersOf, open_logs
from tasks.export.registers import register_members
from tasks.export.report import render_report, render_summary
from tasks.export.scope import Scope, select
from tasks.export.verifier import verifier_archive
from tasks.storage.protocol import ObjectStore

FORMAT = "indelible-bundle/1"
MANIFEST = "bundle.json"
REPORT = "report.html"
VERIFIER = "verifier/indelible-verify.pyz"


@dataclass(frozen=True, slots=True)
class Exported:
    """What a bundle contains."""

    scope: Scope
    facts: Facts
    members: int
    size: int


def export_bundle(
    store: ObjectStore,
    target: Path,
    since: date,
    until: date,
    verifiers_of: VerifiersOf,
    *,
    witnesses: Policy | None = None,
    framework_name: str | None = None,
    progress: Progress = lambda _stage, _done, _total: None,
) -> Exported:
    """Write the bundle of a period.

    Args:
        store: where the evidence lies.
        target: the archive; it appears whole or not at all.
        since: first event date.
        until: last event date, included.
        verifiers_of: year -> the keys of that year's log.
        witnesses: a policy; when it asks for witnesses, each log ends at a checkpoint that they cosigned.
        framework_name: adds the table of a framework's controls to the report.
        progress: called with a stage, what is done and how much there is.

    Raises:
        NotFoundError: nothing of the period is sealed under a checkpoint.
        VerificationError: what is stored is not what was sealed; no bundle is written.
        UsageError: no such framework, or the target cannot be written.
    """
    chosen = framework(framework_name) if framework_name is not None else None
    scope = select(open_logs(store, verifiers_of, witnesses), since, until)
    facts = gather(store, scope, progress)
    objects = list(_evidence(store, scope, witnesses))
    stamped = any(member.path.endswith(".tsr") for member in objects)
    members = [
        *objects,
        Member.of(REPORT, render_report(scope, facts, store.uri, chosen, stamped=stamped)),
        Member.of("summary.csv", render_summary(facts)),
        Member.of(HOLDS, render_holds(holds(scope))),
        *register_members(store, facts),
        Member.of("FORMAT.md", files("data_contracts").joinpath("delivered", "FORMAT.md").read_bytes()),
        Member.of(VERIFIER, verifier_archive()),
    ]
    members.append(Member.of(MANIFEST, _manifest(scope, store.uri, members)))
    with whole_file(target) as file:
        write_zip(file, _counting(sorted(members, key=lambda m: m.path), progress))
        size = file.tell()
    return Exported(scope, facts, len(members), size)


def _evidence(store: ObjectStore, scope: Scope, witnesses: Policy | None) -> Iterator[Member]:
    for log, entries in scope.logs:
        yield from _log_members(store, log, entries, witnesses)
    objects: dict[str, Mapping[str, Any]] = {
        facts["path"]: facts for batch in scope.batches for facts in batch.objects()
    }
    others = (
        *object_lists(scope),
        *completeness_lists(scope),
        *audit_reports(scope),
        *custody_objects(store, scope),
    )
    objects |= {facts["path"]: facts for facts in others}
    for name, facts in objects.items():
        size = facts["bytes"] if "bytes" in facts else store.head(name, facts["version_id"] or None).size
        yield Member(name, facts["sha256"], size, partial(load_object, store, facts))
    for batch in scope.batches:
        path = tuple(batch.log.tiles.inclusion_proof(batch.index))
        yield Member.of(
            f"proofs/{batch.name}.tlog-proof", TlogProof(batch.index, path, batch.log.note).encode()
        )


def _log_members(
    store: ObjectStore, log: SignedLog, entries: Sequence[bytes], witnesses: Policy | None
) -> Iterator[Member]:
    """A log up to its newest checkpoint. Its entries were checked; its tiles follow from them.

    Its policy is the present one, and not that of the day on which the log was opened: the newest checkpoint is
    cosigned by the witnesses of today, and vouches for all that was sealed before there were any.
    """
    prefix = paths.log_prefix(log.year)
    yield Member.of(paths.checkpoint(log.year), log.note)
    for prefix_of in (paths.checkpoints_prefix, paths.cosigned_prefix, paths.timestamps_prefix):
        for info in store.list(prefix_of(log.year)):
            if paths.parse_number(info.path) <= log.checkpoint.size:
                yield Member.of(info.path, store.read(info.path))
    for index, data in enumerate(entries):
        yield Member.of(paths.sequence(log.year, index), data)
    for path, data in new_tiles(_nothing, 0, entries).items():
        yield Member.of(prefix + path, data)
    policy = witnesses or Policy((), {}, {}, NO_QUORUM)
    yield Member.of(paths.policy(log.year), replace(policy, logs=log.verifiers).text().encode())


def _nothing(path: str) -> bytes:
    raise NotFoundError(f"{path} does not exist in a log that is built anew")


def _manifest(scope: Scope, store_uri: str, members: Sequence[Member]) -> bytes:
    document = {
        "created_at": scope.created_at,
        "format": FORMAT,
        "objects": [
            {"bytes": m.size, "path": m.path, "sha256": m.sha256}
            for m in sorted(members, key=lambda m: m.path)
        ],
        "since": scope.since.isoformat(),
        "sources": scope.sources,
        "store_uri": store_uri,
        "until": scope.until.isoformat(),
    }
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode("utf-8") + b"\n"


def _counting(members: Sequence[Member], progress: Progress) -> Iterator[Member]:
    for number, member in enumerate(members):
        progress("packing", number, len(members))
        yield member
