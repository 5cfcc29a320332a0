"""The page of an audit: one HTML file that says at a glance whether all holds, and what was not looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import jinja2

from tasks.audit.confidence import in_words
from tasks.audit.findings import CHECKS
from tasks.evidence.audit_entry import FAILING

_STATES: Final = {"holds": "holds", "fails": "does not hold", "not-measured": "not measured"}


def render(
    entry: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    *,
    store: str,
    place: tuple[int, int] | None,
) -> bytes:
    """The page.

    Args:
        entry: the audit's entry, or the body of it.
        lines: its report.
        store: where the evidence lies.
        place: shard and index of the entry.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["n"] = lambda value: f"{value:,}"
    template = environment.from_string(files("tasks.audit").joinpath("report.html.j2").read_text("utf-8"))
    found = sorted(
        (line for line in lines if line["type"] == "finding"),
        key=lambda line: (line["verdict"] not in FAILING, list(CHECKS).index(line["check"]), line["code"]),
    )
    checks = [line for line in lines if line["type"] == "check"]
    page = template.render(
        entry=entry,
        checks=sorted(checks, key=lambda line: list(CHECKS).index(line["name"])),
        asked=CHECKS,
        states=_STATES,
        failing=FAILING,
        found=found,
        unmeasured=[line["name"] for line in checks if line["state"] == "not-measured"],
        failed=[line["name"] for line in checks if line["state"] == "fails"],
        sample=in_words(entry["sample"]),
        store=store,
        place=place,
    )
    return page.encode("utf-8")
