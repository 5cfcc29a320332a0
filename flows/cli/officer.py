"""`indelible officer keys|request|sign|enrol|withdraw|list`."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from flows import officers
from flows.approvals import parse_ask
from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working
from flows.cli.hold import Approver, Reason, RequestedBy, order_of
from flows.cli.reidentify import Key, Output, PassphraseFile, passphrase, plain, write_file
from flows.receipts import CheckpointReceipt
from flows.reidentify import read_file
from tasks.keyring import officers as keyring

app = typer.Typer(
    help="Officers, who turn pseudonyms back and approve erasures: enrolled and withdrawn in the log.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="The officer's name: a-z, 0-9 and -. It is sealed for ever.")]


@app.command()
def keys(name: Name, output: Output, passphrase_file: PassphraseFile = None, as_json: AsJson = False) -> None:
    """Make an officer's keys, on a machine of their own. The private ones stay in the file."""
    key = keyring.create(output, name, passphrase(passphrase_file))
    if as_json:
        print_json({"name": name, "sign_key": key.sign_key, "open_key": key.open_key, "file": str(output)})
        return
    out.print(f"{output} holds the private keys of {name}; nobody else may have them.")
    out.print(f"sign key {key.sign_key}\nopen key {key.open_key}")
    next_step(
        f"where the log is: indelible officer request {name} --sign-key {key.sign_key} --open-key {key.open_key} "
        "--reason TEXT"
    )


@app.command()
def request(
    name: Name,
    sign_key: Annotated[str, typer.Option(help="As `officer keys` showed it.")],
    open_key: Annotated[str, typer.Option(help="As `officer keys` showed it.")],
    reason: Reason,
    output: Output = Path("officer.json"),
    requested_by: RequestedBy = None,
    as_json: AsJson = False,
) -> None:
    """Ask that somebody become an officer. An officer who is enrolled must sign the file that this writes."""
    asked = officers.request(
        runtime_with(),
        name,
        sign_key,
        open_key,
        requested_by=requested_by or getpass.getuser(),
        reason=reason,
    )
    write_file(output, asked.encode())
    if as_json:
        print_json({"name": name, "file": str(output)})
        return
    out.print(f"{output}: {name}, for an officer to sign; the first ones nobody can sign for")
    next_step(
        f"indelible officer sign {output} --key OFFICER.pem, or for the first: "
        f"indelible officer enrol {output} --approver NAME"
    )


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(help="What is to be approved: an officer, or an erasure.")],
    key: Key,
    passphrase_file: PassphraseFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before signing.")] = False,
) -> None:
    """Approve, as an officer, that somebody is enrolled or a person is erased. Read it first."""
    asked = parse_ask(read_file(file))
    table = Table(show_header=False, box=None, pad_edge=False)
    kind = {"key": "a new officer", "erasure": "an erasure, or its refusal where a legal hold is in force"}
    table.add_row("approve", kind[asked.statement["type"]])
    for field in sorted(asked.statement.keys() - {"type", "format"}):
        table.add_row(field.replace("_", " "), plain(asked.statement[field]))
    out.print(table)
    if not yes:
        typer.confirm("Do you approve?", abort=True)
    signed = asked.sign(keyring.read(key, passphrase(passphrase_file)))
    write_file(file, signed.encode())
    out.print(f"signed by {signed.approver}")
    if asked.statement["type"] == "key":
        next_step(f"indelible officer enrol {file}")
    else:
        next_step(
            f"indelible subject erase approve {asked.statement['request']} --approval {file} --ids FILE"
        )


@app.command()
def enrol(
    file: Annotated[Path, typer.Argument(help="As `officer request` wrote it, and an officer signed it.")],
    approver: Annotated[
        str | None,
        typer.Option(help="Who approves, while nobody is enrolled who could sign.", show_default=False),
    ] = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Seal that somebody is an officer from here on."""
    asked = parse_ask(read_file(file))
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "sealing"):
        checkpoint = officers.enrol(runtime, asked, approver)
    _done(f"{asked.statement['name']} is an officer", asked.statement["name"], checkpoint, as_json)


@app.command()
def withdraw(
    name: Name,
    approver: Approver,
    reason: Reason,
    requested_by: RequestedBy = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Seal that somebody is no officer any more: they left, or a key may be known to others."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "sealing"):
        checkpoint = officers.withdraw(runtime, order_of(approver, requested_by, reason), name)
    _done(f"{name} is no officer any more", name, checkpoint, as_json)


@app.command("list")
def list_(store: Store = None, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """All officers there ever were, as the log tells it."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "reading the log"):
        found = officers.enrolments(runtime)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    if not found:
        out.print(
            "nobody is enrolled: pseudonyms cannot be turned back, and erasures are approved by a name alone"
        )
        next_step("indelible officer keys NAME -o NAME.pem")
        return
    table = Table("name", "enrolled", "approved by", "withdrawn", "sign key", box=None, pad_edge=False)
    for one in found:
        approved = f"{one.approver} ({'signed' if one.signed else 'by name'})"
        table.add_row(
            one.name, f"{one.enrolled_at} ({one.enrolled})", approved, one.withdrawn_at or "", one.sign_key
        )
    out.print(table)
    next_step("give the sign keys to auditors by another way, to be compared")


def _done(sentence: str, name: str, checkpoint: CheckpointReceipt, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "checkpoint": checkpoint.as_json()})
        return
    out.print(sentence)
    out.print(f"sealed; log {checkpoint.shard} is signed up to {checkpoint.size} entries")
    next_step("indelible officer list")
