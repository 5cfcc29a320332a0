"""The redaction report of one seal entry: its form, and that its counts are those of the entry.

Whether personal data is left in the records is not looked at: that takes detectors, and a verifier has none.
"""

from __future__ import annotations

from tasks.errors import VerificationError
from tasks.evidence.redaction import contradictions, parse_report
from tasks.evidence.seal_entry import SealEntry
from tasks.verify import reasons
from tasks.verify.access import Tree


def check_redaction(tree: Tree, entry: SealEntry) -> None:
    """Check an entry's redaction report."""
    data, as_sealed = tree.sealed(entry["redaction"])
    if data is None or not as_sealed:
        return
    path = entry["redaction"]["path"]
    try:
        found = contradictions(parse_report(data), entry)
    except (ValueError, VerificationError) as error:
        tree.findings.changed(reasons.REDACTION_FORM, path, f"It is no redaction report ({error}).")
        return
    if found:
        sentence = f"The redaction report and its entry do not agree: {', '.join(found)}."
        tree.findings.changed(reasons.REDACTION_COUNTS, path, sentence)
