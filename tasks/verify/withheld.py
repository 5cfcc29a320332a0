"""A bundle with the person withheld: each entry leads to a signed checkpoint, each public part to its entry.

The bundle has no log, so nothing is said of entries that it does not hold. Format: FORMAT.md, "Bundles with the
person withheld".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from tasks.errors import VerificationError
from tasks.evidence import paths
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.entry import MAX_ENTRY_BYTES, parse_entry
from tasks.evidence.merkle import leaf_hash, root_from_inclusion
from tasks.evidence.policy import Policy
from tasks.evidence.reasons import ENTRY_NOT_IN_LOG, MALFORMED_ENTRY, failure
from tasks.evidence.seal_entry import SealEntry
from tasks.evidence.tlog_proof import parse_tlog_proof
from tasks.verify import reasons
from tasks.verify.access import Progress, Tree
from tasks.verify.bundle import MAX_OBJECT_BYTES, check_bundle, read_bundle
from tasks.verify.lines import LineIndex
from tasks.verify.readers import Reader
from tasks.verify.report import Findings, Report, ShardSummary
from tasks.verify.rows import check_rows
from tasks.verify.table import SealedTable

FORMAT = "indelible-withheld/1"

_ENTRY = re.compile(r"entries/([0-9]{4})-(0|[1-9][0-9]{0,14})\.json")
_MAX_PROOF_BYTES = 2 << 20
_NO_ENTRY = "The bundle holds no sealed entry, so it proves nothing."
_NO_PROOF = "The proof that leads from this entry to a signed checkpoint is not there."
_NO_CONTRACT = "The contract that the entry names is not there."
_WITHHELD = (
    "Who the records are about is withheld on purpose, and with it the data files as they were sealed, the "
    "ledger, lines set aside and the gate's result. Whether each line of each drop is there once is not told."
)
_AGAIN = "Ask for the bundle again."


def verify_withheld(reader: Reader, policy: Policy, progress: Progress, *, rows: bool = True) -> Report:
    """Check all that such a bundle holds. Goes on after each finding.

    Args:
        reader: where it lies.
        policy: whom to trust, obtained from outside the bundle.
        progress: called with a stage, what is done and how much there is.
        rows: False skips the rows of the public parts.
    """
    findings = Findings()
    bundle = read_bundle(reader, findings, FORMAT)
    if bundle is not None:
        check_bundle(reader, bundle, findings)
    check = _Check(Tree(reader, findings, bundle, progress), policy, rows=rows)
    names = [match for path in reader.list("entries/") if (match := _ENTRY.fullmatch(path))]
    if not names:
        findings.missing(reasons.ENTRY_MISSING, "entries/", _NO_ENTRY, _AGAIN)
    for match in names:
        check.entry(match[0], int(match[1]), int(match[2]))
    check.close()
    return Report(
        shards=tuple(check.logs[year] for year in sorted(check.logs)),
        findings=tuple(findings.listed),
        totals=dict(findings.totals),
        counted=dict(findings.counted),
        key_source="outside",
        scope=None if bundle is None else bundle.scope,
    )


class _Check:
    """Checks entry by entry, and remembers which public parts the entries account for."""

    def __init__(self, tree: Tree, policy: Policy, *, rows: bool) -> None:
        self._tree, self._policy, self._rows = tree, policy, rows
        self._named: set[str] = set()
        self.logs: dict[int, ShardSummary] = {}

    def entry(self, path: str, year: int, index: int) -> None:
        """Check one entry, and what the bundle holds of its files."""
        findings = self._tree.findings
        data = self._tree.fetch(path, MAX_ENTRY_BYTES, (reasons.ENTRY_MISSING, "The entry is not there."))
        proof = self._tree.fetch(
            f"proofs/{year:04d}-{index}.tlog-proof", _MAX_PROOF_BYTES, (reasons.ENTRY_MISSING, _NO_PROOF)
        )
        if data is None or proof is None:
            return
        try:
            checkpoint = _proven(data, proof, year, index, self._policy)
            entry = parse_entry(data)
        except VerificationError as error:
            findings.changed(error.reason, path, f"The entry is not proven ({error}).", error.next_step)
            return
        if entry["type"] != "seal":
            findings.changed(MALFORMED_ENTRY, path, "It is no seal entry.", _AGAIN)
            return
        findings.counted["entries"] += 1
        self._log(year, checkpoint)
        self._contract(entry)
        for number in range(len(entry["files"])):
            self._public_part(entry, number)

    def close(self) -> None:
        """Report public parts that no entry accounts for, and what was not looked at."""
        for path in self._tree.reader.list(paths.PUBLIC_PREFIX):
            if path not in self._named:
                self._tree.findings.changed(
                    reasons.OBJECT_UNNAMED, path, "No proven entry of the bundle names its file.", _AGAIN
                )
        if self._tree.findings.counted["entries"]:
            self._tree.findings.unmeasured(reasons.PERSON_WITHHELD, "entries/", _WITHHELD)
        self._tree.close()

    def _log(self, year: int, checkpoint: Checkpoint) -> None:
        known = self.logs.get(year)
        if known is None or known.size < checkpoint.size:
            self.logs[year] = ShardSummary(
                f"{year:04d}", checkpoint.origin, checkpoint.size, checkpoint.root.hex(), 1, 0, signed=True
            )

    def _contract(self, entry: SealEntry) -> None:
        facts = entry["contract"]
        data = self._tree.fetch(facts["path"], 1 << 20, (reasons.OBJECT_MISSING, _NO_CONTRACT))
        if data is not None and hashlib.sha256(data).hexdigest() != facts["sha256"]:
            sentence = "Its SHA-256 is not the one that was sealed."
            self._tree.findings.changed(reasons.OBJECT_HASH, facts["path"], sentence)

    def _public_part(self, entry: SealEntry, number: int) -> None:
        facts = entry["files"][number]
        path = paths.public_file(entry["source"], facts["event_date"], facts["sha256"])
        self._named.add(path)
        missing = (reasons.OBJECT_MISSING, "The public part of a sealed file is not there.")
        data = self._tree.fetch(path, MAX_OBJECT_BYTES, missing)
        if data is None:
            return
        self._tree.findings.counted["objects"] += 1
        self._tree.findings.counted["bytes"] += len(data)
        if self._rows:
            table = SealedTable(
                number, {**facts, "path": path}, personal=tuple(entry["personal"]), withheld=True
            )
            check_rows(data, table, LineIndex(), self._tree.findings, self._seen(facts["rows"]))
        else:
            self._tree.findings.unmeasured(reasons.ROWS_SKIPPED, path, "Its rows were not checked.")

    def _seen(self, total: int) -> Callable[[int], None]:
        return lambda row: self._tree.progress("rows", row, total)


def _proven(entry: bytes, proof: bytes, year: int, index: int, policy: Policy) -> Checkpoint:
    """The checkpoint that vouches for the entry at its index in the log of the year.

    Raises:
        VerificationError: none does.
    """
    parsed = parse_tlog_proof(proof)
    checkpoint = policy.open_checkpoint(parsed.checkpoint)
    try:
        root = root_from_inclusion(leaf_hash(entry), index, checkpoint.size, parsed.path)
    except VerificationError:
        root = None
    of_year = checkpoint.origin.rpartition("/")[2] == f"{year:04d}"
    if not of_year or parsed.index != index or root != checkpoint.root:
        raise failure(
            ENTRY_NOT_IN_LOG, f"entry {index} of {year} is not in the log of size {checkpoint.size}"
        )
    return checkpoint
