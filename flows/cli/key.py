"""`indelible key list|rotate|revoke|compromise`, and the commands of `flows.cli.key_table`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from flows import keys
from flows.cli import key_table
from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working
from flows.cli.hold import Approver, Reason, RequestedBy, order_of
from flows.keys import LogKey
from flows.receipts import CheckpointReceipt

app = typer.Typer(
    help="The keys that sign logs, and those that pseudonymise and encrypt; each change is sealed in the log.",
    no_args_is_help=True,
)
app.add_typer(key_table.app)


@app.command("list")
def list_(store: Store = None, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """Show the keys of all logs and what became of them."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "reading the log"):
        known = keys.list_keys(runtime)
    if as_json:
        print_json([{**asdict(key), "key_id": key.key_id} for key in known])
        return
    table = Table("log", "key id", "state", "vkey", box=None, pad_edge=False)
    for key in known:
        table.add_row(str(key.shard), key.key_id, key.state, key.vkey)
    out.print(table)


@app.command()
def rotate(
    approver: Approver,
    reason: Reason,
    finish: Annotated[
        bool, typer.Option("--finish", help="Retire the old key, once verifiers know the new one.")
    ] = False,
    requested_by: RequestedBy = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Give the log a new key; until --finish, checkpoints carry the signatures of both."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    change = keys.finish if finish else keys.rotate
    with working(as_json, "retiring the old key" if finish else "announcing a new key"):
        key, checkpoint = change(runtime, order_of(approver, requested_by, reason))
    _show(key, checkpoint, as_json)
    if not finish and not as_json:
        out.print("Give verifiers and witnesses this line beside the ones that they have:")
        out.print(f"log {key.vkey}")
        next_step("indelible key rotate --finish --approver NAME --reason TEXT")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Its vkey, or the key id that `indelible key list` shows.")],
    approver: Approver,
    reason: Reason,
    requested_by: RequestedBy = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Say that a key is not to be believed from here on; another key must sign."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "revoking"):
        revoked, checkpoint = keys.revoke(runtime, order_of(approver, requested_by, reason), key)
    _show(revoked, checkpoint, as_json)


@app.command()
def compromise(
    last_good: Annotated[
        int, typer.Option("--last-good", min=1, help="Size of the last checkpoint that is known to be good.")
    ],
    approver: Approver,
    reason: Reason,
    requested_by: RequestedBy = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Somebody else had the key: give the log up at --last-good and go on in a new log with a new key."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "opening the log that takes its place"):
        recovered = keys.compromise(runtime, order_of(approver, requested_by, reason), last_good)
    if as_json:
        print_json(asdict(recovered))
        return
    out.print(f"log {recovered.shard - 1} ends at {last_good} entries; what came after counts as not sealed")
    out.print(f"log {recovered.shard} goes on under {recovered.vkey}")
    if recovered.erasures_left:
        out.print(
            f"{recovered.erasures_left} erasure entries could not be sealed again: see the runbook, step 8"
        )
    out.print(f"{recovered.policy} trusts the old keys up to that size: give it to every verifier")
    next_step("indelible deliver --source SOURCE")


def _show(key: LogKey, checkpoint: CheckpointReceipt, as_json: bool) -> None:
    if as_json:
        print_json({"key": {**asdict(key), "key_id": key.key_id}, "checkpoint": checkpoint.as_json()})
        return
    out.print(f"{key.state}: {key.vkey}")
    out.print(f"sealed; log {checkpoint.shard} is signed up to {checkpoint.size} entries")
