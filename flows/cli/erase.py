"""`indelible subject erase request|approve|list`: a person asks to be forgotten."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows import erasure, reidentify
from flows.approvals import Ask, parse_ask
from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working
from flows.cli.hold import RequestedBy
from flows.cli.reidentify import write_file
from flows.cli.subject_access import NamesFile, identifiers
from tasks.evidence.privacy_entry import Basis
from tasks.subjects.requests import open_requests

app = typer.Typer(
    help="Forget a person: two people agree, keys are destroyed, a certificate says where.",
    no_args_is_help=True,
)
_BASES: dict[str, Basis] = {"legal-obligation": "GDPR 17(3)(b)", "legal-claims": "GDPR 17(3)(e)"}


@app.command()
def request(
    reason: Annotated[str, typer.Option(help="Why, in one line. It is sealed for ever: no personal data.")],
    names_file: NamesFile = None,
    requested_by: RequestedBy = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file that an officer is to sign; no personal data.")
    ] = Path("erasure.json"),
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Write down that a person asked to be forgotten. Nothing is destroyed, and no identifier is stored."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    words = identifiers(names_file)
    made = erasure.request(runtime, words, requested_by or getpass.getuser(), reason)
    write_file(output, erasure.ask(runtime, made).encode())
    if as_json:
        print_json({"request": made.id, "identifiers": len(made.subjects), "file": str(output)})
        return
    out.print(f"request {made.id}: one person, identifiers {len(made.subjects)}")
    out.print(f"{output} is for an officer to sign: indelible officer sign {output} --key OFFICER.pem")
    next_step(
        f"somebody else, with the same identifiers: indelible subject erase approve {made.id} --approval {output}"
    )


@app.command()
def approve(
    request_id: Annotated[str, typer.Argument(metavar="REQUEST", help="As `erase request` printed it.")],
    approval: Annotated[
        Path | None,
        typer.Option(help="The file of the request, as an enrolled officer signed it.", show_default=False),
    ] = None,
    approver: Annotated[
        str | None,
        typer.Option(help="Who approves it, while nobody is enrolled as an officer.", show_default=False),
    ] = None,
    names_file: NamesFile = None,
    basis: Annotated[
        Literal["legal-claims", "legal-obligation"],
        typer.Option(help="What a refusal rests on, where a legal hold covers the person's records."),
    ] = "legal-claims",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Directory for the certificate; default: in the state directory.",
            show_default=False,
        ),
    ] = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Destroy the person's keys, seal it, and write a certificate; or refuse, where a legal hold is in force.

    Interrupted, give the same command again.
    """
    runtime = runtime_with(store=store, endpoint=endpoint)
    words = identifiers(names_file)
    asked = Ask({}) if approval is None else parse_ask(reidentify.read_file(approval))
    who, signature = asked.approved_by(approver)
    with working(as_json, "reading the log") as progress:
        done = erasure.approve(
            runtime, request_id, words, who,
            approval=signature, basis=_BASES[basis], directory=output, progress=progress,
        )  # fmt: skip
    plan = done.plan
    lines = sum(map(len, plan.numbers.values()))
    alone = sum(item["drops"] for item in plan.alone)
    if as_json:
        print_json(
            {
                "outcome": plan.outcome,
                "keys": plan.keys,
                "files": len(plan.files),
                "rows": sum(file["rows"] for file in plan.files),
                "quarantined_lines": lines,
                "drops_alone": alone,
                "holds": plan.holds,
                "entries": [f"{year}-{index}" for year, index in done.entries],
                "directory": str(done.directory),
                "checkpoint": done.checkpoint.as_json(),
            }
        )
        return
    if plan.holds:
        out.print(f"refused: legal holds {', '.join(plan.holds)} cover the person's records ({plan.basis})")
    else:
        rows = sum(file["rows"] for file in plan.files)
        out.print(f"{plan.outcome}: keys {len(plan.keys)}, rows {rows:,} (files {len(plan.files):,})")
        out.print(f"quarantined lines: {lines:,} erased of {plan.searched:,} that were read")
    if alone:
        out.print(
            f"drops about this person alone: {alone:,}; who guesses one whole can test it, see the papers"
        )
    out.print(
        f"sealed as {', '.join(f'{year}-{index}' for year, index in done.entries)}; papers in {done.directory}"
    )
    if plan.backups and not plan.holds:
        out.print(f"backups of the key table hold the keys until {max(ends for _, ends in plan.backups)}")
        next_step("indelible key rewrap, which ends them now")
    else:
        next_step("indelible verify")


@app.command("list")
def list_(store: Store = None, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """Requests that are open. Those that ended are in the catalog: SELECT * FROM erasures."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    found = open_requests(runtime.key_table.database)
    if as_json:
        keys = ("id", "created_at", "requested_by", "reason")
        print_json(
            [{key: getattr(item, key) for key in keys} | {"begun": item.plan is not None} for item in found]
        )
        return
    if not found:
        out.print("no request is open")
        return
    for item in found:
        state = "waits for approval" if item.plan is None else "begun: approve it again"
        out.print(f"{item.id}  {item.created_at}  {item.requested_by}: {item.reason} ({state})")
    next_step("indelible subject erase approve REQUEST --approval FILE --ids FILE")
