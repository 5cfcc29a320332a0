"""`indelible store probe`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer
from rich.table import Table

from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working
from tasks.errors import StoreRefusedError

app = typer.Typer(help="Find out whether the store keeps what it promises.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `probe` a name of its own, although the group has only one."""


@app.command()
def probe(
    retain_hours: Annotated[
        int, typer.Option(min=1, help="Lock of the canaries, which stay until it ends.")
    ] = 1,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Attack locked canaries as the store's own identity and those of probe.identities; seal the result.

    Exit code 5 when anything succeeds that must fail.
    """
    from flows.probe import probe_store

    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "probing the store"):
        probed = probe_store(runtime, retain_for=timedelta(hours=retain_hours))
    if as_json:
        print_json(
            {
                "store": runtime.store.uri,
                "server": probed.server,
                "enforced": probed.enforced,
                "findings": [asdict(finding) for finding in probed.findings],
                "sealed": probed.place,
            }
        )
    else:
        table = Table("", "what", "as", "found", box=None, pad_edge=False)
        for finding in probed.findings:
            mark = "[green]ok[/]" if finding.ok else "[red]no[/]"
            table.add_row(
                mark, finding.code, finding.identity or "store", finding.sentence.replace("[", r"\[")
            )
        out.print(table)
        _print_verdict(probed.enforced, probed.place)
    if not probed.enforced:
        raise typer.Exit(StoreRefusedError.exit_code)


def _print_verdict(enforced: bool, place: tuple[int, int] | None) -> None:
    """Say what it comes to, and where it is sealed."""
    out.print("[green]enforced[/]" if enforced else "[bold red]not enforced[/]: change what is marked no")
    if place is None:
        out.print("the result is not sealed: this store is not fit to seal anything in")
        return
    out.print(f"the result is entry {place[1]} of log {place[0]}")
    next_step("indelible verify")
