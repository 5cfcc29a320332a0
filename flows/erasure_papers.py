"""What is handed to whoever asked: the certificate of an erasure, or the refusal, with its proof in the log.

    certificate.json               canonical JSON; its SHA-256 is in the sealed entry, and so under the log's signature
    certificate.md                 the same for people
    entry-<year>-<n>.json          the sealed entry, and
    entry-<year>-<n>.tlog-proof    that it is in the log (C2SP tlog-proof)

The statement names files and lines of one person: it is personal data itself, and is sealed nowhere.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from flows.erasure_survey import Plan
from flows.shards import log_keys
from flows.wiring import Runtime
from tasks.errors import NotFoundError
from tasks.evidence.canonical import canonical_json
from tasks.evidence.tlog_proof import TlogProof
from tasks.export.files import whole_file
from tasks.export.log import open_log
from tasks.subjects.requests import Request

FORMAT: Final = "indelible-erasure/1"
_LIMITS: Final = (
    "What is delivered after the entries above belongs to a person whom nothing links to the one erased here.",
    "A field that its contract keeps to monthly keys, and a mention of the person in somebody else's record, stay a "
    "pseudonym under the key of that month or of that other person; so does such a record's fingerprint. Who holds "
    "such a key can still test an identifier against them; destroying the month's key ends it "
    "(`indelible key destroy-epoch`).",
    "Quarantined lines were searched as text, below JSON escapes, percent-encoding and gzip. What is encoded "
    "otherwise, for example by base64, was not seen.",
    "Who can write down a whole drop again, byte by byte, can test that guess for ever against its SHA-256 in the "
    "ledger, with no key at all. Drops about this person alone (`drops_alone`) are the easiest to guess: nothing of "
    "anybody else must be known for it.",
    "Raw drops in a landing place, and what was exported before, are not in this store: their owners erase them.",
)


def statement(request: Request, plan: Plan) -> dict[str, Any]:
    """The certificate or refusal; equal for equal arguments."""
    replayed = [file for file in plan.files if file["replay"]]
    places = {
        "rows": [{key: file[key] for key in ("entry", "path", "rows", "source")} for file in plan.files],
        "quarantined_lines": {
            "found": plan.lines,
            "searched": plan.searched,
            "unreadable_before": plan.unreadable,
        },
        "drops_alone": plan.alone,
        "identities": plan.identities,
        "replays": [file["path"] for file in replayed],
        "catalog": "holds no copy: its views read the sealed files",
        "search_index": "where a person occurs stands in the key table only"
        + ("" if plan.holds else ", and is deleted with the key"),
        "receipts": "hold counts, names of fields and rules, and no value",
        "key_table_backups": [{"created_at": made, "expires_at": ends} for made, ends in plan.backups],
    }
    document: dict[str, Any] = {
        "approver": plan.approver,
        "decided_at": plan.decided_at,
        "format": FORMAT,
        "keys": plan.keys,
        "limits": list(_LIMITS),
        "log": plan.log,
        "nonce": plan.nonce,
        "outcome": plan.outcome,
        "places": places,
        "reason": request.reason,
        "request": request.id,
        "requested_at": request.created_at,
        "requested_by": request.requested_by,
    }
    return document | ({"basis": plan.basis, "holds": plan.holds} if plan.holds else {})


def write_papers(
    runtime: Runtime, directory: Path, papers: Mapping[str, Any], entries: Sequence[tuple[int, int]]
) -> None:
    """Write all files, for their owner only; those that are there are replaced by equal ones."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, data in _files(runtime, papers, entries):
        with whole_file(directory / name) as file:
            Path(file.name).chmod(0o600)
            file.write(data)


def _files(
    runtime: Runtime, papers: Mapping[str, Any], entries: Sequence[tuple[int, int]]
) -> Iterator[tuple[str, bytes]]:
    data = canonical_json(papers)
    yield "certificate.json", data
    yield "certificate.md", "\n".join(_markdown(papers, hashlib.sha256(data).hexdigest(), entries)).encode()
    for year, index in entries:
        log = open_log(runtime.store, year, log_keys(runtime, year))
        if log is None or index >= log.checkpoint.size:
            raise NotFoundError(
                f"entry {year}-{index} is under no checkpoint yet", next_step="Approve the request again."
            )
        proof = TlogProof(index, tuple(log.tiles.inclusion_proof(index)), log.note)
        yield f"entry-{year}-{index}.json", next(log.tiles.entries(index))
        yield f"entry-{year}-{index}.tlog-proof", proof.encode()


