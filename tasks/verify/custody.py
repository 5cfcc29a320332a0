"""Sealed results of custody checks, made again from what the checks archived.

Nothing but the copy is needed: AWS's digest files and keys lie under `custody/`, and the ledgers are those of
the seal entries before the result. A report may not have left anything out. Whether the keys are AWS's own
cannot be told from a copy. That custody was found broken is no fault of the evidence: it is what it says.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from typing import TypedDict

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tasks.custody import Checked, Drops, Window, check, read_keys
from tasks.custody.findings import LOG_MISSING, LOG_PENDING, LOG_UNCOVERED
from tasks.custody.report import VALID, Report, parse_report, stored
from tasks.errors import VerificationError
from tasks.evidence.canonical import parse_canonical
from tasks.evidence.custody_entry import CustodyEntry
from tasks.evidence.entry import Entry
from tasks.evidence.schema import Digest
from tasks.evidence.schema import check as check_schema
from tasks.evidence.seal_entry import LedgerRef, SealEntry
from tasks.verify import reasons
from tasks.verify.access import Tree


class _Drop(TypedDict):
    key: str
    raw_sha256: Digest


class CustodyResults:
    """Follows the sealed results of all logs, the oldest first."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._ledgers: dict[str, list[LedgerRef]] = {}

    def seal(self, entry: SealEntry) -> None:
        """Remember the ledger of a seal entry, for the results that come after it."""
        self._ledgers.setdefault(entry["source"], []).append(entry["ledger"])

    def take(self, entry: Entry) -> list[str]:
        """Check one entry under a checkpoint.

        Returns:
            Paths of the objects that it names, if it is a result.
        """
        if entry["type"] != "audit" or entry["kind"] != "cloudtrail-custody":
            return []
        facts = entry["report"]
        named = [facts["path"], *(keys["path"] for keys in entry["keys"])]
        data, as_sealed = self._tree.sealed(facts)
        if data is None or not as_sealed:
            return named
        try:
            report = parse_report(data)
            self._compare(entry, report)
        except (ValueError, KeyError, TypeError, VerificationError) as error:
            self._wrong(facts["path"], f"It cannot be what a check found ({error}).")
            return named
        return [*named, *(line["archived"]["path"] for line in report.digests)]

    def _compare(self, entry: CustodyEntry, report: Report) -> None:
        """Check the report against its entry, and both against what is archived."""
        path = entry["report"]["path"]
        counted = Counter(line["code"] for line in report.findings)
        if counted != {finding["code"]: finding["count"] for finding in entry["findings"]}:
            self._wrong(path, "Its findings are not as many as the entry says.")
        again = self._again(entry, report)
        if again is None:
            sentence = "It was not made again: not all that it rests on is here as it was sealed."
            self._tree.findings.unmeasured(reasons.CUSTODY_SKIPPED, path, sentence)
            return
        states = {item.key: item.digest is not None for item in again.digests}
        if states != {line["key"]: line["state"] == VALID for line in report.digests}:
            self._wrong(path, "Whether digest files hold is not as it says.")
        left_out = _findings((f.code, f.key) for f in again.findings) - _findings(
            (line["code"], line["key"]) for line in report.findings
        )
        for code, key in sorted(left_out):
            self._wrong(path, f"It leaves out {code} of {key}.")

    def _again(self, entry: CustodyEntry, report: Report) -> Checked | None:
        keys: dict[str, RSAPublicKey] = {}
        for facts in entry["keys"]:
            data, as_sealed = self._tree.sealed(facts)
            if data is None or not as_sealed:
                return None
            keys |= read_keys(data)
        archived = [(line, *self._tree.sealed(line["archived"])) for line in report.digests]
        ledgers = [self._drops(facts) for facts in self._ledgers.get(entry["scope"]["source"], ())]
        whole = [ledger for ledger in ledgers if ledger is not None]
        digests = [(line, data) for line, data, as_sealed in archived if data is not None and as_sealed]
        if len(whole) < len(ledgers) or len(digests) < len(archived):
            return None
        sealed = Drops([drop for ledger in whole for drop in ledger])
        return check(stored(digests), keys, sealed, _window(entry))

    def _drops(self, facts: LedgerRef) -> list[tuple[str, str]] | None:
        """Key and SHA-256 of the content of a ledger's drops; None when it is not there as it was sealed."""
        data = self._tree.peek(facts["path"], facts["bytes"], facts["version_id"] or None)
        if data is None or hashlib.sha256(data).hexdigest() != facts["sha256"]:
            return None
        return list(_parsed(data))

    def _wrong(self, path: str, sentence: str) -> None:
        self._tree.findings.changed(reasons.CUSTODY_REPORT, path, sentence)


def _parsed(ledger: bytes) -> Iterator[tuple[str, str]]:
    for line in ledger.splitlines():
        drop = parse_canonical(line)
        check_schema({name: drop[name] for name in _Drop.__annotations__}, _Drop, "drop")
        yield drop["key"], drop["raw_sha256"]


def _findings(found: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """What two checks must agree on: a copy has no landing place, so nothing waits there."""
    return {
        (LOG_MISSING if code == LOG_PENDING else code, key) for code, key in found if code != LOG_UNCOVERED
    }


def _window(entry: CustodyEntry) -> Window:
    since, until = entry["scope"]["since"], entry["scope"]["until"]
    return Window(*(None if day is None else date.fromisoformat(day) for day in (since, until)))
