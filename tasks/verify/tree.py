"""A whole sealed tree: every log in it, every object that a log names, and what nothing names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tasks.errors import UsageError, VerificationError
from tasks.evidence import paths
from tasks.evidence.policy import MAX_POLICY_BYTES, Policy, parse_policy
from tasks.verify import reasons
from tasks.verify.access import Progress, Tree
from tasks.verify.accesses import check_access
from tasks.verify.audits import AuditResults
from tasks.verify.batches import Batches, How
from tasks.verify.bundle import check_bundle, read_bundle
from tasks.verify.chain import Chain
from tasks.verify.completeness import Completeness, named_lists
from tasks.verify.custody import CustodyResults
from tasks.verify.dispositions import Dispositions
from tasks.verify.erased_lines import ErasedLines
from tasks.verify.erasures import Erasures
from tasks.verify.holds import Holds, listed
from tasks.verify.key_table import KeyTableEntries
from tasks.verify.keys import Keys, check_recovery
from tasks.verify.leaves import RowHasher, plain_leaves
from tasks.verify.listing import sort_listing
from tasks.verify.objects import named_paths
from tasks.verify.officers import Officers
from tasks.verify.readers import Reader
from tasks.verify.report import Findings, Report, ShardSummary
from tasks.verify.shard import Shard
from tasks.verify.state import Journal
from tasks.verify.timestamps import Authority, Timestamp, check_timestamps
from tasks.verify.witnessed import Freshness, Witnessed, check_witnesses

_YEAR = re.compile(r"log/([0-9]{4})/.")
_SEALED = (
    paths.DATA_PREFIX,
    paths.QUARANTINE_PREFIX,
    paths.IDENTITIES_PREFIX,
    paths.LEDGER_PREFIX,
    paths.GATE_PREFIX,
    paths.REDACTION_PREFIX,
    paths.CONTRACTS_PREFIX,
    paths.POLICIES_PREFIX,
    paths.LISTS_PREFIX,
    paths.CUSTODY_PREFIX,
)

__all__ = ["Progress", "verify"]


def verify(
    reader: Reader,
    policy: Policy | None,
    *,
    progress: Progress | None = None,
    rows: bool = True,
    freshness: Freshness | None = None,
    authority: Authority | None = None,
    hasher: RowHasher = plain_leaves,
    only: str | None = None,
    chosen: Callable[[str], bool] | None = None,
    journal: Journal | None = None,
    at_once: int = 1,
) -> Report:
    """Check a sealed tree from its public format alone. Goes on after each finding.

    Args:
        reader: where the tree lies.
        policy: whom to trust, obtained from outside the tree. None: the policy in the tree is used,
            and the report says that the signer's identity was not measured.
        progress: called with a stage, what is done and how much there is.
        rows: False skips the rows of data and quarantine files.
        freshness: how recently the policy's witnesses must have seen the newest log; None for a copy, which
            may be old.
        authority: whose time-stamps to trust, obtained from outside the tree.
        hasher: how leaves of rows are made; a finding never rests on another than the plain one.
        only: check the logs, and of all objects only the one at this path.
        chosen: of the objects of batches, only those that it is true of; see `How`.
        journal: what an interrupted check of the same tree has done; takes what this one does.
        at_once: batches that are checked at the same time, by threads; see `How`.

    Returns:
        The report. Nothing that the tree contains makes this function raise.

    Raises:
        StoreUnavailableError: the reader's store cannot be reached.
        UsageError: no entry names `only`, or there is a journal for a bundle.
    """
    findings = Findings()
    bundle = read_bundle(reader, findings)
    if bundle is not None and journal is not None:
        raise UsageError("a bundle is checked in one go", next_step="Leave out --state.")
    how = How(rows, hasher, only, chosen, journal, at_once)
    run = _Run(Tree(reader, findings, bundle, progress or _quiet), policy, how, freshness, authority)
    run.check_logs()
    if only is None:
        run.check_unnamed()
        if bundle is not None:
            check_bundle(reader, bundle, findings)
    else:
        run.check_named(only)
    run.tree.close()
    if not rows:
        findings.unmeasured(reasons.ROWS_SKIPPED, "data/", "Rows were not checked, as was asked for.")
    return Report(
        shards=tuple(run.summaries),
        findings=tuple(findings.listed),
        totals=dict(findings.totals),
        counted=dict(findings.counted),
        key_source="copy" if policy is None else "outside",
        scope=None if bundle is None else bundle.scope,
        resumed=None if journal is None else journal.summary,
    )


def _quiet(_stage: str, _done: int, _total: int) -> None:
    return None


class _Run:
    """State of one verification."""

    def __init__(
        self,
        tree: Tree,
        policy: Policy | None,
        how: How,
        freshness: Freshness | None,
        authority: Authority | None,
    ) -> None:
        self.tree, self.summaries = tree, list[ShardSummary]()
        self._policy, self._how, self._batches = policy, how, Batches(tree, how)
        self._freshness, self._authority = freshness, authority
        self._findings = tree.findings
        self._witnessed: Witnessed | None = None
        self._named: set[str] = set()
        self._shards: dict[int, Shard] = {}
        self._policies: dict[int, Policy | None] = {}
        self._holds, self._custody = Holds(tree), CustodyResults(tree)
        self._key_table, self._completeness = KeyTableEntries(tree), Completeness(tree)
        self._erasures, self._dispositions = Erasures(tree), Dispositions(tree)
        self._audits, self._officers = AuditResults(tree), Officers(tree)
        self._erased_lines = ErasedLines(tree)

    def check_logs(self) -> None:
        """Check each log, the oldest first."""
        by_year: dict[int, list[str]] = {}
        for path in self.tree.reader.list(paths.LOG_PREFIX):
            match = _YEAR.match(path)
            if match is None:
                self._findings.changed(
                    reasons.LOG_EXTRA, path, "The format defines no such object under log/."
                )
            else:
                by_year.setdefault(int(match[1]), []).append(path)
        if not by_year:
            self._findings.missing(reasons.LOG_MISSING, paths.LOG_PREFIX, "There is no log here.", _NO_LOG)
        for year in sorted(by_year):
            self._check_log(year, by_year[year], grows=year == max(by_year))
        self._completeness.close()
        self._erasures.close()
        if self._how.chosen is None:
            self._erased_lines.close(ledgers=self._how.only is None)

    def check_unnamed(self) -> None:
        """Point out objects that no entry names. They are not evidence, and nothing vouches for them."""
        for prefix in _SEALED:
            for path in self.tree.reader.list(prefix):
                if path not in self._named:
                    sentence = "No entry names this object. A run that was cut off leaves such objects."
                    step = "Do not use it as evidence; the next delivery seals what belongs to it."
                    self._findings.pending(reasons.OBJECT_UNNAMED, path, sentence, step)

    def check_named(self, path: str) -> None:
        """Say that only one object was checked, if there is such an object."""
        if path not in self._named:
            raise UsageError(
                f"no entry of the log names {path}", next_step="Give its path in the store, data/source=..."
            )
        sentence = "Of the objects of all batches, only this one was checked, as was asked for."
        self._findings.unmeasured(reasons.OBJECTS_SKIPPED, path, sentence)

    def _check_log(self, year: int, listed: Sequence[str], *, grows: bool) -> None:
        policy = self._policy_of(year)
        shard = Shard(self.tree, year, policy, sort_listing(year, listed))
        self._shards[year] = shard
        shard.check()
        self._check_entries(shard)
        before = self._witnessed
        witnessed = check_witnesses(self.tree, shard, policy, self._freshness, before=before, grows=grows)
        self._witnessed = witnessed
        stamp = check_timestamps(self.tree, year, shard.listing.timestamps, self._authority)
        self.summaries.append(_summary(shard, witnessed, stamp))

    def _policy_of(self, year: int) -> Policy | None:
        """The policy to go by: the caller's, else the copy's own, which shows self-consistency only."""
        if year not in self._policies:
            own = self._own_policy(year)
            path = paths.policy(year)
            if self._policy is None and own is not None:
                self._findings.unmeasured(reasons.POLICY_FROM_COPY, path, _SELF_CONSISTENT, _GET_POLICY)
            elif self._policy is not None and own is not None and not set(own.logs) & set(self._policy.logs):
                sentence = "The policy in the copy trusts none of the logs that yours trusts."
                self._findings.changed(reasons.POLICY_DIFFERS, path, sentence, _GET_POLICY)
            self._policies[year] = own if self._policy is None else self._policy
        return self._policies[year]

    def _own_policy(self, year: int) -> Policy | None:
        path = paths.policy(year)
        missing = (reasons.POLICY_MISSING, "The log's own copy of its policy is not there.")
        text = self.tree.fetch(path, MAX_POLICY_BYTES, missing)
        try:
            return None if text is None else parse_policy(text)
        except VerificationError as error:
            self._findings.changed(error.reason, path, f"The policy cannot be used ({error}).")
            return None

    def _check_entries(self, shard: Shard) -> None:
        origin = shard.checkpoint.origin if shard.checkpoint is not None else None
        chain, keys = Chain(shard.year, origin, self._findings), Keys(shard, self._findings)
        for index, data in shard.entries():
            self.tree.progress(f"log {shard.year}", index, shard.size)
            if data is None:
                chain.lose()
                self._audits.lose()
                self._lose()
                continue
            self._findings.counted["entries"] += 1
            entry = chain.take(index, data)
            if entry is None:
                self._lose()
            elif entry["type"] == "seal":
                self._named.update(named_paths(entry))
                self._batches.take(data, entry)
                self._custody.seal(entry)
                self._audits.seal(shard.year, index, entry)
                self._completeness.seal(shard.year, index, entry, data)
                self._dispositions.seal(shard.year, index, entry, data)
                self._erased_lines.seal(entry)
                self._key_table.take(shard.year, index, entry)
            else:
                keys.take(index, entry)
                check_access(self._findings, origin, shard.year, index, entry)
                self._key_table.take(shard.year, index, entry)
                self._erasures.take(shard.year, index, entry)
                self._erased_lines.take(shard.year, index, entry)
                self._officers.take(origin, shard.year, index, entry)
                self._dispositions.take(shard.year, index, entry)
                self._named.update(self._custody.take(entry))
                self._named.update(self._audits.take(entry, self._shards))
                self._named.update(self._completeness.take(shard.year, index, entry))
                self._named.update(self._holds.take(shard.year, index, entry))
        self._batches.finish()
        keys.judge()
        self.tree.progress(f"log {shard.year}", shard.size, shard.size)
        for index, pending in shard.pending_entries():
            entry = chain.take(index, pending)
            if entry is not None and entry["type"] == "seal":
                self._named.update(named_paths(entry))
            elif entry is not None:
                self._named.update(named_lists(entry))
                self._named.update([named["path"]] if (named := listed(entry)) is not None else [])
        if chain.genesis is not None:
            self._check_previous(shard, chain.genesis["previous_shard"], given_up="revoked" in chain.genesis)

    def _lose(self) -> None:
        """Tell all who follow entries over the logs that one could not be read."""
        for followed in (
            self._holds,
            self._key_table,
            self._erasures,
            self._erased_lines,
            self._officers,
            self._dispositions,
            self._completeness,
        ):
            followed.lose()

    def _check_previous(self, shard: Shard, note: str | None, *, given_up: bool) -> None:
        """Compare the log before this one with the final checkpoint that the genesis entry holds."""
        before = self._shards.get(max((year for year in self._shards if year < shard.year), default=0))
        path = paths.sequence(shard.year, 0)
        if note is None:
            if before is not None and before.checkpoint is not None:
                sentence = "The genesis entry says that there was no log before, but there is one."
                self._findings.changed(reasons.SHARD_MISMATCH, path, sentence)
            return
        if before is None:
            sentence = "The genesis entry continues an older log, and none is here."
            self.tree.absent(paths.checkpoint(shard.year - 1), reasons.SHARD_MISSING, sentence)
            return
        policy = self._policy_of(before.year)
        if policy is None:
            return
        try:
            last = policy.open_signed(note.encode())
            if given_up:
                check_recovery(before, last.size, self._findings)
            if not before.begins_with(last):
                sentence = (
                    "The log before this one does not begin with the tree that the genesis entry closed."
                )
                self._findings.changed(reasons.SHARD_MISMATCH, path, sentence)
        except VerificationError as error:
            sentence = f"The checkpoint of the log before this one is not to be believed ({error})."
            self._findings.changed(error.reason, path, sentence)


def _summary(shard: Shard, witnessed: Witnessed | None, stamp: Timestamp | None) -> ShardSummary:
    checkpoint = shard.checkpoint
    return ShardSummary(
        year=f"{shard.year:04d}",
        origin="" if checkpoint is None else checkpoint.origin,
        size=shard.size,
        root="" if checkpoint is None else checkpoint.root.hex(),
        checkpoints=len(shard.signed),
        pending=len(shard.pending),
        signed=shard.holds,
        witnessed=None if witnessed is None else witnessed.as_dict(),
        timestamp=None if stamp is None else stamp.as_dict(),
    )


_NO_LOG = "Point the command at the root of a copy, the folder that holds log/ and data/, or at a bundle."
_SELF_CONSISTENT = (
    "The key that signed was taken from the copy itself. This shows that the copy is consistent with "
    "itself, and does not show who signed it."
)
_GET_POLICY = "Get the policy file from the log's owner by another way and pass it with --policy."
