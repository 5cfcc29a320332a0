"""What is sealed about the redaction of a batch (`tasks.evidence.redaction` has the form): counts, no values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from tasks.batch import DROP, LINE
from tasks.contracts.model import Contract, Field
from tasks.evidence.redaction import CanaryReport, LeakReport, RedactionReport
from tasks.redact.rescan import Leak
from tasks.redact.treatments import effective_treatment


def redaction_report(
    frame: pl.DataFrame,
    contract: Contract,
    fields: Sequence[Field],
    hits: Mapping[tuple[str, str], int],
    leaks: Sequence[LeakReport],
    canaries: CanaryReport,
) -> RedactionReport:
    """The report of a batch.

    Args:
        frame: accepted rows before redaction.
        contract: the policy.
        fields: those that were treated.
        hits: (column, detector) -> texts changed.
        leaks: what the re-scan found before its lines were set aside.
        canaries: what the rehearsal counted.
    """
    return {
        "canaries": canaries,
        "contract": contract.sha256,
        "fields": [
            {
                "field": field.name,
                "rows": frame.height - frame[field.name].null_count(),
                "treatment": effective_treatment(field),
            }
            for field in sorted(fields, key=lambda field: field.name)
        ],
        "format": "indelible/1",
        "hits": [
            {"detector": detector, "field": field, "texts": texts}
            for (field, detector), texts in sorted(hits.items())
        ],
        "leaks": list(leaks),
        "rows": frame.height,
        "source": contract.source,
    }


def leak_reports(frame: pl.DataFrame, leaks: Sequence[Leak]) -> list[LeakReport]:
    """Leaks with the place of the first of each. `frame` has the coordinates."""
    return [
        {
            "detector": leak.detector,
            "drop": frame[DROP][leak.rows[0]],
            "field": leak.field,
            "line": frame[LINE][leak.rows[0]],
            "rows": len(leak.rows),
        }
        for leak in sorted(leaks, key=lambda leak: (leak.field, leak.detector))
    ]
