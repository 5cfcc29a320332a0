"""What an `access` entry says beyond its form: two officers signed for this log, and not for somebody else's."""

from __future__ import annotations

from tasks.evidence import paths
from tasks.evidence.entry import Entry
from tasks.verify import reasons
from tasks.verify.report import Findings

_STEP = "Ask the two officers what they signed; the records are what was sealed all the same."


def check_access(findings: Findings, origin: str | None, year: int, index: int, entry: Entry) -> None:
    """Check one entry under a checkpoint; `origin` is that of its log, None if it is not known."""
    if entry["type"] != "access" or entry["action"] != "reidentify" or origin is None:
        return
    if entry["request"]["origin"] != origin.rpartition("/")[0]:
        sentence = "Its officers signed a request for another deployment, and not for this log's."
        findings.changed(reasons.ACCESS_FOREIGN, paths.sequence(year, index), sentence, _STEP)
