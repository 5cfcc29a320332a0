"""What checks of the chain of custody left behind for a bundle's period: reports, AWS's digest files and keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tasks.custody.report import parse_report
from tasks.errors import VerificationError
from tasks.evidence.custody_entry import CustodyEntry
from tasks.evidence.entry import parse_entry
from tasks.export.facts import load_object
from tasks.export.scope import Scope
from tasks.storage.protocol import ObjectStore

_MARK: Final = b'"kind":"cloudtrail-custody"'


def custody_objects(store: ObjectStore, scope: Scope) -> list[Mapping[str, Any]]:
    """The objects that results about days of the period name.

    Raises:
        VerificationError: a report is not the one that was sealed, or is none.
        NotFoundError: a report is not there.
    """
    found: list[Mapping[str, Any]] = []
    for entry in _results(scope):
        try:
            report = parse_report(load_object(store, entry["report"]))
        except ValueError as error:
            raise VerificationError(
                "custody-report",
                f"{entry['report']['path']} is no report of a check ({error})",
                next_step="Run `indelible verify`; nothing was exported.",
            ) from error
        found += [entry["report"], *entry["keys"], *(line["archived"] for line in report.digests)]
    return found


def _results(scope: Scope) -> Iterator[CustodyEntry]:
    for _, entries in scope.logs:
        for data in entries:
            entry = parse_entry(data) if _MARK in data else None
            if entry is not None and entry["type"] == "audit" and entry["kind"] == "cloudtrail-custody":
                first, last = entry["scope"]["since"], entry["scope"]["until"]
                since, until = scope.since.isoformat(), scope.until.isoformat()
                if (first is None or first <= until) and (last is None or last >= since):
                    yield entry
