"""`indelible retention plan|extend`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from flows import pipeline, retention
from flows.cli.common import (
    AsJson,
    Endpoint,
    Landing,
    Store,
    next_step,
    out,
    print_json,
    runtime_with,
    working,
)
from flows.cli.hold import Approver, Reason, RequestedBy, Since, Source, Until, order_of
from flows.cli.run import show_plan
from flows.holding import Scope

app = typer.Typer(help="See what would be locked and until when; extend locks.", no_args_is_help=True)


@app.command()
def plan(
    source: Annotated[str, typer.Argument(help="A source that has a contract.")],
    landing: Landing = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """What the next delivery of SOURCE would lock, until when, and which rule says so. Writes nothing."""
    show_plan(source, pipeline.Window(), landing, store, endpoint, as_json)


@app.command()
def extend(
    source: Source,
    to: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day of the locks, UTC.")],
    approver: Approver,
    reason: Reason,
    since: Since = None,
    until: Until = None,
    requested_by: RequestedBy = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Extend the locks of sealed evidence and of the log objects that prove it. Never shortens one."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    scope = Scope(source, since and since.date(), until and until.date())
    with working(as_json, "extending locks"):
        changed, checkpoint = retention.extend(
            runtime, scope, to.date(), order_of(approver, requested_by, reason)
        )
    if as_json:
        print_json({"extended": dict(changed), "checkpoint": checkpoint.as_json()})
        return
    for kind, count in sorted(changed.items()):
        out.print(f"{count:>8,}  {kind}/")
    next_step("indelible verify")