def _markdown(papers: Mapping[str, Any], digest: str, entries: Sequence[tuple[int, int]]) -> Iterator[str]:
    refused = papers["outcome"] == "refused"
    yield f"# {'Refusal of an erasure' if refused else 'Certificate of erasure'}"
    yield ""
    yield _SUMMARIES[papers["outcome"]]
    yield ""
    if refused:
        yield f"Basis: {papers['basis']}. Legal holds in force: {', '.join(papers['holds'])}."
        yield ""
    yield from _table(
        ("", ""),
        [
            ("Request", f"`{papers['request']}`, {papers['requested_at']}"),
            ("Handed in by", papers["requested_by"]),
            ("Decided by", f"{papers['approver']}, {papers['decided_at']}"),
            ("Reason", papers["reason"]),
            (
                "Looked at",
                ", ".join(f"log {year} up to entry {size - 1}" for year, size in papers["log"].items()),
            ),
            ("Sealed as", ", ".join(f"entry {year}-{index}" for year, index in entries)),
        ],
    )
    yield from _places(papers["places"], refused)
    yield f"## Keys {'that stay' if refused else 'that were destroyed'}"
    yield ""
    yield from [f"- commitment `{key}`" for key in papers["keys"]] or ["None: the person had no key."]
    yield from ("", "## What this does not reach", "")
    yield from (f"- {text}" for text in papers["limits"])
    yield from ("", "## How to check it", "")
    yield f"- The SHA-256 of `certificate.json` is `{digest}`, and stands as `certificate` in each sealed entry."
    yield "- Each entry is in the signed log: its `.tlog-proof` (C2SP tlog-proof) leads to the log's checkpoint."
    if papers["keys"] and not refused:
        yield "- Each commitment stands in an earlier `key` entry that says who destroyed that key."
    yield ""


def _places(places: Mapping[str, Any], refused: bool) -> Iterator[str]:
    lines, backups = places["quarantined_lines"], places["key_table_backups"]
    rows: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for file in places["rows"]:
        rows[file["source"]] += file["rows"]
        files[file["source"]] += 1
    found = [(f"Rows of {source}", f"{count:,} in {files[source]:,} files") for source, count in rows.items()]
    mentioned = sum(len(item["lines"]) for item in lines["found"])
    alone = sum(item["drops"] for item in places["drops_alone"])
    sealed = sum(item["ciphertexts"] for item in places["identities"])
    yield "## Where the person was found" if not refused else "## Where the person is"
    yield ""
    yield from _table(
        ("Place", "Found"),
        [
            *(found or [("Rows", "none")]),
            ("Of these, by replays", f"{len(places['replays']):,} files"),
            ("Drops about this person alone", f"{alone:,} in {len(places['drops_alone']):,} entries"),
            ("Quarantined lines", f"{mentioned:,} of {lines['searched']:,} that were read"),
            ("Quarantined lines nobody can read", f"{lines['unreadable_before']:,}, erased or ended before"),
            ("Identities (ciphertexts)", f"{sealed:,} in {len(places['identities']):,} files"),
            ("Catalog", places["catalog"]),
            ("Search index", places["search_index"]),
            ("Receipts", places["receipts"]),
            (
                "Backups of the key table",
                ", ".join(f"of {b['created_at']}, expires {b['expires_at']}" for b in backups) or "none",
            ),
        ],
    )
    if backups and not refused:
        yield "Until these backups expire, or `indelible key rewrap` ends them, the keys can be had from them."
        yield ""


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"| {head[0]} | {head[1]} |"
    yield "|---|---|"
    yield from (f"| {name} | {value.replace('|', '&#124;')} |" for name, value in rows)
    yield ""


_SUMMARIES: Final = {
    "erased": "The keys that linked records to the person, and opened what was kept of them, are destroyed. The sealed "
    "records stay as they were, with pseudonyms that lead to nobody.",
    "nothing found": "Neither a key nor a quarantined line of the person was found, so there was nothing to destroy.",
    "refused": "The person's keys are not destroyed: their records are needed, and a legal hold keeps them.",
}
