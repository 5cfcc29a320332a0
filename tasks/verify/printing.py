"""The report in plain words."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from tasks.errors import VerificationError
from tasks.verify.report import MAX_FINDINGS, Finding, Report, ShardSummary, Verdict

_WIDTH = 100
_HEADINGS = {
    Verdict.CHANGED: "CHANGED: not what was sealed",
    Verdict.MISSING: "MISSING: sealed, and not here",
    Verdict.OK: "STILL GOOD, in spite of the above",
    Verdict.NOT_MEASURED: "NOT MEASURED: this check says nothing about",
    Verdict.NOT_SEALED_YET: "NOT SEALED YET: here, and no checkpoint vouches for it",
}


def print_report(report: Report, out: TextIO) -> None:
    """Print a whole tree's report."""
    out.write(_conclusion(report) + "\n\n")
    if report.scope is not None:
        since, until = report.scope["since"], report.scope["until"]
        out.write(f"Evidence bundle for {_plain(since)} to {_plain(until)}.\n")
    for shard in report.shards:
        state = "signature and tree hold" if shard.signed else "NOT PROVEN by a signed checkpoint"
        out.write(
            f"Log {shard.year} of {_plain(shard.origin or '(unknown)')}: {shard.size} entries, {state}.\n"
        )
        if shard.root:
            out.write(
                f"  root {shard.root}, {shard.checkpoints} checkpoints, {shard.pending} not covered yet\n"
            )
        for line in outside_lines(shard):
            out.write(f"  {line}\n")
    names = ("entries", "objects", "bytes", "drops", "lines", "rows")
    if "records" in report.counted:
        out.write(f"Proven: {report.counted['records']:,} records.\n")
    else:
        out.write("Checked: " + ", ".join(f"{report.counted.get(n, 0):,} {n}" for n in names) + ".\n")
    if report.resumed is not None:
        out.write(resumed_line(report.resumed) + "\n")
    for verdict, heading in _HEADINGS.items():
        _print_findings(heading, report, verdict, out)


def outside_lines(shard: ShardSummary) -> Iterator[str]:
    """What witnesses and a time-stamping authority say of a log."""
    if shard.witnessed is not None:
        yield f"witnesses vouch for {shard.witnessed['size']} entries, seen {shard.witnessed['at']}"
    if shard.timestamp is not None:
        who = "signed by the authority that you trust" if shard.timestamp["trusted"] else "signer not checked"
        yield f"{shard.timestamp['size']} entries existed at {shard.timestamp['time']}: time-stamp, {who}"


def resumed_line(resumed: Mapping[str, Any]) -> str:
    """What an interrupted run had checked before this one."""
    began = _plain(resumed["began_at"])
    return f"The objects of {resumed['entries']:,} entries were checked in the run that began {began}."


def print_proof(result: Mapping[str, Any], out: TextIO) -> None:
    """Print what a proof file proves."""
    checkpoint = result["checkpoint"]
    out.write("PROVEN: this record is in the signed log, unaltered.\n\n")
    out.write(json.dumps(result["record"], indent=2) + "\n\n")
    lines = (
        f"Record      {result['record_id']}",
        f"Source      {result['source']}",
        f"Stands in   row {result['row']} of {result['rows']}, {result['file']}",
        f"Sealed at   {result['sealed_at']} (as the log's owner states it), as entry {result['entry']}",
        f"Checkpoint  {_plain(checkpoint['origin'])}, size {checkpoint['size']}, root {checkpoint['root']}",
    )
    out.write("\n".join(lines) + "\n")
    out.write(
        "The checkpoint satisfies the policy that you passed; trust rests on where you got that file.\n"
    )


def print_failed_proof(error: VerificationError, out: TextIO) -> None:
    """Print why a proof file proves nothing."""
    out.write(f"NOT PROVEN ({error.reason}).\n  {_plain(str(error))}\n  -> {error.next_step}\n")


def _conclusion(report: Report) -> str:
    if not report.ok:
        bad = report.totals.get(Verdict.CHANGED, 0), report.totals.get(Verdict.MISSING, 0)
        return f"DOES NOT HOLD: {bad[0]} changed, {bad[1]} missing."
    if report.key_source == "copy":
        return "CONSISTENT WITH ITSELF. Who signed it was not shown: the key came from the copy."
    if report.totals.get(Verdict.NOT_MEASURED):
        return "HOLDS AS FAR AS MEASURED: nothing is changed or missing, under the policy that you passed."
    return "HOLDS: everything is as it was sealed, under the policy that you passed."


def _print_findings(heading: str, report: Report, verdict: Verdict, out: TextIO) -> None:
    found = [finding for finding in report.findings if finding.verdict is verdict]
    if not found:
        return
    out.write(f"\n{heading}\n")
    for finding in found:
        _print_finding(finding, out)
    if report.totals[verdict] > len(found):
        out.write(f"  ... {report.totals[verdict]:,} in all; only the first {MAX_FINDINGS:,} are listed\n")


def _print_finding(finding: Finding, out: TextIO) -> None:
    where = "" if finding.record_id is None else f" (record {finding.record_id})"
    out.write(f"  {finding.reason}  {_plain(finding.path)}{where}\n")
    for text in (finding.sentence, f"-> {finding.next_step}" if finding.next_step else ""):
        if text:
            indent = "      "
            out.write(
                textwrap.fill(_plain(text), _WIDTH, initial_indent=indent, subsequent_indent=indent) + "\n"
            )


def _plain(text: object) -> str:
    """Text from the copy without control characters, so that it cannot steer a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))
