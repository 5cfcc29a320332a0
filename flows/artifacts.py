"""What a person reads in the Prefect UI after a run: receipts in Markdown, with sums that add up.

Counts, rule names and log coordinates only. Nothing that a record, a key of a drop or a sender holds may get
here: artifacts lie in Prefect's database, which is neither locked nor redacted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from prefect import runtime as prefect_runtime
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact

from flows.receipts import BatchReceipt, CheckpointReceipt, StartedRun
from tasks.audit.confidence import in_words
from tasks.evidence.audit_entry import FAILING
from tasks.storage import ObjectStore
from tasks.verify.report import Report, Verdict

MAX_ROWS: Final = 100
AFTER_HOLD: Final = (
    "`indelible quarantine list`, correct the contract or the sender, then `indelible quarantine replay`."
)
_SUMS: Final = ("lines", "accepted", "quarantined", "duplicate", "blank")


def publish(key: str, markdown: str, description: str) -> None:
    """Attach a text to the run that is under way. Runs of one key make up a history in the UI."""
    name = re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-")
    create_markdown_artifact(f"{markdown.rstrip()}\n\n{_links(name)}\n", key=name, description=description)


class Progress:
    """How far a run is, as a bar in the UI. A run of one batch gets none: it would be full or empty."""

    def __init__(self, source: str, batches: int) -> None:
        self._batches, self._done = batches, 0
        self._bar: UUID | None = None
        if batches > 1:
            key, what = f"progress-{source}", f"{source}: {count(batches, 'batch')} to seal"
            self._bar = create_progress_artifact(0.0, key=key, description=what)  # type: ignore[assignment]

    def step(self) -> None:
        """One more batch is done."""
        self._done += 1
        if self._bar is not None:
            update_progress_artifact(self._bar, 100.0 * self._done / self._batches)


def _links(key: str) -> str:
    """Where to go on from a receipt: pages of the same server."""
    run, deployment = prefect_runtime.flow_run, prefect_runtime.deployment
    pages = [(f"Run {run.name}", f"/runs/flow-run/{run.id}")] if run.id else []
    pages += [("Deployment", f"/deployments/deployment/{deployment.id}")] if deployment.id else []
    pages.append(("Receipts before this one", f"/artifacts/key/{key}"))
    pages += [("Last verification", "/artifacts/key/verify")] if key != "verify" else []
    return "---\n\n" + " · ".join(f"[{_inline(text)}]({path})" for text, path in pages)


def sentence(receipt: BatchReceipt) -> str:
    """One batch in one line."""
    return (
        f"{'held' if receipt.held else 'sealed'} as entry {receipt.entry}: "
        f"{count(receipt.drops, 'drop')}, "
        f"{count(receipt.lines, 'line')} = {receipt.accepted:,} accepted"
        f" + {receipt.quarantined:,} quarantined + {receipt.duplicate:,} duplicate + {receipt.blank:,} blank"
    )


def count(number: int, noun: str) -> str:
    """`1 batch`, `2,000 batches`."""
    plural = "es" if noun.endswith(("ch", "s")) else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def held_entries(receipts: Sequence[BatchReceipt]) -> str:
    """`log entry 7`, `log entries 7, 9`."""
    held = [str(receipt.entry) for receipt in receipts if receipt.held]
    more = f" and {len(held) - MAX_ROWS:,} more" if len(held) > MAX_ROWS else ""
    return f"log {'entry' if len(held) == 1 else 'entries'} {', '.join(held[:MAX_ROWS])}{more}"


def delivery(
    source: str, receipts: Sequence[BatchReceipt], checkpoint: CheckpointReceipt, store: ObjectStore
) -> str:
    """The receipt of a delivery or a replay."""
    held = sum(receipt.held for receipt in receipts)
    parts = [f"# {_headline(source, len(receipts), held)}"]
    if receipts:
        parts += ["## What came, and what became of it", _sums(receipts)]
        parts += _held(receipts) + _quarantine(receipts) + _findings(receipts)
        parts += ["## Log entries", _entries(receipts)]
    parts += ["## What proves it", _proof(checkpoint, store), _commands(receipts)]
    return "\n\n".join(parts) + "\n"


def backfill(source: str, reason: str, runs: Sequence[tuple[str, StartedRun]]) -> str:
    """What a backfill started: a run a day, with links to them."""
    rows = ((day, f"[{_inline(run.name)}](/runs/flow-run/{run.id})") for day, run in runs[:MAX_ROWS])
    parts = [
        f"# {source}: {count(len(runs), 'day')} asked for",
        f"Reason given: {_inline(reason)}",
        _table(("day", "run"), rows),
    ]
    if len(runs) > MAX_ROWS:
        parts.append(f"and {len(runs) - MAX_ROWS:,} more.")
    parts.append(
        "The days are delivered one after another, after everything that is scheduled:"
        f" [how far they are](/runs?tag=backfill). Each leaves [a receipt](/artifacts/key/deliver-{source})."
        " Asking again for the same days and reason starts nothing twice."
    )
    return "\n\n".join(parts) + "\n"


def verification(report: Report) -> str:
    """What a verification looked at and found."""
    parts = [f"# {'Everything is as it was sealed' if report.ok else 'Evidence does not hold'}"]
    parts += ["## What was checked", _table(("kind", "number"), _numbers(report.counted), right=1)]
    parts += ["## Logs", _table(("log", "entries", "signed", "root"), _shards(report))]
    found = [f for f in report.findings if f.verdict is not Verdict.NOT_SEALED_YET]
    if found:
        rows = [
            (f.verdict.value, f"`{f.reason}`", f"`{f.path}`", _inline(f.sentence)) for f in found[:MAX_ROWS]
        ]
        parts += ["## Findings", _table(("verdict", "reason", "object", "what"), rows)]
        total = sum(
            count for verdict, count in report.totals.items() if verdict is not Verdict.NOT_SEALED_YET
        )
        parts += [f"and {total - MAX_ROWS:,} more."] if total > MAX_ROWS else []
    parts.append("Check it yourself, or let an auditor do so on a copy:")
    parts.append("```\nindelible verify\nindelible-verify COPY --policy POLICY\n```")
    return "\n\n".join(parts) + "\n"


def audit(entry: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], page: str) -> str:
    """What an audit looked at, what it found, and what to do."""
    marks = {"holds": "holds", "fails": "**does not hold**", "not-measured": "not measured"}
    checks = [(marks[x["state"]], x["name"], _inline(x["sentence"])) for x in lines if x["type"] == "check"]
    parts = [
        f"# {'The evidence holds' if entry['holds'] else 'The evidence does not hold'}",
        _inline(in_words(entry["sample"])),
        _table(("result", "check", "what was looked at"), checks),
    ]
    found = sorted((x for x in lines if x["type"] == "finding"), key=lambda x: x["verdict"] not in FAILING)
    if found:
        # Objects are not named: a drop's name is its sender's, and this text lies in Prefect's database.
        rows = [
            (x["verdict"], f"`{x['code']}`", f"{x['count']:,}", _inline(x["next_step"]))
            for x in found[:MAX_ROWS]
        ]
        parts += ["## Findings", _table(("verdict", "code", "times", "next step"), rows)]
    parts.append(f"The report names the objects: `{page}`")
    return "\n\n".join(parts) + "\n"


def bundle(summary: Mapping[str, Any]) -> str:
    """Where an evidence bundle lies and how an auditor checks it."""
    rows = [
        ("period", f"{summary['since']} to {summary['until']}, both included"),
        ("sources", ", ".join(summary["sources"])),
        *((name, f"{summary[name]:,}") for name in ("batches", "members", "bytes")),
        ("bundle", f"`{summary['bundle']}`"),
        ("policy", f"`{summary['policy']}`"),
    ]
    parts = [
        f"# Evidence of {summary['since']} to {summary['until']}",
        _table(("", ""), rows),
        "Give the auditor the bundle, and the policy by another way: it names the key to trust.",
        f"```\nindelible-verify {summary['bundle']} --policy {summary['policy']}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _headline(source: str, batches: int, held: int) -> str:
    if not batches:
        return f"{source}: nothing new"
    if held:
        return f"{source}: {held} of {count(batches, 'batch')} held"
    return f"{source}: {count(batches, 'batch')} sealed"


def _sums(receipts: Sequence[BatchReceipt]) -> str:
    total = {name: sum(getattr(r, name) for r in receipts) for name in (*_SUMS, "drops", "bytes", "files")}
    rows = [(name, f"{total[name]:,}") for name in _SUMS[1:]]
    rows.append(("**lines**", f"**{total['lines']:,}**"))
    came = f"{count(total['drops'], 'drop')}, {total['bytes']:,} bytes"
    return f"{came}, in {count(total['files'], 'data file')}.\n\n" + _table(
        ("became", "lines"), rows, right=1
    )


def _held(receipts: Sequence[BatchReceipt]) -> list[str]:
    if not any(receipt.held for receipt in receipts):
        return []
    return [
        "## Held",
        f"The contract's gate did not pass {held_entries(receipts)}. All lines are sealed in quarantine, "
        "encrypted: none is lost, and none is in the published tables.",
        f"Next: {AFTER_HOLD}",
    ]


def _quarantine(receipts: Sequence[BatchReceipt]) -> list[str]:
    rules: Counter[str] = Counter()
    for receipt in receipts:
        rules.update(receipt.rules)
    if not rules:
        return []
    rows = ((f"`{rule}`", f"{count:,}") for rule, count in rules.most_common(MAX_ROWS))
    first = next(receipt.entry for receipt in receipts if receipt.rules)
    note = (
        f"A line that breaks several rules counts under each. See them: `indelible quarantine show {first}`"
    )
    return ["## Set aside, by rule", _table(("rule", "lines"), rows, right=1), note]


def _findings(receipts: Sequence[BatchReceipt]) -> list[str]:
    flags = sorted({flag for receipt in receipts for flag in receipt.flags})
    unknown = len({name for receipt in receipts for name in receipt.unknown_fields})
    found = [f"`{flag}`" for flag in flags]
    # Names of unknown fields come from the sender, and a sender may put anything there.
    found += [f"{count(unknown, 'field')} that the contract does not name"] if unknown else []
    return ["## Also found", "\n".join(f"- {text}" for text in found)] if found else []


def _entries(receipts: Sequence[BatchReceipt]) -> str:
    names = ("entry", "state", "drops", *_SUMS)
    rows = [
        (
            f"{r.shard}/{r.entry}",
            "**held**" if r.held else "sealed",
            f"{r.drops:,}",
            *(f"{getattr(r, name):,}" for name in _SUMS),
        )
        for r in receipts[:MAX_ROWS]
    ]
    more = len(receipts) - MAX_ROWS
    return _table(names, rows, right=6) + (f"\n\nand {more:,} more." if more > 0 else "")


def _proof(checkpoint: CheckpointReceipt, store: ObjectStore) -> str:
    rows = [
        ("log", f"`{checkpoint.origin}`"),
        ("size", f"{checkpoint.size:,} entries{'' if checkpoint.advanced else ' (unchanged)'}"),
        ("root", f"`{checkpoint.root}`"),
        ("catalog", f"`{checkpoint.catalog}`"),
        *_confirmed(checkpoint),
        ("store", f"`{store.uri}` {'(WORM)' if store.worm else '(**not WORM**)'}"),
    ]
    return _table(("checkpoint", ""), rows)


def _commands(receipts: Sequence[BatchReceipt]) -> str:
    """How a person checks the receipt, and proves one record of it to somebody else."""
    lines = ["indelible verify"]
    proven = next((receipt for receipt in receipts if receipt.accepted and not receipt.held), None)
    if proven is not None:
        where = f"shard = {proven.shard} AND entry = {proven.entry}"
        lines += ['indelible query "SELECT record_id FROM access_events', f'    WHERE {where} LIMIT 1"']
        lines.append("indelible prove RECORD_ID -o record.proof")
    return "Check it yourself, and prove a record to others:\n\n```\n" + "\n".join(lines) + "\n```"


def _confirmed(checkpoint: CheckpointReceipt) -> Iterator[tuple[str, str]]:
    """What others say of the checkpoint; nothing where nobody is asked."""
    if checkpoint.witnessed is not None:
        yield "witnessed", f"{checkpoint.witnessed:,} entries"
    for name, problem in checkpoint.unwitnessed.items():
        yield f"not by {name}", _inline(problem)
    if checkpoint.timestamped is not None:
        yield "time-stamped", f"{checkpoint.timestamped:,} entries"
    if checkpoint.untimestamped:
        yield "not time-stamped", _inline(checkpoint.untimestamped)


def _numbers(counted: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(name, f"{number:,}") for name, number in sorted(counted.items())]


def _shards(report: Report) -> list[tuple[str, str, str, str]]:
    return [
        (f"`{s.origin}`", f"{s.size:,}", "yes" if s.signed else "**no**", f"`{s.root}`")
        for s in report.shards
    ]


def _table(names: Sequence[str], rows: Iterable[Sequence[str]], right: int = 0) -> str:
    """A Markdown table; the last `right` columns are numbers."""
    left = len(names) - right
    lines = [" | ".join(names), " | ".join([":---"] * left + ["---:"] * right)]
    lines += [" | ".join(cell.replace("|", r"\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _inline(text: str) -> str:
    """Free text as one line of literal Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))
