"""`indelible hold place|release|list`."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from flows import holds
from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working
from flows.cli.run import warn_unheld
from flows.holding import Order, Scope
from tasks.errors import StoreRefusedError

app = typer.Typer(
    help="Keep evidence beyond its retention until a matter is closed; each hold is sealed in the log.",
    no_args_is_help=True,
)
Source = Annotated[str, typer.Option(help="Whose evidence.")]
Since = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First event date.", show_default=False)
]
Until = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last event date.", show_default=False)
]
Approver = Annotated[str, typer.Option(help="Who approves it; somebody other than who asks.")]
Reason = Annotated[str, typer.Option(help="Why, in one line. It is sealed for ever: no personal data.")]
RequestedBy = Annotated[
    str | None,
    typer.Option("--requested-by", help="Who asks; default: this system's user.", show_default=False),
]


@app.command()
def place(
    source: Source,
    approver: Approver,
    reason: Reason,
    since: Since = None,
    until: Until = None,
    subject: Annotated[
        str | None,
        typer.Option(help="Only files that hold this pseudonym. It changes each month.", show_default=False),
    ] = None,
    case: Annotated[str | None, typer.Option(help="Name of the matter.", show_default=False)] = None,
    requested_by: RequestedBy = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Hold what is sealed, and what will be, of a source: by event date or by person."""
    runtime = runtime_with(store=store, endpoint=endpoint, identity="admin")
    scope = Scope(source, since and since.date(), until and until.date(), subject)
    with working(as_json, "placing the hold"):
        hold, checkpoint = holds.place(runtime, scope, order_of(approver, requested_by, reason), case)
    if as_json:
        print_json({"hold": hold.as_json(), "checkpoint": checkpoint.as_json()})
        return
    out.print(f"hold {hold.id} sealed: {hold.entry['objects']['count']:,} object versions of {source}")
    warn_unheld(checkpoint)
    next_step("indelible hold list")


@app.command()
def release(
    hold_id: Annotated[str, typer.Argument(metavar="ID", help="As `hold list` names it.")],
    approver: Approver,
    reason: Reason,
    requested_by: RequestedBy = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """End a hold. Objects that another hold covers stay held; retention goes on as before."""
    runtime = runtime_with(store=store, endpoint=endpoint, identity="admin")
    with working(as_json, "releasing the hold"):
        hold, checkpoint = holds.release(runtime, hold_id, order_of(approver, requested_by, reason))
    if as_json:
        print_json({"hold": hold.as_json(), "checkpoint": checkpoint.as_json()})
        return
    out.print(f"hold {hold.id} released")
    warn_unheld(checkpoint)


@app.command("list")
def list_(
    repair: Annotated[
        bool, typer.Option("--repair", help="Ask the store for every object and set its hold right.")
    ] = False,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """The register of holds, as it follows from the log."""
    runtime = runtime_with(store=store, endpoint=endpoint, identity="admin")
    with working(as_json, "reading the log"):
        register, refused = holds.register(runtime, repair=repair)
    if as_json:
        print_json(register)
    elif not register:
        out.print("no hold was ever placed")
    else:
        out.print(_table(register))
    if refused:
        raise StoreRefusedError(refused, next_step="Use credentials that may set legal holds.")


def order_of(approver: str, requested_by: str | None, reason: str) -> Order:
    """Who asks is, unless named, the user of this system."""
    return Order(approver, requested_by or getpass.getuser(), reason)


def _table(register: list[dict[str, object]]) -> Table:
    names = ("id", "source", "since", "until", "subject", "case", "placed", "approver", "released")
    table = Table(*names, box=None, pad_edge=False)
    for hold in register:
        scope, end = hold["scope"], hold["released"]
        days = [str(scope[name] or "") for name in ("source", "since", "until", "subject")]  # type: ignore[index]
        released = end["sealed_at"] if isinstance(end, dict) else "in force"
        about = [str(hold[name] or "") for name in ("case", "sealed_at", "approver")]
        table.add_row(str(hold["id"]), *days, *about, released)
    return table
