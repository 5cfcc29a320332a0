"""The whole check: digests, their chains, and the drops that they list."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks.custody.chain import EVERYTHING, Coverage, Window, follow
from tasks.custody.digest import Digest, StoredDigest, place, read_digest
from tasks.custody.findings import CODES, FAILURES, Finding
from tasks.custody.keys import Keys
from tasks.custody.matching import Drops, match
from tasks.errors import VerificationError


@dataclass(frozen=True, slots=True)
class Judged:
    """One digest file and what became of it.

    Attributes:
        key: where it lies.
        sha256: of its bytes as stored, in hex.
        metadata: what came with it.
        digest: what AWS signed, or None where the file does not hold; then a finding says why.
    """

    key: str
    sha256: str
    metadata: Mapping[str, str]
    digest: Digest | None


@dataclass(frozen=True, slots=True)
class Checked:
    """Result of a check.

    Attributes:
        digests: all digest files, in order of their keys.
        findings: what was found, digests first.
        counts: `digests`, `valid`, and those of `matching.Matched`.
    """

    digests: tuple[Judged, ...]
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]

    @property
    def holds(self) -> bool:
        """Whether nothing is changed and nothing is missing."""
        return not any(finding.verdict in FAILURES for finding in self.findings)

    def totals(self) -> dict[str, int]:
        """Code -> findings, in the order of the codes."""
        found = Counter(finding.code for finding in self.findings)
        return {code: found[code] for code in CODES if code in found}


def check(stored: Iterable[StoredDigest], keys: Keys, drops: Drops, window: Window = EVERYTHING) -> Checked:
    """Verify digest files and compare them with what is sealed. Goes on after each finding.

    Nothing that digests contain makes this function raise.

    Args:
        stored: the digest files of the window; their bytes are not kept.
        keys: AWS's public keys by fingerprint.
        drops: what is sealed and what has landed.
        window: the days that the check is about.
    """
    findings: list[Finding] = []
    judged = sorted((_judge(digest, keys, findings) for digest in stored), key=lambda item: item.key)
    findings.sort(key=lambda finding: finding.key)
    valid = [item.digest for item in judged if item.digest is not None]
    findings += follow(valid, {place(item.key): item.key for item in judged}, window)
    matched = match(valid, drops, Coverage(valid), window)
    counts = {"digests": len(judged), "valid": len(valid), **matched.counts}
    return Checked(tuple(judged), (*findings, *matched.findings), counts)


def _judge(stored: StoredDigest, keys: Keys, findings: list[Finding]) -> Judged:
    digest = None
    try:
        digest = read_digest(stored, keys)
    except VerificationError as error:
        said = str(error).partition(": ")[2]
        findings.append(Finding(error.reason, stored.key, f"{said[:1].upper()}{said[1:]}."))
    return Judged(stored.key, hashlib.sha256(stored.data).hexdigest(), stored.metadata, digest)
