"""The bundle's report: one self-contained HTML page for people, one CSV file for spreadsheets."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

import jinja2

from tasks.export.accesses import accesses
from tasks.export.audits import audits
from tasks.export.completeness import coverage, explained
from tasks.export.controls import PLACES, RETENTION, Framework
from tasks.export.erasures import erasures
from tasks.export.facts import COUNTS, OUTCOMES, BatchFacts, Facts
from tasks.export.holds import holds
from tasks.export.log import SignedLog
from tasks.export.scope import Scope

TEMPLATE: Final = "report.html.j2"
_COLUMNS: Final = (
    "log", "entry", "source", "source_seq", "sealed_at", *COUNTS, "bytes", "files", "first_event_date",
    "last_event_date", "contract_version", "contract_sha256", "gate_success", "held", "retain_until",
)  # fmt: skip


def render_report(
    scope: Scope, facts: Facts, store_uri: str, chosen: Framework | None, *, stamped: bool = False
) -> bytes:
    """The page.

    Args:
        scope: the period and its batches.
        facts: what was counted.
        store_uri: where the evidence was taken from.
        chosen: adds a table of a framework's controls.
        stamped: the bundle has time-stamps.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["n"] = lambda value: f"{value:,}"
    environment.filters["day"] = _day
    environment.filters["instant"] = lambda text: text[:16].replace("T", " ") or "none"
    template = environment.from_string(files("tasks.export").joinpath(TEMPLATE).read_text("utf-8"))
    sums = facts.sums()
    page = template.render(
        scope=scope,
        facts=facts,
        store_uri=store_uri,
        sums=sums,
        total={name: sum(counts[name] for counts in sums.values()) for name in COUNTS},
        outcomes=OUTCOMES,
        reasons=[(*key, lines) for key, lines in sorted(facts.reasons().items())],
        logs=[_log(log) for log, _ in scope.logs],
        keys=sorted({key for batch in scope.batches for key in batch.entry["keys"]}),
        framework=chosen,
        places=PLACES,
        retention=RETENTION,
        holds=holds(scope),
        accesses=accesses(scope),
        erasures=erasures(scope),
        coverage=coverage(scope),
        explained=explained(scope),
        audits=audits(scope),
        stamped=stamped,
    )
    return page.encode("utf-8")


def render_summary(facts: Facts) -> bytes:
    """One CSV line a batch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(_summary(batch) for batch in facts.batches)
    return text.getvalue().encode("utf-8")


def _summary(facts: BatchFacts) -> dict[str, Any]:
    entry = facts.batch.entry
    days = sorted(file["event_date"] for file in entry["files"])
    return {
        "log": facts.batch.log.year,
        "entry": facts.batch.index,
        "source": entry["source"],
        "source_seq": entry["source_seq"],
        "sealed_at": entry["sealed_at"],
        **entry["sums"],
        "files": len(entry["files"]),
        "first_event_date": days[0] if days else "",
        "last_event_date": days[-1] if days else "",
        "contract_version": entry["contract"]["version"],
        "contract_sha256": entry["contract"]["sha256"],
        "gate_success": str(entry["gate"]["success"]).lower(),
        "held": str(entry["gate"]["held"]).lower(),
        "retain_until": entry["retain_until"],
    }


def _log(log: SignedLog) -> Mapping[str, Any]:
    return {
        "year": log.year,
        "origin": log.checkpoint.origin,
        "size": log.checkpoint.size,
        "root": log.checkpoint.root.hex(),
        "note": log.note.decode("utf-8"),
        "vkey": log.verifier.vkey,
        "cosigners": [key.name for key in log.cosigners],
        "fingerprint": hashlib.sha256(log.verifier.public_key).hexdigest(),
    }


def _day(moment: datetime | None) -> str:
    return "no lock" if moment is None else moment.strftime("%Y-%m-%d %H:%M UTC")
